"""Beginning failed jobs again whose file is still there."""

import logging
from dataclasses import dataclass

from services.ingest.bringing import Bringing
from services.ingest.errors import JobFileGone, JobNotFound, JobNotRetryable
from services.ingest.failing import is_the_files_fault
from services.ingest.models import Document, DocumentState, Job, JobState

logger = logging.getLogger(__name__)


@dataclass
class Retrying:
    """Begins jobs again."""

    bringing: Bringing

    async def retry(self, tenant: str, job_id: str) -> Job:
        """Make a FAILED job QUEUED again, for the next worker. One that goes on is left as it is, and answered.

        Raises: JobNotFound. JobNotRetryable: it is READY, or its bytes became a document or got another job since.
            JobFileGone: it is CANCELLED, or its file is not kept, or not any more. Unreachable: what it left could not
            be removed now.
        """
        jobs, registry = self.bringing.jobs, self.bringing.registry
        job = await jobs.get(tenant, job_id)
        if job is None:
            raise JobNotFound
        if not job.state.is_final:
            return job
        document = await registry.get(tenant, job.document_id)
        _check(job, document)
        if document is not None:
            await self.bringing.deleting.finish(document)
        requeued = await jobs.requeue(tenant, job_id)
        if requeued is None:
            return await self._why_not(tenant, job_id)
        logger.info("job.retried", extra={"job_id": job_id})
        await self.bringing.announce(requeued)
        return requeued

    async def _why_not(self, tenant: str, job_id: str) -> Job:
        """The job, where somebody else has begun it again a moment ago; else the reason is raised."""
        job = await self.bringing.jobs.get(tenant, job_id)
        if job is None:
            raise JobNotFound
        if not job.state.is_final:
            return job
        active = await self.bringing.jobs.find_active(tenant, job.document_id)
        if active is not None:
            raise JobNotRetryable(f"the same bytes are being ingested by jobs/{active.job_id}", state=job.state)
        raise _gone(job)


def _check(job: Job, document: Document | None) -> None:
    if job.state is JobState.READY:
        raise JobNotRetryable("the job has not failed; its document is READY", state=job.state)
    if document is not None and document.state is DocumentState.READY:
        raise JobNotRetryable("the same bytes have become a document since", state=job.state)
    if job.state is not JobState.FAILED or job.file_kept_until is None:
        raise _gone(job)


def _gone(job: Job) -> JobFileGone:
    if job.state is JobState.CANCELLED:
        return JobFileGone("a cancelled job keeps no file; upload the file again", state=job.state)
    if is_the_files_fault(job):
        return JobFileGone("the same bytes would fail again; mend the file and upload it", state=job.state)
    return JobFileGone("the file of the job is not kept any more; upload it again", state=job.state)
