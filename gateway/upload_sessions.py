"""POST /uploads, PUT /uploads/{id}/content and POST /uploads/{id}/complete: files past what one request may hold."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from gateway.answer_building import bare_id
from gateway.answers import Answer
from gateway.callees import CalleeFailed, Service, reply_of
from gateway.context import Asked, Budget, Settings
from gateway.jobs import LOCATION, Job, job_answer
from gateway.json_route import JsonRoute
from gateway.limits import DRAIN_SECONDS, drain
from gateway.problems import ProblemRaised, problem_docs
from gateway.sent_files import whole_pieces, write_pieces
from gateway.upload_links import LinkRefused, UploadLink, link_in
from gateway.values import iso_time
from protos.ingest.v1 import document_pb2, ingest_service_pb2
from services.transport.identity import current_caller

router = APIRouter(prefix="/uploads", route_class=JsonRoute, tags=["documents"])
content_router = APIRouter(prefix="/uploads", tags=["documents"])

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_FIELDS = {"name": "upload_id", "": "upload_id"}
_EXAMPLE_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_SENT_BYTES = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}

UploadId = Annotated[
    str,
    Path(
        description="Id of an upload. Anything else is not found.",
        json_schema_extra={"pattern": "^[0-9a-f]{32}$"},
    ),
]


class NewUpload(BaseModel):
    """A file that is to be sent."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "filename": "annual_report.pdf",
                    "size_bytes": 48_211_968,
                    "sha256": _EXAMPLE_SHA256,
                    "content_type": "application/pdf",
                    "tags": ["finance", "2026"],
                }
            ]
        },
    )

    filename: str = Field(description="Its name, with an extension that is served.", max_length=1_000)
    size_bytes: int = Field(ge=1, le=2**53, description="Its exact size.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of its bytes; the later document's id.")
    content_type: str = Field(default="", max_length=201, description="Left out: the media type of its extension.")
    tags: list[str] = Field(default_factory=list, max_length=100, description="Words to find the document by.")


