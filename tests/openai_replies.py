"""What a scripted model says, and how requests to it fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reply:
    """What the model says to one chat request."""

    content: str = ""
    refusal: str | None = None
    finish_reason: str = "stop"
    """ "length" when the reply reached its limit, "content_filter" when it was withheld."""
    cut_after_characters: int | None = None
    """The connection breaks once so much of the content is sent; streamed replies alone."""
    pause_seconds: float = 0
    """The stream halts so long after its first piece."""


@dataclass(frozen=True)
class Fault:
    """How a request fails instead of being answered."""

    status: int = 500
    code: str | None = None
    message: str = "The server had an error while processing your request."
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0
    """Waits so long first; with status 200 the request is then answered as usual."""
    breaks: bool = False
    """The connection is closed without a word."""
    body: bytes | None = None
    """Sent as it is, instead of an error object."""
    drips: bool = False
    """A reply that goes on for ever, a byte at a time."""


def rate_limited(retry_after_seconds: float | None = None, *, code: str = "rate_limit_exceeded") -> Fault:
    """429; code "insufficient_quota" is an account without money."""
    headers = {} if retry_after_seconds is None else {"retry-after": f"{retry_after_seconds:g}"}
    return Fault(429, code, "Rate limit reached.", headers)


def server_error(status: int = 500) -> Fault:
    return Fault(status, "server_error")


def access_denied(status: int = 401) -> Fault:
    """401 is a key nobody knows, 403 one that may not."""
    return Fault(status, "invalid_api_key" if status == 401 else "forbidden", "Incorrect API key provided: sk-…cret.")


def bad_request(code: str = "invalid_request_error", message: str = "The request is malformed.") -> Fault:
    """400; code "context_length_exceeded" or "content_filter" for one."""
    return Fault(400, code, message)


def slow(seconds: float) -> Fault:
    """Answered, but late."""
    return Fault(200, delay_seconds=seconds)


def broken() -> Fault:
    """The connection is closed before a single byte of the reply."""
    return Fault(breaks=True)


def dripping() -> Fault:
    """200, and a space of JSON every little while."""
    return Fault(200, drips=True)


def truncated_json() -> Fault:
    """200 with a body that stops in the middle."""
    return Fault(200, body=b'{"object": "list", "data": [{"object": "embed')
