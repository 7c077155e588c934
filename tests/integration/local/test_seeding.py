"""Seeding over real HTTP: each sample document once, and never again."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.local import rest
from deploy.local.data_folder import DoneOnce
from deploy.local.errors import KeyNeeded, SeedingFailed
from deploy.local.seeding import seed


class Api(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[bytes] = []
        self.answers = [201] * 10

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        self.server.received.append(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"detail": "too much"}).encode()
        self.send_response(self.server.answers.pop(0))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def documents(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.md", tmp_path / "b.md"]
    for path in paths:
        path.write_text(f"text of {path.name}")
    return paths


def test_each_document_is_uploaded_once_in_the_life_of_a_data_folder(
    api: Api, documents: list[Path], tmp_path: Path
) -> None:
    assert seed(api.url, documents, DoneOnce(tmp_path / "done")) == 2
    assert seed(api.url, documents, DoneOnce(tmp_path / "done")) == 0

    assert [b'filename="a.md"' in body for body in api.received] == [True, False]
    assert b"text of b.md" in api.received[1]


def test_a_start_after_a_failure_goes_on_where_it_stopped(api: Api, documents: list[Path], tmp_path: Path) -> None:
    api.answers = [201, 503, 201]

    with pytest.raises(SeedingFailed, match=r"b\.md was not taken \(503\): too much"):
        seed(api.url, documents, DoneOnce(tmp_path / "done"))

    assert seed(api.url, documents, DoneOnce(tmp_path / "done")) == 1


def test_an_api_that_asks_for_a_key_is_left_alone(api: Api, documents: list[Path], tmp_path: Path) -> None:
    api.answers = [401]

    with pytest.raises(KeyNeeded):
        seed(api.url, documents, DoneOnce(tmp_path / "done"))


def test_silence_is_status_0() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))

        assert rest.get(f"http://127.0.0.1:{unused.getsockname()[1]}/health", timeout_seconds=1).status == 0
