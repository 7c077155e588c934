"""POST /upload: a file in, a searchable document out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from grpc import StatusCode
from pydantic import Field

from gateway.answer_building import bare_id
from gateway.answers import Answer
from gateway.callees import CalleeFailed, Callees, Service, reply_of
from gateway.context import Asked, Budget, Settings, Stopwatch
from gateway.jobs import LOCATION, Job, job_answer
from gateway.limits import UPLOAD_PATH
from gateway.problems import problem_docs
from gateway.sent_files import SentFile, sent_file, write_pieces
from gateway.settings import GatewaySettings
from protos.ingest.v1 import document_pb2, ingest_service_pb2
from services.transport.errors import TRANSPORT_DOMAIN

router = APIRouter(tags=["documents"])

_JOBS_SEARCHED = 200
_GIVEN_UP = (document_pb2.IngestJob.FAILED, document_pb2.IngestJob.CANCELLED)
_MEDIA_TYPES = (
    "text/plain",
    "text/markdown",
    "text/csv",
    "text/html",
    "application/json",
    "application/pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "message/rfc822",
)
_FILE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "The file, with its name. /stats lists the extensions served.",
                        },
                        "tags": {
                            "type": "array",
                            "items": {"type": "string"},
                            "description": "Words to find the document by, each of 1 to 50 characters, 50 at most; the "
                            "part repeated, or several in one with commas between them.",
                        },
                    },
                },
                "encoding": {"file": {"contentType": ", ".join(_MEDIA_TYPES)}},
            }
        },
    }
}
_TAKES_LONGER: dict[int | str, dict[str, object]] = {
    202: {
        "model": Job,
        "description": "The file is stored, and not waited for any longer; the job goes on and tells its end.",
        "headers": LOCATION,
    }
}


_PARTS = {"filename": "file", "content": "file", "": "file"}


class Uploaded(Answer):
    """The document that an upload became, or was already."""

    status: Literal["success"]
    filename: str = Field(examples=["handbook.md"])
    document_id: str = Field(description="SHA-256 of the bytes.", pattern="^[0-9a-f]{64}$")
    chunks_created: int = Field(ge=0, description="Number of the document's chunks.")
    total_tokens: int = Field(ge=0)
    file_size_bytes: int = Field(ge=0)
    storage_backend: Literal["local", "s3"]
    cache_hit: bool = Field(description="True when the same bytes were there: nothing was parsed or embedded.")
    processing_time_ms: float = Field(ge=0)


@router.post(
    UPLOAD_PATH,
    status_code=201,
    summary="Upload a file",
    response_model=Uploaded,
    responses={**_TAKES_LONGER, **problem_docs(400, 413, 415, 422, 429, 503, 504)},
    openapi_extra=_FILE_BODY,
)
async def upload(
    request: Request,
    callees: Asked,
    settings: Settings,
    budget: Budget,
    mode: Annotated[
        Literal["wait", "async"] | None,
        Query(description="`async`: answer 202 with the job at once. `wait`: wait also for a large file."),
    ] = None,
) -> Uploaded | JSONResponse:
    """Store a file, and wait until it is parsed and searchable. The same bytes again cost nothing.

    With `?mode=async`, and without a mode for a large file (`limits.async_file_bytes` of GET /info), the answer is 202
    with the job as soon as the file is stored. A file that takes longer than the wait is answered so, too.
    """
    stopwatch = Stopwatch()
    announced = request.headers.get("content-length", "")
    with budget.taken(int(announced) if announced.isdigit() else settings.max_file_bytes):
        async with sent_file(request, settings.max_file_bytes) as file:
            handed = await _handed_on(callees, file, in_pieces=settings.goes_in_pieces(file.size_bytes))
            is_large = file.size_bytes > settings.async_file_bytes
    if mode == "async" or (mode is None and is_large):
        started = await _started(callees, handed, settings)
        if mode is None and started.HasField("document"):  # large, and known already
            return _uploaded(started, handed.filename, stopwatch, cache_hit=True)
        return _accepted(job_answer(started.job))
    wanted = ingest_service_pb2.IngestDocumentRequest(
        filename=handed.filename, content=handed.content, tags=handed.tags, upload=handed.upload
    )
    try:
        waiting = callees.ingest.IngestDocument(wanted, timeout=settings.upload_timeout_seconds)
        reply = await reply_of(Service.INGEST, waiting, _PARTS)
    except CalleeFailed as error:
        job = await _job_after(error, callees, handed.document_id)
        if job is None:
            raise
        return _accepted(job)
    return _uploaded(reply, handed.filename, stopwatch, cache_hit=reply.cache_hit)


@dataclass(frozen=True)
class _Handed:
    """A file that came: either its bytes, where it is small, or the name of the upload that holds them."""

    filename: str
    tags: Sequence[str]
    document_id: str
    content: bytes = b""
    upload: str = ""


async def _handed_on(callees: Callees, file: SentFile, *, in_pieces: bool) -> _Handed:
    document_id = await file.sha256()
    handed = _Handed(file.filename, file.tags, document_id)
    if not in_pieces:
        return replace(handed, content=await file.content())
    # On its way it is on the disk only, here and there. Whole in one message, it would be in memory some times over.
    call = callees.ingest.CreateUpload(
        ingest_service_pb2.CreateUploadRequest(
            filename=file.filename, size_bytes=file.size_bytes, sha256=document_id, tags=file.tags, by_write=True
        )
    )
    upload = await reply_of(Service.INGEST, call, _PARTS)
    await write_pieces(callees, upload.name, file.pieces())
    return replace(handed, upload=upload.name)


async def _started(
    callees: Callees, handed: _Handed, settings: GatewaySettings
) -> ingest_service_pb2.StartIngestResponse:
    if handed.upload:
        complete = ingest_service_pb2.CompleteUploadRequest(name=handed.upload)
        completing = callees.ingest.CompleteUpload(complete, timeout=settings.upload_timeout_seconds)
        return await reply_of(Service.INGEST, completing, _PARTS)
    start = ingest_service_pb2.StartIngestRequest(filename=handed.filename, content=handed.content, tags=handed.tags)
    starting = callees.ingest.StartIngest(start, timeout=settings.upload_timeout_seconds)
    return await reply_of(Service.INGEST, starting, _PARTS)


def _accepted(job: Job) -> JSONResponse:
    headers = {"Location": f"/jobs/{job.job_id}"}
    return JSONResponse(job.model_dump(exclude_unset=True), status_code=202, headers=headers)


def _uploaded(
    reply: ingest_service_pb2.IngestDocumentResponse | ingest_service_pb2.StartIngestResponse,
    filename: str,
    stopwatch: Stopwatch,
    *,
    cache_hit: bool,
) -> Uploaded:
    document = reply.document
    return Uploaded(
        status="success",
        filename=filename,
        document_id=bare_id(document.name),
        chunks_created=document.chunk_count,
        total_tokens=document.token_count,
        file_size_bytes=document.size_bytes,
        storage_backend="s3" if reply.storage_backend == "s3" else "local",
        cache_hit=cache_hit,
        processing_time_ms=stopwatch.elapsed_ms,
    )


async def _job_after(error: CalleeFailed, callees: Callees, document_id: str) -> Job | None:
    """The job that goes on although the call has ended; None when the call failed, or no job can be found."""
    if error.failure.reason == "WORK_GOES_ON":
        request = ingest_service_pb2.GetJobRequest(name=error.failure.metadata.get("job", ""))
        with suppress(CalleeFailed):
            return job_answer(await reply_of(Service.INGEST, callees.ingest.GetJob(request)))
    elif _ran_out_of_time(error):
        return await _job_under_way(callees, document_id)
    return None


def _ran_out_of_time(error: CalleeFailed) -> bool:
    """Whether the wait ended, and not the work: what the service itself calls too long is another failure."""
    return error.failure.domain == TRANSPORT_DOMAIN and error.failure.code is StatusCode.DEADLINE_EXCEEDED


async def _job_under_way(callees: Callees, document_id: str) -> Job | None:
    """The newest job of these bytes that has not failed; None when none is found, or jobs cannot be read."""
    document = f"documents/{document_id}"
    request = ingest_service_pb2.ListJobsRequest(page_size=_JOBS_SEARCHED)
    try:
        reply = await reply_of(Service.INGEST, callees.ingest.ListJobs(request))
    except CalleeFailed:
        return None
    found = (job for job in reply.jobs if job.document == document and job.state not in _GIVEN_UP)
    return next((job_answer(job) for job in found), None)
