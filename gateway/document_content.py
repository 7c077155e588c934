"""GET /documents/{id}/content: the very bytes that were uploaded."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Header, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from gateway.callees import Callees, Service, reply_of
from gateway.context import Asked
from gateway.documents import DOCUMENT_FIELDS, DocumentId, document_name
from gateway.problems import ProblemRaised, problem_docs
from protos.ingest.v1 import ingest_service_pb2

router = APIRouter(prefix="/documents", tags=["documents"])

_PIECE_BYTES = 1024 * 1024
_BINARY = {"type": "string", "format": "binary"}
_RANGE = re.compile(r"bytes=([0-9]{1,15})?-([0-9]{1,15})?")
# The bytes are whoever's who uploaded them: a browser saves them, and shows and runs nothing of them.
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, max-age=0, must-revalidate",
    "Accept-Ranges": "bytes",
}


@router.get(
    "/{document_id}/content",
    summary="The file of a document",
    response_class=Response,
    responses={
        200: {
            "content": {"application/octet-stream": {"schema": _BINARY}},
            "description": "The file as it was uploaded.",
        },
        206: {"content": {"application/octet-stream": {"schema": _BINARY}}, "description": "The part asked for."},
        307: {"description": "Where the file can be fetched for some minutes, when it is kept in a bucket."},
        **problem_docs(404, 416, 422, 503, 504),
    },
)
async def get_content(
    document_id: DocumentId,
    callees: Asked,
    wanted: Annotated[
        str, Header(alias="Range", description="One range of bytes; of any other the whole file is sent.")
    ] = "",
) -> Response:
    """The file that a document was made of, to be saved under its name."""
    name = document_name(document_id)
    told = await _read(callees, name, 0, 0)
    if told.url:
        return RedirectResponse(told.url, status_code=307, headers={"Cache-Control": "private, no-store"})
    start, end, is_part = _part(wanted, told.size_bytes)
    first = await _read(callees, name, start, min(_PIECE_BYTES, end - start))
    headers = {
        **_HEADERS,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(told.filename, safe='')}",
        "Content-Length": str(end - start),
        "ETag": f'"{document_id}"',
    }
    if is_part:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{told.size_bytes}"
    return StreamingResponse(
        _pieces(callees, name, start, end, first.content),
        status_code=206 if is_part else 200,
        media_type=told.content_type,
        headers=headers,
    )


async def _pieces(callees: Callees, name: str, start: int, end: int, first: bytes) -> AsyncIterator[bytes]:
    """The bytes in turn. What fails on the way ends the reply early, and its length tells so."""
    piece = first
    while piece:
        yield piece
        start += len(piece)
        if start >= end:
            return
        piece = (await _read(callees, name, start, min(_PIECE_BYTES, end - start))).content


async def _read(
    callees: Callees, name: str, offset: int, max_bytes: int
) -> ingest_service_pb2.ReadDocumentContentResponse:
    request = ingest_service_pb2.ReadDocumentContentRequest(name=name, offset=offset, max_bytes=max_bytes)
    return await reply_of(Service.INGEST, callees.ingest.ReadDocumentContent(request), DOCUMENT_FIELDS)


def _part(wanted: str, size_bytes: int) -> tuple[int, int, bool]:
    """Where the wanted part begins and ends, and whether it is one: what is no single range means the whole file."""
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or found.groups() == (None, None):
        return 0, size_bytes, False
    first, last = found.groups()
    if first is None:  # the last so many bytes
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start, end = int(first), size_bytes if last is None else min(size_bytes, int(last) + 1)
    if start >= end:
        detail = f"The file has {size_bytes:,} bytes, and none of them are in that range."
        raise ProblemRaised(
            416, "RANGE_INVALID", detail, field="Range", headers={"Content-Range": f"bytes */{size_bytes}"}
        )
    return start, end, True
