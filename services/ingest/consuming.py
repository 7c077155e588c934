"""Doing the jobs that messages of a queue name.

The job store is the truth. A message is a hint where to look: when its job is unknown, final, or somebody else's by
now, there is nothing to do. So a message that comes twice, late or out of turn doubles nothing, and of a job whose
message is lost workers learn from the store.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from services.ingest.errors import IngestError, JobFailed, JobQueueUnavailable, JobStoreUnavailable, Unreachable
from services.ingest.failing import ATTEMPTS_EXHAUSTED
from services.ingest.models import JobMessage
from services.ingest.ports import JobMessages, JobStore
from services.ingest.stopping import stopped
from services.ingest.working import JobRunner

logger = logging.getLogger(__name__)

_LONGEST_PAUSE_SECONDS = 900.0
_LONGEST_MARGIN_SECONDS = 5.0
_MARGIN_SHARE = 0.1
_ENOUGH_TO_BEGIN_SECONDS = 15.0
_ENOUGH_SHARE = 0.25


@dataclass
class WorkingTime:
    """The time of one run of a function: a little is kept for recording what was not finished."""

    seconds: float
    _began_at: float = field(default_factory=time.monotonic)

    @property
    def left_seconds(self) -> float:
        margin = min(_LONGEST_MARGIN_SECONDS, self.seconds * _MARGIN_SHARE)
        return self.seconds - margin - (time.monotonic() - self._began_at)

    def may_begin(self) -> bool:
        """Whether another job may be begun, which would be cut off too soon otherwise."""
        return self.left_seconds >= min(_ENOUGH_TO_BEGIN_SECONDS, self.seconds * _ENOUGH_SHARE)


@dataclass
class Consuming:
    """Takes messages of the queue.

    Attributes:
        keep_seconds: how long a received message is kept from others at a time, while its job is being done.
        first_pause_seconds: after how long a message comes again whose job could not be finished; twice as long after
            each further time.
        retry_seconds: how long to wait when the queue is away.
    """

    jobs: JobStore
    runner: JobRunner
    messages: JobMessages
    keep_seconds: float = 60.0
    first_pause_seconds: float = 30.0
    retry_seconds: float = 5.0
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _working: set[asyncio.Task[bool]] = field(default_factory=set)

    async def take_up(self, message: JobMessage) -> bool:
        """Do the message's job. False: it is to come again, or to be set aside where this was its last time."""
        if message.job_id is None:
            logger.error("message.unreadable", extra={"message_id": message.message_id})
            return False
        try:
            leased = await self.jobs.claim(message.job_id, lease_seconds=self.runner.lease_seconds)
            if leased is None:
                logger.info("message.pointless", extra={"job_id": message.job_id})
                return True
            await self.runner.run(leased)
        except Unreachable as error:
            logger.warning("message.unfinished", extra={"job_id": message.job_id, "error_kind": type(error).__name__})
            await self._give_up_after_last(message)
            return False
        except IngestError as error:  # recorded with the job
            logger.info("job.ended", extra={"job_id": message.job_id, "error_kind": type(error).__name__})
        except Exception as error:
            # Recorded as well, if it could be: the message tells when it comes again.
            logger.error("message.stumbled", exc_info=error, extra={"job_id": message.job_id})
            return False
        return True

    async def take_up_all(self, messages: Sequence[JobMessage], working_time: WorkingTime) -> list[JobMessage]:
        """Do the jobs of messages, one after the other, while there is time. Returns those that are to come again."""
        unfinished: list[JobMessage] = []
        for message in messages:
            if message.job_id is not None and not working_time.may_begin():
                logger.info("message.postponed", extra={"job_id": message.job_id})
                done, pause_seconds = False, 0.0
            else:
                done, pause_seconds = await self._take_up_within(working_time.left_seconds, message)
            if not done:
                unfinished.append(message)
                await self._let_come_again(message, pause_seconds)
        return unfinished

    async def _take_up_within(self, seconds: float, message: JobMessage) -> tuple[bool, float]:
        """Whether the message is done, and if not how long it should rest."""
        try:
            async with asyncio.timeout(seconds):
                done = await self.take_up(message)
        except TimeoutError:  # the job was given back as it stands
            logger.warning("message.cut_off", extra={"job_id": message.job_id})
            await self._give_up_after_last(message)
            return False, 0.0
        return done, self._pause_seconds(message)

    async def _give_up_after_last(self, message: JobMessage) -> None:
        """The queue sets the message aside now; a job that went on waiting would tell another story."""
        if not message.is_last or message.job_id is None:
            return
        with suppress(JobStoreUnavailable):
            leased = await self.jobs.claim(message.job_id, lease_seconds=self.runner.lease_seconds)
            if leased is not None:
                times = leased.job.attempt_count - 1
                error = JobFailed(ATTEMPTS_EXHAUSTED, f"the file could not be ingested in {times} attempts")
                await self.runner.give_up(leased, error)

    def _pause_seconds(self, message: JobMessage) -> float:
        if message.job_id is None:
            return 0.0  # no better later: on its way to be set aside
        return min(self.first_pause_seconds * 2.0 ** min(message.receive_count - 1, 20), _LONGEST_PAUSE_SECONDS)

    async def _let_come_again(self, message: JobMessage, seconds: float) -> None:
        # Untold, the queue delivers it again when it has waited long enough by itself.
        with suppress(JobQueueUnavailable):
            await self.messages.keep(message, seconds=seconds)

    @asynccontextmanager
    async def listening(self, count: int) -> AsyncIterator[None]:
        """Receive messages and do their jobs, so many at a time; what is under way at the end is given back."""
        listeners = [asyncio.create_task(self._listen()) for _ in range(count)]
        try:
            yield
        finally:
            self._stopping.set()
            for work in list(self._working):
                work.cancel()
            # Not cancelled themselves: a receive under way may just have got a message, which is to go back.
            await asyncio.gather(*listeners, return_exceptions=True)

    async def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                for message in await self.messages.receive():
                    await self._serve(message)
            except JobQueueUnavailable:
                await self._rest()
            except Exception as error:
                # A listener that ended over one odd message would leave all others lying.
                logger.error("listener.stumbled", exc_info=error)
                await self._rest()

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), self.retry_seconds)

    async def _serve(self, message: JobMessage) -> None:
        if self._stopping.is_set():
            await self._let_come_again(message, 0)
            return
        work = asyncio.create_task(self.take_up(message))
        beat = asyncio.create_task(self._keep(message))
        self._working.add(work)
        try:
            await asyncio.wait({work})
        finally:
            self._working.discard(work)
            await stopped(work, beat)
        if not work.cancelled() and work.result():
            await self.messages.remove(message)
        else:
            await self._let_come_again(message, 0 if work.cancelled() else self._pause_seconds(message))

    async def _keep(self, message: JobMessage) -> None:
        while True:
            await asyncio.sleep(self.keep_seconds / 3)
            # Lost, the message comes again and finds the job held or done.
            with suppress(JobQueueUnavailable):
                await self.messages.keep(message, seconds=self.keep_seconds)
