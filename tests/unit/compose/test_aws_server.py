"""The journal by which the cluster's S3 and SQS survive a kill."""

import io
from collections.abc import Iterable
from pathlib import Path

import pytest

from deploy.compose.aws_server import Environ, Journal, Journaled, StartResponse, lasts


class Store:
    """An application that keeps the body put to each path, in the order it came."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, bytes]] = []

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if environ["PATH_INFO"] == "/refused":
            start_response("403 Forbidden", [])
            return [b"no"]
        if environ["REQUEST_METHOD"] != "GET":
            self.kept.append((environ["PATH_INFO"] + environ.get("HTTP_X_AMZ_META", ""), body))
        start_response("200 OK", [("ETag", "1")])
        return [b"done"]


def request(method: str, path: str, body: bytes = b"", **headers: str) -> Environ:
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **headers,
    }


def send(application: Journaled, environ: Environ) -> str:
    statuses: list[str] = []
    b"".join(application(environ, lambda status, headers, *_: statuses.append(status)))
    return statuses[0]


def test_what_was_granted_is_there_after_a_kill(tmp_path: Path) -> None:
    application = Journaled(Store(), Journal(tmp_path / "journal"))
    assert send(application, request("PUT", "/bucket/a", b"\x00first", HTTP_X_AMZ_META="!")) == "200 OK"
    send(application, request("PUT", "/bucket/b", b"second"))
    send(application, request("DELETE", "/bucket/a"))
    send(application, request("GET", "/bucket/b"))
    assert send(application, request("PUT", "/refused", b"third")) == "403 Forbidden"

    after = Store()
    count = Journal(tmp_path / "journal").play(after)

    assert count == 3
    assert after.kept == [("/bucket/a!", b"\x00first"), ("/bucket/b", b"second"), ("/bucket/a", b"")]


def test_a_line_that_a_kill_cut_off_is_dropped_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    send(Journaled(Store(), Journal(path)), request("PUT", "/bucket/a", b"1"))
    with path.open("a") as file:
        file.write('{"method": "PUT", "pa')

    journal = Journal(path)
    assert journal.play(Store()) == 1
    send(Journaled(Store(), journal), request("PUT", "/bucket/b", b"2"))

    after = Store()
    assert Journal(path).play(after) == 2
    assert after.kept == [("/bucket/a", b"1"), ("/bucket/b", b"2")]


@pytest.mark.parametrize(
    ("method", "target", "kept"),
    [
        ("GET", "", False),
        ("HEAD", "", False),
        ("PUT", "", True),
        ("POST", "", True),
        ("POST", "AmazonSQS.CreateQueue", True),
        ("POST", "AmazonSQS.SendMessage", False),
        ("POST", "AmazonSQS.ReceiveMessage", False),
        ("POST", "DynamoDB_20120810.PutItem", True),
        ("POST", "DynamoDB_20120810.GetItem", False),
    ],
)
def test_only_changes_that_last_are_written_down(method: str, target: str, kept: bool) -> None:
    assert lasts(request(method, "/", HTTP_X_AMZ_TARGET=target)) is kept
