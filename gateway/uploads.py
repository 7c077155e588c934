"""POST /upload: a file in, a searchable document out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from grpc import StatusCode
from pydantic import Field
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from gateway.answer_building import bare_id
from gateway.answers import Answer
from gateway.callees import CalleeFailed, Callees, Service, reply_of
from gateway.context import Asked, Settings, Stopwatch
from gateway.jobs import LOCATION, Job, job_answer
from gateway.limits import UPLOAD_PATH, file_too_large
from gateway.problems import ProblemRaised, problem_docs
from protos.ingest.v1 import document_pb2, ingest_service_pb2
from services.transport.errors import TRANSPORT_DOMAIN

router = APIRouter(tags=["documents"])

_MAX_PARTS = 60  # the file, and tags one by one
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
    filename, content, tags = await _read_form(request, settings.max_file_bytes)
    if mode == "async" or (mode is None and len(content) > settings.async_file_bytes):
        start = ingest_service_pb2.StartIngestRequest(filename=filename, content=content, tags=tags)
        call = callees.ingest.StartIngest(start, timeout=settings.upload_timeout_seconds)
        started = await reply_of(Service.INGEST, call, _PARTS)
        if mode is None and started.HasField("document"):  # large, and known already
            return _uploaded(started, filename, stopwatch, cache_hit=True)
        return _accepted(job_answer(started.job))
    wanted = ingest_service_pb2.IngestDocumentRequest(filename=filename, content=content, tags=tags)
    try:
        waiting = callees.ingest.IngestDocument(wanted, timeout=settings.upload_timeout_seconds)
        reply = await reply_of(Service.INGEST, waiting, _PARTS)
    except CalleeFailed as error:
        job = await _job_after(error, callees, content)
        if job is None:
            raise
        return _accepted(job)
    return _uploaded(reply, filename, stopwatch, cache_hit=reply.cache_hit)


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


async def _job_after(error: CalleeFailed, callees: Callees, content: bytes) -> Job | None:
    """The job that goes on although the call has ended; None when the call failed, or no job can be found."""
    if error.failure.reason == "WORK_GOES_ON":
        request = ingest_service_pb2.GetJobRequest(name=error.failure.metadata.get("job", ""))
        with suppress(CalleeFailed):
            return job_answer(await reply_of(Service.INGEST, callees.ingest.GetJob(request)))
    elif _ran_out_of_time(error):
        return await _job_under_way(callees, content)
    return None


def _ran_out_of_time(error: CalleeFailed) -> bool:
    """Whether the wait ended, and not the work: what the service itself calls too long is another failure."""
    return error.failure.domain == TRANSPORT_DOMAIN and error.failure.code is StatusCode.DEADLINE_EXCEEDED


async def _job_under_way(callees: Callees, content: bytes) -> Job | None:
    """The newest job of these bytes that has not failed; None when none is found, or jobs cannot be read."""
    document = f"documents/{hashlib.sha256(content).hexdigest()}"
    request = ingest_service_pb2.ListJobsRequest(page_size=_JOBS_SEARCHED)
    try:
        reply = await reply_of(Service.INGEST, callees.ingest.ListJobs(request))
    except CalleeFailed:
        return None
    found = (job for job in reply.jobs if job.document == document and job.state not in _GIVEN_UP)
    return next((job_answer(job) for job in found), None)


async def _read_form(request: Request, max_file_bytes: int) -> tuple[str, bytes, list[str]]:
    """Name and bytes of the one part `file`, and the tags. Raises ProblemRaised."""
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
        if file.size is not None and file.size > max_file_bytes:
            raise file_too_large(max_file_bytes)
        return file.filename or "", await file.read(), _tags(form.getlist("tags"))
    finally:
        await form.close()


def _tags(parts: Sequence[UploadFile | str]) -> list[str]:
    """Tags as they came, several in a part or one. Whether they may be so is for their owner to say."""
    if not all(isinstance(part, str) for part in parts):
        raise ProblemRaised(422, "REQUEST_INVALID", "A part `tags` is text, not a file.", field="tags")
    return [tag.strip() for part in parts if isinstance(part, str) and part.strip() for tag in part.split(",")]
