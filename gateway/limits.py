"""How large a body may be and how long it may take to arrive, checked before anything reads it."""

from __future__ import annotations

import asyncio
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.problems import ProblemRaised, problem_response
from gateway.settings import GatewaySettings

UPLOAD_PATH = "/upload"
_SENT_CONTENT = re.compile(r"/uploads/[^/]*/content")
MULTIPART_OVERHEAD_BYTES = 64 * 1024  # boundaries and part headers around the file
DRAIN_BYTES = 128 * 1024 * 1024
DRAIN_SECONDS = 10.0


class BodyLimitMiddleware:
    """Refuses a body by its Content-Length, or, where none is told, as soon as it has grown too large;
    and one that has not come whole in its time."""

    def __init__(self, app: ASGIApp, settings: GatewaySettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope["path"])
        limit = self._limit(scope["path"])
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length) > limit:
            if "expect" not in headers:
                await drain(receive)
            response = problem_response(
                scope["path"], refusal.status, refusal.reason, str(refusal), fields=refusal.fields
            )
            await response(scope, receive, send)
            return
        received, is_whole = 0, False
        ends_at = asyncio.get_running_loop().time() + self._seconds(scope["path"])

        async def counted() -> Message:
            nonlocal received, is_whole
            if is_whole:  # what comes now is the word that the client has gone, whenever that is
                return await receive()
            try:
                async with asyncio.timeout_at(ends_at):
                    message = await receive()
            except TimeoutError:
                raise _too_slow() from None
            if message["type"] == "http.request":
                is_whole = not message.get("more_body", False)
                received += len(message.get("body", b""))
                if received > limit:
                    raise refusal
            return message

        await self._app(scope, counted, send)

    def _limit(self, path: str) -> int:
        if _SENT_CONTENT.fullmatch(path):
            return self._settings.max_file_bytes
        if path == UPLOAD_PATH:
            return self._settings.max_file_bytes + MULTIPART_OVERHEAD_BYTES
        return self._settings.max_body_bytes

    def _seconds(self, path: str) -> float:
        is_file = path == UPLOAD_PATH or _SENT_CONTENT.fullmatch(path)
        return self._settings.file_timeout_seconds if is_file else self._settings.body_timeout_seconds

    def _refusal(self, path: str) -> ProblemRaised:
        if path == UPLOAD_PATH or _SENT_CONTENT.fullmatch(path):
            return file_too_large(self._settings.max_file_bytes)
        detail = f"The body is larger than {self._settings.max_body_bytes} bytes."
        return ProblemRaised(413, "BODY_TOO_LARGE", detail, field="body")


def file_too_large(max_file_bytes: int) -> ProblemRaised:
    """The refusal of a file above the limit."""
    return ProblemRaised(413, "FILE_TOO_LARGE", f"The file is larger than {max_file_bytes} bytes.", field="file")


def _too_slow() -> ProblemRaised:
    detail = "The body did not arrive whole in time."
    return ProblemRaised(408, "BODY_TIMEOUT", detail, field="body", headers={"Connection": "close"})


async def drain(receive: Receive) -> None:
    """Read and drop what a client is sending already: many clients read the answer only after their last byte."""
    dropped = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while dropped < DRAIN_BYTES:
                message = await receive()
                dropped += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return
