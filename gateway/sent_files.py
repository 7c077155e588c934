"""A file as it comes in a form, on the disk when it is large, and its way to the ingest service piece by piece."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from gateway.callees import Callees, Service, reply_of
from gateway.limits import file_too_large
from gateway.problems import ProblemRaised
from protos.ingest.v1 import ingest_service_pb2

PIECE_BYTES = 1024 * 1024
PIECE_TIMEOUT_SECONDS = 60
_MAX_PARTS = 60  # the file, and tags one by one


@dataclass(frozen=True)
class SentFile:
    """The one file of a form, and the tags beside it. It is gone when its form is closed."""

    filename: str
    size_bytes: int
    tags: Sequence[str]
    file: UploadFile

    async def content(self) -> bytes:
        """All of its bytes, in memory."""
        await self.file.seek(0)
        return await self.file.read()

    async def sha256(self) -> str:
        """In hexadecimal digits."""
        digest = hashlib.sha256()
        async for piece in self.pieces():
            await asyncio.to_thread(digest.update, piece)
        return digest.hexdigest()

    async def pieces(self) -> AsyncIterator[bytes]:
        await self.file.seek(0)
        while piece := await self.file.read(PIECE_BYTES):
            yield piece


@asynccontextmanager
async def sent_file(request: Request, max_file_bytes: int) -> AsyncIterator[SentFile]:
    """The part `file` of a form, valid inside the block. Raises ProblemRaised."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        detail = "Send the file as the part `file` of multipart/form-data."
        raise ProblemRaised(415, "MEDIA_TYPE_UNSUPPORTED", detail, field="Content-Type")
    try:
        form = await request.form(max_files=_MAX_PARTS, max_fields=_MAX_PARTS)
    except (HTTPException, KeyError, ValueError, AttributeError) as error:
        # The parser's own words say where it stumbled; some malformed bodies trip it in less orderly ways.
        said = str(error.detail) if isinstance(error, HTTPException) else "its parts cannot be told apart"
        raise ProblemRaised(400, "MULTIPART_INVALID", f"The body is no multipart form: {said}", field="file") from error
    try:
        files = form.getlist("file")
        if len(files) != 1 or not isinstance(files[0], UploadFile):
            detail = (
                "More than one part is called `file`; send one file a request."
                if len(files) > 1
                else "The part `file` is missing, or has no file name."
            )
            raise ProblemRaised(422, "REQUEST_INVALID", detail, field="file")
        file = files[0]
        size_bytes = file.size or 0
        if size_bytes > max_file_bytes:
            raise file_too_large(max_file_bytes)
        yield SentFile(file.filename or "", size_bytes, _tags(form.getlist("tags")), file)
    finally:
        await form.close()


def _tags(parts: Sequence[UploadFile | str]) -> list[str]:
    """Tags as they came, several in a part or one. Whether they may be so is for their owner to say."""
    if not all(isinstance(part, str) for part in parts):
        raise ProblemRaised(422, "REQUEST_INVALID", "A part `tags` is text, not a file.", field="tags")
    return [tag.strip() for part in parts if isinstance(part, str) and part.strip() for tag in part.split(",")]


async def write_pieces(callees: Callees, upload: str, pieces: AsyncIterator[bytes]) -> int:
    """Hand the bytes of an upload on, one piece in memory at a time; how many there were. Raises CalleeFailed."""
    sending, offset = uuid4().hex, 0
    async for piece in pieces:
        request = ingest_service_pb2.WriteUploadRequest(name=upload, sending=sending, offset=offset, content=piece)
        call = callees.ingest.WriteUpload(request, timeout=PIECE_TIMEOUT_SECONDS)
        await reply_of(Service.INGEST, call, {"content": "file", "": "file"})
        offset += len(piece)
    return offset


async def whole_pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of PIECE_BYTES, but for the last one."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        while len(waiting) >= PIECE_BYTES:
            yield bytes(waiting[:PIECE_BYTES])
            del waiting[:PIECE_BYTES]
    if waiting:
        yield bytes(waiting)
