"""Pinecone's REST API on this machine: control plane and data plane, as the real SDK speaks to them.

    with PineconeServer() as pinecone:
        pinecone.create_index("rag-documents", dimension=3)
        client = AsyncPinecone(api_key=pinecone.api_key, host=pinecone.url)

What was stored is in `pinecone.indexes[name].namespaces[namespace][id]`, every request in `pinecone.requests`.
`pinecone.fail(...)` breaks requests to come; `pinecone.indexes[name].write_delay_seconds` lets reads lag behind writes.
"""

from __future__ import annotations

import itertools
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.pinecone_data import Json, Refused, StoredIndex

_DATA = "/data/"
_numbers = itertools.count()
_MAX_UPSERT_BYTES = 2 * 1024 * 1024
_CODES = {400: ("INVALID_ARGUMENT", 3), 401: ("UNAUTHENTICATED", 16), 404: ("NOT_FOUND", 5), 409: ("ALREADY_EXISTS", 6)}


@dataclass
class Fault:
    """What happens to requests to come instead of, or before, their answer."""

    path: str = ""
    """Part of the path that a request must hold, as in "/query"; empty: any request."""
    times: float = float("inf")
    status: int = 0
    """The status it is answered with; 0: the real answer."""
    retry_after: str = ""
    delay_seconds: float = 0
    cut: bool = False
    """The connection is closed without an answer."""


@dataclass(frozen=True)
class SeenRequest:
    """One request as it arrived. `path` goes without host and index."""

    method: str
    path: str
    index: str
    body: Json
    size_bytes: int


