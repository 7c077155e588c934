"""The few REST calls the local system makes to itself, with the standard library alone."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # A proxy has no business on this machine.


@dataclass(frozen=True)
class Reply:
    """Status and JSON body of a reply; status 0 when nobody answered."""

    status: int
    body: Any


def get(url: str, *, timeout_seconds: float = 5) -> Reply:
    """Read JSON from a URL."""
    return _send(urllib.request.Request(url), timeout_seconds)  # noqa: S310 (our own http URL)


def upload(url: str, path: Path, *, timeout_seconds: float = 120) -> Reply:
    """Send a file as multipart/form-data in the field `file`."""
    boundary = uuid4().hex
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    request = urllib.request.Request(url, data=body, method="POST")  # noqa: S310 (our own http URL)
    request.add_header("Content-Type", f"multipart/form-data; boundary={boundary}")
    return _send(request, timeout_seconds)


def _send(request: urllib.request.Request, timeout_seconds: float) -> Reply:
    try:
        with _OPENER.open(request, timeout=timeout_seconds) as response:
            return Reply(response.status, _json(response.read()))
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, _json(error.read()))
    except OSError:
        return Reply(0, None)


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
