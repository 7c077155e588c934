"""GET /jobs and GET /jobs/{id}: the work of ingesting, while it goes on and afterwards."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import Field

from gateway.answer_building import bare_id
from gateway.answers import Answer
from gateway.callees import Service, reply_of
from gateway.context import Asked
from gateway.paging import PageSize, PageToken
from gateway.problems import ProblemRaised, problem_docs
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


class Job(Answer):
    """The ingest of one file."""

    job_id: str
    document_id: str
    filename: str
    state: Literal["QUEUED", "FETCHING", "PARSING", "CHUNKING", "INDEXING", "READY", "FAILED", "CANCELLED"]
    failure_reason: str = Field(default="", description="Machine-readable; left out unless it failed.")
    failure_detail: str = Field(default="", description="For a person; left out unless it failed.")
    attempt_count: int
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
async def list_jobs(callees: Asked, page_size: PageSize = 50, page_token: PageToken = "") -> JobList:
    """The ingest jobs, newest first."""
    request = ingest_service_pb2.ListJobsRequest(page_size=page_size, page_token=page_token)
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
    if not _JOB_ID.fullmatch(job_id):
        raise ProblemRaised(404, "JOB_NOT_FOUND", "There is no such job.", field="job_id")
    request = ingest_service_pb2.GetJobRequest(name=f"jobs/{job_id}")
    call = callees.ingest.GetJob(request)
    return job_answer(await reply_of(Service.INGEST, call, {"name": "job_id", "": "job_id"}, unknown="JOB_NOT_FOUND"))


def job_answer(job: document_pb2.IngestJob) -> Job:
    """A job as the REST surface shows it."""
    fields: dict[str, Any] = {
        "job_id": bare_id(job.name),
        "document_id": bare_id(job.document),
        "filename": job.filename,
        "state": _STATE.Name(job.state),
        "attempt_count": job.attempt_count,
        "indexed_chunk_count": job.indexed_chunk_count,
        "total_chunk_count": job.total_chunk_count,
        "created_at": iso_time(job.create_time),
        "updated_at": iso_time(job.update_time),
    }
    if job.failure_reason:
        fields |= {"failure_reason": job.failure_reason, "failure_detail": job.failure_detail}
    return Job(**fields)