class OpenedUpload(Answer):
    """How to send the file: one request with the method, to the URL, with the headers, and the bytes as its body."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "upload_id": "6f1d0a4c9b7e4e0f8a5c2d1e0f9b8a7c",
                    "url": "http://127.0.0.1:8000/uploads/6f1d0a4c9b7e4e0f8a5c2d1e0f9b8a7c/content?signature=…",
                    "method": "PUT",
                    "headers": {"Content-Type": "application/pdf", "Content-Length": "48211968"},
                    "expires_at": "2026-05-04T10:00:00Z",
                }
            ]
        },
    )

    upload_id: str
    url: str = Field(description="Signed: whoever has it may send these bytes, until it expires. Keep it from others.")
    method: Literal["PUT", "POST"]
    headers: dict[str, str] = Field(description="To be sent as they are.")
    expires_at: str = Field(description="When the upload ends, unless it is completed by then; ISO 8601 in UTC.")


@router.post(
    "",
    status_code=201,
    summary="Open an upload",
    response_model=OpenedUpload,
    responses=problem_docs(400, 413, 415, 422, 429, 503, 504),
)
async def create_upload(wanted: NewUpload, request: Request, callees: Asked, settings: Settings) -> OpenedUpload:
    """Open the upload of a file too large for one request. The answer says where to send its bytes.

    Then complete it with POST /uploads/{upload_id}/complete. What is neither is forgotten.
    """
    if wanted.size_bytes > settings.max_file_bytes:
        detail = f"The file has {wanted.size_bytes:,} bytes; at most {settings.max_file_bytes:,} are taken."
        raise ProblemRaised(413, "FILE_TOO_LARGE", detail, field="size_bytes")
    call = callees.ingest.CreateUpload(
        ingest_service_pb2.CreateUploadRequest(
            filename=wanted.filename,
            size_bytes=wanted.size_bytes,
            sha256=wanted.sha256,
            content_type=wanted.content_type,
            tags=wanted.tags,
        )
    )
    opened = await reply_of(Service.INGEST, call, {"content": "size_bytes", "": "filename"})
    upload_id = bare_id(opened.name)
    expires_at = iso_time(opened.expire_time)
    if opened.HasField("target"):
        return OpenedUpload(
            upload_id=upload_id,
            url=opened.target.url,
            method="POST" if opened.target.method == "POST" else "PUT",
            headers=dict(opened.target.headers),
            expires_at=expires_at,
        )
    link = UploadLink(upload_id, current_caller().tenant, opened.size_bytes, opened.sha256, opened.expire_time.seconds)
    return OpenedUpload(
        upload_id=upload_id,
        url=link.address(str(request.base_url), settings),
        method="PUT",
        headers={"Content-Type": opened.content_type, "Content-Length": str(opened.size_bytes)},
        expires_at=expires_at,
    )


@content_router.put(
    "/{upload_id}/content",
    summary="Send the bytes of an upload",
    response_class=Response,
    responses={
        200: {"description": "All bytes have come."},
        **problem_docs(400, 404, 409, 410, 413, 422, 429, 503, 504),
    },
    openapi_extra=_SENT_BYTES,
)
async def send_content(
    upload_id: UploadId,
    request: Request,
    callees: Asked,
    settings: Settings,
    budget: Budget,
    tenant: Annotated[str, Query(description="As POST /uploads gave it, like all of these.")] = "",
    size_bytes: str = "",
    sha256: str = "",
    expires: str = "",
    signature: str = "",
) -> Response:
    """Take the bytes of an upload in, by the link that POST /uploads gave, once. Needs no key.

    Where files are kept in a bucket, that link leads to the bucket, and this is not served.
    """
    told = {"tenant": tenant, "size_bytes": size_bytes, "sha256": sha256, "expires": expires, "signature": signature}
    try:
        link = link_in(request.url.path, told, settings)
    except LinkRefused as error:
        await drain(request.receive)
        if error.is_over:
            raise ProblemRaised(410, "UPLOAD_EXPIRED", str(error)) from None
        raise ProblemRaised(403, "UPLOAD_LINK_INVALID", str(error), field="signature") from None
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) != link.size_bytes:
        await drain(request.receive)
        raise _other_size(link.size_bytes, int(announced))
    name = f"uploads/{upload_id}"
    coming = request.stream()
    with budget.taken(link.size_bytes):
        try:
            sent_bytes = await write_pieces(callees, name, whole_pieces(coming))
        except CalleeFailed:
            with suppress(TimeoutError):  # many clients read the answer only after their last byte
                async with asyncio.timeout(DRAIN_SECONDS):
                    async for _ in coming:
                        pass
            raise
    if sent_bytes != link.size_bytes:
        raise _other_size(link.size_bytes, sent_bytes)
    return Response(status_code=200)


@router.post(
    "/{upload_id}/complete",
    status_code=202,
    summary="Complete an upload",
    response_model=Job,
    response_model_exclude_unset=True,
    responses={
        202: {"description": "The file is stored; its job goes on.", "headers": LOCATION},
        201: {"model": Job, "description": "The job has ended: the same bytes were known.", "headers": LOCATION},
        **problem_docs(400, 404, 409, 410, 413, 422, 429, 503, 504),
    },
)
async def complete_upload(upload_id: UploadId, callees: Asked, settings: Settings) -> JSONResponse:
    """Check what was sent, and have it made a document. Completed again, the answer is the same job.

    409 says that the bytes have not come whole, 410 that the upload has expired.
    """
    if not _UPLOAD_ID.fullmatch(upload_id):
        raise ProblemRaised(404, "UPLOAD_NOT_FOUND", "There is no such upload.", field="upload_id")
    request = ingest_service_pb2.CompleteUploadRequest(name=f"uploads/{upload_id}")
    call = callees.ingest.CompleteUpload(request, timeout=settings.upload_timeout_seconds)
    started = await reply_of(Service.INGEST, call, {**_FIELDS, "content": "file"})
    is_done = started.job.state == document_pb2.IngestJob.READY
    job = job_answer(started.job)
    return JSONResponse(
        job.model_dump(exclude_unset=True),
        status_code=201 if is_done else 202,
        headers={"Location": f"/jobs/{job.job_id}"},
    )


def _other_size(expected_bytes: int, found_bytes: int) -> ProblemRaised:
    detail = f"The file is not the one announced: expected {expected_bytes:,} bytes, found {found_bytes:,} bytes."
    return ProblemRaised(400, "UPLOAD_MISMATCH", detail, field="Content-Length")
