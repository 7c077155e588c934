"""A local server that reranks over HTTP as Cohere's API does, for tests that run the real adapter.

It scores a passage by the share of the question's words in it, and lists the passages best first, as the API does.
`fault` makes the next replies wrong in one way: a status, a delay, a connection cut off, or a body of its own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

API_KEY = "co-only-for-tests"


@dataclass(frozen=True)
class RerankFault:
    """What is wrong with a reply; at most one thing."""

    status: int = 200
    stalls: bool = False
    cut: bool = False
    body: bytes | None = None


class RerankServer:
    """The server, on a loopback port from threads of its own."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.fault = RerankFault()
        self._ended = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                server.answer(self)

            def log_message(self, *_: object) -> None:
                """Nothing: a test's output is no place for it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v2/rerank"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Reply to one request as the fault says, or as the API would."""
        request = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        fault = self.fault
        if fault.stalls:
            self._ended.wait(10)
            return
        if fault.cut:
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            handler.wfile.write(b'{"results"')
            handler.close_connection = True
            return
        status, body = fault.status, fault.body
        if handler.path != "/v2/rerank":
            status = 404
        elif handler.headers["Authorization"] != f"Bearer {API_KEY}":
            status = 401
        elif status == 200:
            self.requests.append(request)
        content = body if body is not None else json.dumps(_reply(request) if status == 200 else {}).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


def _reply(request: dict[str, Any]) -> dict[str, Any]:
    asked = set(request["query"].lower().split())
    scores = [len(asked & set(text.lower().split())) / len(asked) for text in request["documents"]]
    order = sorted(range(len(scores)), key=lambda place: -scores[place])[: request["top_n"]]
    results = [{"index": place, "relevance_score": scores[place]} for place in order]
    return {"id": "r1", "results": results, "meta": {"api_version": {"version": "2"}}}


@pytest.fixture
def rerank_server() -> Iterator[RerankServer]:
    """A server for one test."""
    server = RerankServer()
    server.start()
    yield server
    server.stop()
