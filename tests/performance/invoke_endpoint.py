"""A Lambda endpoint whose functions answer at once and know nothing: an empty message, whatever is asked."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_REPLY = json.dumps(
    {
        "version": 1,
        "status": "OK",
        "details": "",
        "initial_metadata": [],
        "trailing_metadata": [],
        "sizes": [0],
        "body": "",
        "sha256": hashlib.sha256(b"").hexdigest(),
    }
).encode()


class _Invoke(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(_REPLY)))
        self.end_headers()
        self.wfile.write(_REPLY)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def invoke_endpoint() -> Iterator[str]:
    """The URL for AWS_ENDPOINT_URL_LAMBDA while it is open."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Invoke) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
