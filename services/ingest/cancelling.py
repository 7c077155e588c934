"""Ending jobs because somebody wants it."""

import logging
from dataclasses import dataclass

from services.ingest.deleting import Deleting
from services.ingest.errors import IngestError, JobFinal, JobNotFound
from services.ingest.models import Job, JobState
from services.ingest.ports import DocumentRegistry, JobStore
from services.ingest.working import JobRunner

logger = logging.getLogger(__name__)


@dataclass
class Cancelling:
    """Cancels jobs, wherever they are being done."""

    jobs: JobStore
    registry: DocumentRegistry
    runner: JobRunner
    deleting: Deleting

    async def cancel(self, tenant: str, job_id: str) -> Job:
        """Stop a job and remove what it has stored; the job, CANCELLED. Repeated, it answers the same.

        Whether it comes in time is decided by the registry: a document is published, or condemned and never published.
        What cannot be removed now is removed by a worker.
        Raises: JobNotFound. JobFinal: it is READY or FAILED. JobStoreUnavailable.
        """
        job = await self._job(tenant, job_id)
        if job.state is JobState.CANCELLED:
            return job
        if job.state.is_final:
            raise JobFinal(job.state)
        doomed = await self.registry.condemn_unready(job)
        if doomed is None:  # published a moment ago; its worker is about to say so
            raise JobFinal(JobState.READY)
        cancelled = await self.jobs.cancel(job_id)
        await self.runner.stop(job_id)
        try:
            await self.deleting.finish(doomed)
        except IngestError as error:
            logger.warning("job.clearing_postponed", extra={"job_id": job_id, "error_kind": type(error).__name__})
        logger.info("job.cancelled", extra={"job_id": job_id})
        job = await self._job(tenant, job_id)
        if not cancelled and job.state is not JobState.CANCELLED:
            raise JobFinal(job.state)
        return job

    async def _job(self, tenant: str, job_id: str) -> Job:
        job = await self.jobs.get(tenant, job_id)
        if job is None:
            raise JobNotFound
        return job
