"""Telling the store of jobs how far a job is: each state at once, what is counted within it at a bounded rate."""

import asyncio
from dataclasses import dataclass, field, replace

from services.ingest.errors import JobStoreUnavailable, LeaseLost
from services.ingest.models import JobState, LeasedJob
from services.ingest.ports import JobStore


@dataclass
class ProgressTeller:
    """Tells of one job. Counts are told at most once in `interval_seconds`; of those in between the last one counts."""

    jobs: JobStore
    leased: LeasedJob
    interval_seconds: float = 1.0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _telling: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._state = self.leased.job.state
        self._progress = self.leased.job.progress

    async def enter(self, state: JobState, **counts: int) -> None:
        """Record a state, and counts that are known with it. Raises LeaseLost, JobStoreUnavailable."""
        async with self._telling:
            self._state, self._progress = state, replace(self._progress, **counts)
            self._changed.clear()
            await self.jobs.advance(self.leased, state, self._progress)

    def count(self, **counts: int) -> None:
        """Have these counts told soon."""
        self._progress = replace(self._progress, **counts)
        self._changed.set()

    async def tell(self) -> None:
        """Record what is counted. Returns when the lease is lost, and not before."""
        while True:
            await self._changed.wait()
            async with self._telling:  # a state entered meanwhile must not be overwritten by the one before
                self._changed.clear()
                try:
                    await self.jobs.advance(self.leased, self._state, self._progress)
                except LeaseLost:
                    return
                except JobStoreUnavailable:
                    self._changed.set()  # the work goes on without; the next time may do
            await asyncio.sleep(self.interval_seconds)
