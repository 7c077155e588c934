"""S3 and SQS for one machine: moto's server, which forgets nothing when it is killed.

    aws_server.py            serve on port 5000, with /data as memory
    aws_server.py healthy    exit status 0 when it answers

moto keeps everything in memory. Here each request that changed something is appended to a journal before it is
answered, and the journal is played back before the server listens again. Messages of queues are not in it, the queues
are: ingest's job store is the truth and looks after jobs without a message. Parts of multipart uploads cannot be
played back, since the server makes up new ids for them; this system puts its objects whole.

For one person's machine: the journal only grows, and everything in it has to fit into memory.
"""

import base64
import io
import json
import logging
import os
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

_PORT = 5000
_SERVER = f"http://127.0.0.1:{_PORT}"
_JOURNAL = Path("/data/journal.jsonl")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
# Of the JSON protocols, what changes something that has to last.
_LASTING = ("AmazonSQS.CreateQueue", "AmazonSQS.SetQueueAttributes", "AmazonSQS.DeleteQueue", "DynamoDB_20120810.")
_PASSING = tuple(f"DynamoDB_20120810.{verb}" for verb in ("BatchGet", "Describe", "Get", "List", "Query", "Scan"))
_KEPT_HEADERS = ("CONTENT_TYPE", "CONTENT_LENGTH")

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


def lasts(environ: Environ) -> bool:
    """Whether a request can change something that has to survive a restart."""
    if environ["REQUEST_METHOD"] in _READING or environ["PATH_INFO"].startswith("/moto-api"):
        return False
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    return not target or (target.startswith(_LASTING) and not target.startswith(_PASSING))


class Journal:
    """Requests that were granted, one JSON object a line, in the order of their effects."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, environ: Environ, body: bytes) -> None:
        """Write a request down, for good."""
        headers = {key: value for key, value in environ.items() if key.startswith("HTTP_") or key in _KEPT_HEADERS}
        entry = {
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "raw": environ.get("RAW_URI") or environ.get("REQUEST_URI") or "",
            "query": environ.get("QUERY_STRING", ""),
            "headers": headers,
            "body": base64.b64encode(body).decode(),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def play(self, application: Application) -> int:
        """Repeat every request. A last line that a kill cut off was never answered, and is dropped.

        Returns: how many requests were repeated.
        """
        content = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        whole = content[: content.rfind("\n") + 1]
        if whole != content:
            os.truncate(self._path, len(whole.encode()))
        lines = whole.splitlines()
        for line in lines:
            _repeat(application, json.loads(line))
        return len(lines)


class Journaled:
    """A WSGI application whose granted changes are in the journal before they are answered."""

    def __init__(self, application: Application, journal: Journal) -> None:
        self._application = application
        self._journal = journal
        # One change at a time: the journal's order is the order of effects.
        self._changing = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not lasts(environ):
            return self._application(environ, start_response)
        body = _read_body(environ)
        with self._changing:
            answer: list[tuple[str, list[tuple[str, str]]]] = []

            def remember(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
                answer.append((status, headers))

            environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
            content = b"".join(self._application(environ, remember))
            status, headers = answer[-1]
            if status.startswith("2"):
                self._journal.add(environ, body)
        start_response(status, headers)
        return [content]


def _read_body(environ: Environ) -> bytes:
    stream: IO[bytes] = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        return stream.read()
    return stream.read(int(environ.get("CONTENT_LENGTH") or 0))


def _repeat(application: Application, entry: dict[str, Any]) -> None:
    body = base64.b64decode(entry["body"])
    environ: Environ = {
        "REQUEST_METHOD": entry["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": entry["path"],
        "RAW_URI": entry["raw"],
        "REQUEST_URI": entry["raw"],
        "QUERY_STRING": entry["query"],
        "SERVER_NAME": "localhost",
        "SERVER_PORT": str(_PORT),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **entry["headers"],
    }
    for _ in application(environ, lambda *_: None):
        pass  # the answer is only made when it is read


def _serve() -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    journal = Journal(_JOURNAL)
    application: Application = DomainDispatcherApplication(create_backend_app)
    repeated = journal.play(application)
    sys.stderr.write(json.dumps({"event": "aws.listening", "port": _PORT, "requests_repeated": repeated}) + "\n")
    # Inside the container's own network alone, which nothing outside reaches.
    make_server(
        "0.0.0.0",  # noqa: S104
        _PORT,
        Journaled(application, journal),
        threaded=True,
        request_handler=WSGIRequestHandler,
    ).serve_forever()


def _healthy() -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{_SERVER}/moto-api/", timeout=2) as reply:
            return 0 if reply.status == 200 else 1
    except OSError:
        return 1


if __name__ == "__main__":
    if sys.argv[1:] == ["healthy"]:
        sys.exit(_healthy())
    _serve()