class PineconeServer:
    """A server on a free port of the loopback interface, in a thread of its own."""

    def __init__(self, *, api_key: str = "local-pinecone-key") -> None:
        self.api_key = api_key
        self.indexes: dict[str, StoredIndex] = {}
        self.requests: list[SeenRequest] = []
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._http: _Http | None = None
        self._thread: threading.Thread | None = None
        self._host = _next_host()
        self._port = 0

    @property
    def url(self) -> str:
        """The control plane's address: the SDK's `host`, or PINECONE_CONTROLLER_HOST."""
        return f"http://{self._host}:{self._port}"

    def start(self) -> None:
        """Listen; after `stop` again at the same address, with everything that was stored."""
        self._http = _Http((self._host, self._port), _Handler)
        self._http.pinecone = self
        self._port = self._http.server_port
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection."""
        if self._http is not None and self._thread is not None:
            self._http.shutdown()
            self._http.close_connections()
            self._http.server_close()
            self._thread.join()
            self._http = None

    def __enter__(self) -> PineconeServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def create_index(self, name: str, *, dimension: int, metric: str = "cosine", ready: bool = True) -> StoredIndex:
        """An empty serverless index, as if it had been there before."""
        self.indexes[name] = StoredIndex(name, dimension, metric, ready=ready)
        return self.indexes[name]

    def fail(self, fault: Fault) -> Fault:
        """Break requests from now on, until `heal` or as many `times` as the fault says."""
        self._faults.append(fault)
        return fault

    def heal(self) -> None:
        """Break nothing any more."""
        self._faults.clear()

    def take_fault(self, path: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.path in path and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def answer(self, method: str, target: str, raw: bytes) -> tuple[int, Json]:
        """Status and body of one request. Raises Refused."""
        parts = urlsplit(target)
        index, path = "", parts.path
        if path.startswith(_DATA):
            index, _, rest = path.removeprefix(_DATA).partition("/")
            path = f"/{rest}"
        body = json.loads(raw) if raw else {}
        path = unquote(path)
        with self._lock:
            self.requests.append(SeenRequest(method, path, index, body, len(raw)))
            if not index:
                return self._control(method, path, body)
            if index not in self.indexes:
                raise Refused(404, f"Index {index} not found")
            if path == "/vectors/upsert" and len(raw) > _MAX_UPSERT_BYTES:
                raise Refused(413, f"message length too large: found {len(raw)} bytes, limit {_MAX_UPSERT_BYTES}")
            return 200, self.indexes[index].answer(method, path, parse_qs(parts.query, keep_blank_values=True), body)

    def _control(self, method: str, path: str, body: Json) -> tuple[int, Json]:
        name = path.removeprefix("/indexes").removeprefix("/")
        match method:
            case "POST" if path == "/indexes":
                return 201, self._describe(self._create(body))
            case "GET" if path == "/indexes":
                return 200, {"indexes": [self._describe(each) for each in self.indexes.values()]}
        if not path.startswith("/indexes/") or name not in self.indexes:
            raise Refused(404, f"Resource {name or path} not found")
        index = self.indexes[name]
        match method:
            case "GET":
                return 200, self._describe(index)
            case "DELETE":
                del self.indexes[name]
                return 202, {}
            case "PATCH":
                index.tags = {key: tag for key, tag in {**index.tags, **body.get("tags", {})}.items() if tag}
                return 202, self._describe(index)
        raise Refused(405, f"{method} is not allowed here")

    def _create(self, body: Json) -> StoredIndex:
        name = body.get("name") or ""
        if name in self.indexes:
            raise Refused(409, f"Resource {name} already exists")
        dense = [
            (field, told) for field, told in body["schema"]["fields"].items() if told.get("type") == "dense_vector"
        ]
        if len(dense) != 1:
            raise Refused(400, "schema must declare one dense_vector field")
        field, told = dense[0]
        deployment = body.get("deployment") or {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
        created = StoredIndex(name, told["dimension"], told.get("metric", "cosine"), field, deployment)
        created.tags = body.get("tags") or {}
        self.indexes[name] = created
        return created

    def _describe(self, index: StoredIndex) -> Json:
        dense = {"type": "dense_vector", "dimension": index.dimension, "metric": index.metric}
        return {
            "name": index.name,
            "host": f"{self.url}{_DATA}{index.name}",
            "schema": {"fields": {index.field_name: dense}},
            "deployment": index.deployment,
            "deletion_protection": "disabled",
            "tags": index.tags,
            "status": {"ready": index.ready, "state": "Ready" if index.ready else "Initializing"},
            "read_capacity": {"mode": "OnDemand", "status": {"state": "Ready"}},
        }


def _next_host() -> str:
    """A loopback address of its own where there are many: the SDK counts failures by host, ports aside, and after some
    dozens of them retries nothing there any more.
    """
    number = next(_numbers)
    return f"127.0.{number // 250 % 250 + 1}.{number % 250 + 1}" if sys.platform == "linux" else "127.0.0.1"


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    pinecone: PineconeServer

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for connection in list(self._open):
            self._open.discard(connection)
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the other side was faster

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""

    def _serve(self) -> None:
        pinecone = self.server.pinecone
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = pinecone.take_fault(self.path)
        if fault is not None:
            time.sleep(fault.delay_seconds)
            if fault.cut:
                self.close_connection = True
                return
            if fault.status:
                self._refuse(fault.status, "something is wrong on our side", retry_after=fault.retry_after)
                return
        if self.headers.get("Api-Key") != pinecone.api_key:
            self._refuse(401, "Invalid API Key")
            return
        try:
            status, told = pinecone.answer(self.command, self.path, raw)
        except Refused as refused:
            self._refuse(refused.status, str(refused))
        except (KeyError, TypeError, ValueError) as error:
            self._refuse(400, f"the request cannot be read: {error!r}")
        else:
            self._send(status, told)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _refuse(self, status: int, message: str, *, retry_after: str = "") -> None:
        word, number = _CODES.get(status, ("UNKNOWN", 2))
        if self.path.startswith(_DATA):
            self._send(status, {"code": number, "message": message, "details": []}, retry_after=retry_after)
        else:
            self._send(status, {"error": {"code": word, "message": message}, "status": status}, retry_after=retry_after)

    def _send(self, status: int, body: Json, *, retry_after: str = "") -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(raw)


@pytest.fixture
def pinecone_server() -> Iterator[PineconeServer]:
    """A server without any index."""
    with PineconeServer() as server:
        yield server
