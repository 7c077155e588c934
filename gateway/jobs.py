"""GET /jobs and GET /jobs/{id}: the work of ingesting, while it goes on and afterwards; cancelling and retrying it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from gateway.answer_building import bare_id
from gateway.answers import Answer
from gateway.callees import Service, reply_of
from gateway.context import Asked
from gateway.page_notes import PageNote, page_notes_answer
from gateway.paging import PageSize, PageToken
from gateway.problems import ProblemRaised, problem_docs
from gateway.questions import NoFields
from gateway.values import iso_time
from protos.ingest.v1 import document_pb2, ingest_service_pb2

router = APIRouter(prefix="/jobs", tags=["documents"])

_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_STATE = document_pb2.IngestJob.State

JobId = Annotated[
    str,
    Path(
        description="Id of a job. Anything else is not found.",
        json_schema_extra={"pattern": "^[A-Za-z0-9_-]{1,128}$"},
    ),
]


LOCATION = {"Location": {"description": "Path of the job.", "required": True, "schema": {"type": "string"}}}
JobState = Literal["QUEUED", "FETCHING", "PARSING", "CHUNKING", "INDEXING", "READY", "FAILED", "CANCELLED"]
_FIELDS = {"name": "job_id", "": "job_id"}


class JobProgress(Answer):
    """How far a job is. It is told once a second at most."""

    pages_done: int = Field(ge=0)
    pages_total: int = Field(ge=0, description="0 until it is known, and where the format has no pages.")
    chunks_done: int = Field(ge=0)
    chunks_total: int = Field(ge=0, description="0 until the text is cut.")


class Job(Answer):
    """The ingest of one file."""

    job_id: str
    document_id: str
    filename: str
    state: JobState
    failure_reason: str = Field(default="", description="Machine-readable; left out unless it failed.")
    failure_detail: str = Field(default="", description="For a person; left out unless it failed.")
    retry_until: str = Field(
        default="", description="Until when POST /jobs/{job_id}/retry can begin it again; left out where it cannot."
    )
    attempt_count: int
    progress: JobProgress
    page_notes: list[PageNote] = Field(
        default_factory=list,
        description="Pages that could not be read, of a job that is READY; left out where there are none. 200 at most.",
    )
    indexed_chunk_count: int
    total_chunk_count: int
    created_at: str
    updated_at: str


class JobList(Answer):
    """Jobs, newest first."""

    jobs: list[Job]
    next_page_token: str | None = Field(description="Token of the next page; null on the last.")


@router.get(
    "",
    summary="List jobs",
    response_model=JobList,
    response_model_exclude_unset=True,
    responses=problem_docs(400, 422, 503, 504),
)
async def list_jobs(
    callees: Asked,
    page_size: PageSize = 50,
    page_token: PageToken = "",
    state: Annotated[JobState | None, Query(description="Only jobs in this state.", examples=["FAILED"])] = None,
) -> JobList:
    """The ingest jobs, newest first; those that were given up with `?state=FAILED`."""
    request = ingest_service_pb2.ListJobsRequest(
        page_size=page_size,
        page_token=page_token,
        state=_STATE.STATE_UNSPECIFIED if state is None else _STATE.Value(state),
    )
    reply = await reply_of(Service.INGEST, callees.ingest.ListJobs(request), {"": "page_token"})
    return JobList(jobs=[job_answer(job) for job in reply.jobs], next_page_token=reply.next_page_token or None)


@router.get(
    "/{job_id}",
    summary="One job",
    response_model=Job,
    response_model_exclude_unset=True,
    responses=problem_docs(404, 422, 503, 504),
)
async def get_job(job_id: JobId, callees: Asked) -> Job:
    """Where a job stands."""
    call = callees.ingest.GetJob(ingest_service_pb2.GetJobRequest(name=_job_name(job_id)))
    return job_answer(await reply_of(Service.INGEST, call, _FIELDS, unknown="JOB_NOT_FOUND"))


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a job",
    response_model=Job,
    response_model_exclude_unset=True,
    responses=problem_docs(400, 404, 409, 413, 415, 422, 503, 504),
)
async def cancel_job(job_id: JobId, callees: Asked, body: NoFields | None = None) -> Job:
    """Stop a job wherever it is being done, and remove what it has stored. Cancelling again changes nothing.

    A job that is READY or FAILED cannot be cancelled (409); DELETE /documents/{document_id} removes a document.
    """
    call = callees.ingest.CancelJob(ingest_service_pb2.CancelJobRequest(name=_job_name(job_id)))
    return job_answer(await reply_of(Service.INGEST, call, _FIELDS, unknown="JOB_NOT_FOUND"))


@router.post(
    "/{job_id}/retry",
    status_code=202,
    summary="Retry a job",
    response_model=Job,
    response_model_exclude_unset=True,
    responses={202: {"headers": LOCATION}, **problem_docs(400, 404, 409, 410, 413, 415, 422, 503, 504)},
)
async def retry_job(job_id: JobId, callees: Asked, response: Response, body: NoFields | None = None) -> Job:
    """Begin a failed job again while its file is kept: until `retry_until`. A job that goes on is left as it is.

    410 says that the file is gone: upload it again. 409: the job did not fail, or its bytes were uploaded again since.
    """
    call = callees.ingest.RetryJob(ingest_service_pb2.RetryJobRequest(name=_job_name(job_id)))
    job = job_answer(await reply_of(Service.INGEST, call, _FIELDS, unknown="JOB_NOT_FOUND"))
    response.headers["Location"] = f"/jobs/{job.job_id}"
    return job


def _job_name(job_id: str) -> str:
    if not _JOB_ID.fullmatch(job_id):
        raise ProblemRaised(404, "JOB_NOT_FOUND", "There is no such job.", field="job_id")
    return f"jobs/{job_id}"


def job_answer(job: document_pb2.IngestJob) -> Job:
    """A job as the REST surface shows it."""
    fields: dict[str, Any] = {
        "job_id": bare_id(job.name),
        "document_id": bare_id(job.document),
        "filename": job.filename,
        "state": _STATE.Name(job.state),
        "attempt_count": job.attempt_count,
        "progress": JobProgress(
            pages_done=job.parsed_page_count,
            pages_total=job.total_page_count,
            chunks_done=job.indexed_chunk_count,
            chunks_total=job.total_chunk_count,
        ),
        "indexed_chunk_count": job.indexed_chunk_count,
        "total_chunk_count": job.total_chunk_count,
        "created_at": iso_time(job.create_time),
        "updated_at": iso_time(job.update_time),
    }
    if job.failure_reason:
        fields |= {"failure_reason": job.failure_reason, "failure_detail": job.failure_detail}
    if job.HasField("retry_end_time"):
        fields["retry_until"] = iso_time(job.retry_end_time)
    if job.page_notes:
        fields["page_notes"] = page_notes_answer(job.page_notes)
    return Job(**fields)
