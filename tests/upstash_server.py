"""Upstash's REST interface to a Redis, on this machine: commands and pipelines as JSON, with a bearer token."""

from __future__ import annotations

import json
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class UpstashServer:
    """A server on a free port of the loopback interface, in a thread of its own, over a dictionary."""

    def __init__(self, *, token: str = "local-upstash-token", clock: Callable[[], float] = time.monotonic) -> None:
        self.token = token
        self.entries: dict[str, tuple[float, str]] = {}
        """Value and when it ends, by key."""
        self.requests: list[Any] = []
        self.broken_answer: bytes | None = None
        """Answered to everything instead of the truth while it is set."""
        self._clock = clock
        self._http: _Http | None = None
        self._thread: threading.Thread | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._http = _Http(("127.0.0.1", self._port), _Handler)
        self._http.upstash = self
        self._port = self._http.server_port
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._http is not None and self._thread is not None:
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()
            self._http = None

    def run(self, command: list[Any]) -> Any:
        """The result of one command. Raises ValueError for one that Redis would not take."""
        name, *arguments = [str(word) for word in command]
        match name.upper(), arguments:
            case "GET", [key]:
                return self._get(key)
            case "MGET", [_, *_]:
                return [self._get(key) for key in arguments]
            case "SET", [key, value]:
                self.entries[key] = (float("inf"), value)
                return "OK"
            case "SET", [key, value, "EX", seconds] if int(seconds) > 0:
                self.entries[key] = (self._clock() + int(seconds), value)
                return "OK"
            case "DEL" | "UNLINK", [_, *_] as keys:
                return sum(self.entries.pop(key, None) is not None for key in keys)
            case "TTL", [key]:
                return -2 if self._get(key) is None else round(self.entries[key][0] - self._clock())
            case "PING", []:
                return "PONG"
        raise ValueError(f"ERR unknown command or wrong arguments for {name!r}")

    def _get(self, key: str) -> str | None:
        ends_at, value = self.entries.get(key, (0.0, ""))
        return value if ends_at > self._clock() else None


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    upstash: UpstashServer


class _Handler(BaseHTTPRequestHandler):
    # One request a connection: a stopped server then leaves none behind that goes on answering.
    protocol_version = "HTTP/1.0"
    server: _Http

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""

    def do_POST(self) -> None:
        upstash = self.server.upstash
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        upstash.requests.append(body)
        if upstash.broken_answer is not None:
            self._send(200, upstash.broken_answer)
        elif self.headers.get("Authorization") != f"Bearer {upstash.token}":
            self._send(401, json.dumps({"error": "Unauthorized"}).encode())
        elif self.path == "/pipeline":
            self._send(200, json.dumps([self._result(command) for command in body]).encode())
        else:
            told = self._result(body)
            self._send(400 if "error" in told else 200, json.dumps(told).encode())

    def _result(self, command: list[Any]) -> dict[str, Any]:
        try:
            result = self.server.upstash.run(command)
        except ValueError as error:
            return {"error": str(error)}
        return {"result": _encoded(result) if self.headers.get("Upstash-Encoding") == "base64" else result}

    def _send(self, status: int, raw: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def _encoded(result: Any) -> Any:
    if isinstance(result, list):
        return [_encoded(each) for each in result]
    return b64encode(result.encode()).decode() if isinstance(result, str) and result != "OK" else result


@pytest.fixture
def upstash_server() -> Iterator[UpstashServer]:
    server = UpstashServer()
    server.start()
    yield server
    server.stop()
