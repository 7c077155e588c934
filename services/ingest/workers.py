"""Background work: taking up jobs that nobody works on, and finishing what was cut short."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.ingest.deleting import Deleting
from services.ingest.errors import IngestError
from services.ingest.imaging import Imaging
from services.ingest.ports import JobStore
from services.ingest.stopping import stopped
from services.ingest.working import JobRunner

logger = logging.getLogger(__name__)


@dataclass
class Workers:
    """Looks for work every `poll_seconds`, with `count` jobs at a time."""

    jobs: JobStore
    runner: JobRunner
    deleting: Deleting
    imaging: Imaging
    count: int = 2
    poll_seconds: float = 2.0

    async def run(self) -> None:
        """Work until cancelled; what is being done then is given back."""
        chores = [self.take_up_due] * self.count + [
            self.deleting.settle_all,
            self.deleting.forget_outdated,
            self.imaging.resume,
        ]
        tasks = [asyncio.create_task(self._repeat(chore)) for chore in chores]
        try:
            await asyncio.wait(tasks)
        finally:
            await stopped(*tasks)

    async def take_up_due(self, *, may_begin: Callable[[], bool] = lambda: True) -> None:
        """Do every job that is due, one after the other, as long as another may begin.

        A job that fails is recorded as such and is no error here. Raises JobStoreUnavailable.
        """
        while may_begin():
            leased = await self.jobs.claim_due(lease_seconds=self.runner.lease_seconds)
            if leased is None:
                return
            logger.info("job.taken_up", extra={"job_id": leased.job.job_id, "attempt_count": leased.job.attempt_count})
            try:
                await self.runner.run(leased)
            except IngestError as error:
                logger.info("job.ended", extra={"job_id": leased.job.job_id, "error_kind": type(error).__name__})

    async def _repeat(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except IngestError as error:  # the store of jobs is away; it comes back
                logger.warning("worker.waiting", extra={"error_kind": type(error).__name__})
            except Exception as error:
                # A worker that ended over one odd job would leave all others undone.
                logger.error("worker.stumbled", exc_info=error)
            await asyncio.sleep(self.poll_seconds)
