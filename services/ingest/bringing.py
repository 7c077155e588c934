"""Bringing the bytes of an upload to a READY document: once, by whichever caller, process or worker comes to it."""

import asyncio
import logging
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from services.ingest.deleting import Deleting
from services.ingest.errors import (
    FileRefused,
    IngestError,
    JobCancelled,
    JobQueueUnavailable,
    LeaseLost,
    RemovalUnderWay,
    Unreachable,
)
from services.ingest.failing import failure_of, is_the_files_fault
from services.ingest.models import Document, DocumentState, Job, JobState, LeasedJob, NewJob, Upload
from services.ingest.ports import DocumentRegistry, FileStore, JobQueue, JobStore
from services.ingest.stopping import stopped
from services.ingest.working import JobRunner

logger = logging.getLogger(__name__)

_ANNOUNCING_SECONDS = 1.0


@dataclass
class _Effort:
    """Work on the bytes of an upload. `accepted` is the job, as soon as it is recorded and its file stored."""

    extension: str
    accepted: asyncio.Future[Job]
    task: asyncio.Task[bool]

    async def accepted_or_ended(self) -> None:
        waited_for: set[asyncio.Future[Any]] = {self.accepted, self.task}
        await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)


@dataclass
class Bringing:
    """Brings documents to READY; callers with the same bytes share one effort.

    Attributes:
        queue: tells workers elsewhere of a job that is given back.
        outlive_calls: whether the work goes on when its caller has gone. Where the process is frozen after a call, it
            is given back instead, for the next caller or worker.
        poll_seconds: how often to look at what another process does.
    """

    jobs: JobStore
    registry: DocumentRegistry
    files: FileStore
    runner: JobRunner
    deleting: Deleting
    queue: JobQueue
    outlive_calls: bool = True
    poll_seconds: float = 0.25
    _efforts: dict[tuple[str, str], _Effort] = field(default_factory=dict)
    _closed: bool = False

    async def close(self) -> None:
        """Stop all work; what is not done is given back for another process to take up."""
        self._closed = True
        await stopped(*(effort.task for effort in self._efforts.values()))

    async def bring(self, upload: Upload, request_id: str) -> bool:
        """Bring the document to READY. Returns whether this call did the work."""
        while True:
            effort = self._efforts.get(upload.key)
            mine = effort is None
            effort = effort or self._begin(upload, request_id)
            try:
                if not mine:
                    await self._join(effort, upload)
                worked = await asyncio.shield(effort.task)
            except asyncio.CancelledError:
                me = asyncio.current_task()
                if effort.task.cancelled() and me is not None and not me.cancelling() and not self._closed:
                    continue  # another call began the work and took it with it when it ended; this one goes on
                if mine and not self.outlive_calls:
                    await stopped(effort.task)
                raise
            except FileRefused:
                if effort.extension == upload.extension:
                    raise
                continue  # as another kind of file the same bytes may do
            return worked and mine

    async def accept(self, upload: Upload, request_id: str) -> Job | None:
        """Record the work and store the file, and have it done without the caller: its job.

        None when something else has to end first: look again in a moment.
        """
        active = await self.jobs.find_active(upload.tenant, upload.document_id)
        if active is not None and await self.jobs.is_held(upload.tenant, active.job_id):
            return await self._joined(active, upload)
        if not self.outlive_calls:
            return await self._hand_on(active, upload, request_id)
        if upload.key in self._efforts:
            return None
        effort = self._begin(upload, request_id)
        await effort.accepted_or_ended()
        if effort.accepted.done() and not effort.accepted.cancelled():
            return effort.accepted.result()
        effort.task.result()
        return None

    async def announce(self, job: Job, *, delay_seconds: float = 0) -> None:
        """Tell workers elsewhere of a job given back. Untold, they find it by looking into the store."""
        try:
            async with asyncio.timeout(_ANNOUNCING_SECONDS):
                await self.queue.announce(job.job_id, delay_seconds=delay_seconds)
        except (JobQueueUnavailable, TimeoutError) as error:
            logger.warning("job.unannounced", extra={"job_id": job.job_id, "error_kind": type(error).__name__})

    async def record_known(self, upload: Upload, request_id: str, document: Document) -> Job | None:
        """A job for an upload of bytes that are READY already. None: look again in a moment."""
        leased = await self.jobs.create(_new_job(upload, request_id), lease_seconds=self.runner.lease_seconds)
        if leased is None:
            return await self.jobs.find_active(upload.tenant, upload.document_id)
        with suppress(LeaseLost):
            await self.runner.close(leased, document)
        return await self.jobs.get(upload.tenant, leased.job.job_id)

    async def _joined(self, job: Job, upload: Upload) -> Job | None:
        if job.extension != upload.extension or not await self.jobs.join(job.job_id, upload.filename):
            return None
        if job.state is JobState.QUEUED:  # whoever made it may vanish before its file is stored
            await self._restore_bytes(job, upload)
        return job

    async def _hand_on(self, active: Job | None, upload: Upload, request_id: str) -> Job | None:
        if active is not None:
            joined = await self._joined(active, upload)
            if joined is not None:
                await self.announce(joined)
            return joined
        if not await self._is_clear(upload):
            return None
        leased = await self._open_job(upload, request_id)
        if leased is None:
            return None
        await self.jobs.release(leased, pause_seconds=0)
        await self.announce(leased.job)
        return await self.jobs.get(upload.tenant, leased.job.job_id) or leased.job

    def _begin(self, upload: Upload, request_id: str) -> _Effort:
        accepted: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        effort = _Effort(upload.extension, accepted, asyncio.create_task(self._bring(upload, request_id, accepted)))
        self._efforts[upload.key] = effort
        effort.task.add_done_callback(lambda done: self._forget(upload.key, done))
        return effort

    def _forget(self, key: tuple[str, str], task: asyncio.Task[bool]) -> None:
        self._efforts.pop(key, None)
        if not task.cancelled():
            task.exception()  # looked at, so that an error nobody waits for any more is not complained about

    async def _join(self, effort: _Effort, upload: Upload) -> None:
        """Have the name of an upload that shares an effort kept with its job, whoever may finish that."""
        await effort.accepted_or_ended()
        if effort.accepted.done() and effort.extension == upload.extension:
            await self.jobs.join(effort.accepted.result().job_id, upload.filename)

    async def _bring(self, upload: Upload, request_id: str, accepted: asyncio.Future[Job]) -> bool:
        while True:
            document = await self.registry.get(upload.tenant, upload.document_id)
            if document is not None and document.state is DocumentState.READY:
                return False
            if not await self._is_clear(upload):
                await asyncio.sleep(self.poll_seconds)
                continue
            active = await self.jobs.find_active(upload.tenant, upload.document_id)
            if active is None:
                leased = await self._open_job(upload, request_id)
                if leased is None:
                    request_id = await self._still_free(upload.tenant, request_id)
                    continue
            else:
                if active.extension == upload.extension:
                    await self.jobs.join(active.job_id, upload.filename)
                leased = await self.jobs.claim(active.job_id, lease_seconds=self.runner.lease_seconds)
                if leased is None:
                    await self._wait_for(active, upload)
                    continue
                await self._restore_bytes(leased.job, upload)
            if not accepted.done():
                accepted.set_result(leased.job)
            try:
                await self.runner.run(leased)
            except LeaseLost:
                continue
            except Unreachable:
                await self.announce(leased.job, delay_seconds=self.runner.pause_seconds(leased.job))
                raise
            except asyncio.CancelledError:
                await self.announce(leased.job)
                raise
            except FileRefused:
                if leased.job.extension == upload.extension:
                    raise
                continue
            return True

    async def _is_clear(self, upload: Upload) -> bool:
        """Whether nothing of an earlier document of these bytes is left to be removed."""
        document = await self.registry.get(upload.tenant, upload.document_id)
        if document is None or document.state is not DocumentState.DELETING:
            return True
        with suppress(RemovalUnderWay):
            await self.deleting.finish(document)
        return await self.registry.get(upload.tenant, upload.document_id) is None

    async def _still_free(self, tenant: str, request_id: str) -> str:
        """A request id has one job. One that got its job a moment ago, with whatever result, is not used again."""
        return "" if request_id and await self.jobs.find_by_request(tenant, request_id) else request_id

    async def _open_job(self, upload: Upload, request_id: str) -> LeasedJob | None:
        """Record the job first and store the bytes then: what a crash leaves behind is a job, which is looked after.

        Whoever removes something of the same bytes either sees the job, and spares them, or is waited for here.
        """
        leased = await self.jobs.create(_new_job(upload, request_id), lease_seconds=self.runner.lease_seconds)
        if leased is None:
            return None
        try:
            while not await self._is_clear(upload):
                await asyncio.sleep(self.poll_seconds)
                await self.jobs.heartbeat(leased, lease_seconds=self.runner.lease_seconds)
            await self.files.save_original(leased.job.file_key, upload.content)
        except LeaseLost:
            return None
        except IngestError as error:
            await self.runner.give_up(leased, error, has_file=False)
            raise
        except asyncio.CancelledError:
            await self.runner.give_up(leased, JobCancelled("the upload broke off"), has_file=False)
            raise
        return leased

    async def _restore_bytes(self, job: Job, upload: Upload) -> None:
        """The job of an upload that broke off before its file was stored is saved by having the bytes again."""
        async with self.files.fetched(job.file_key) as path:
            present = path is not None
        if not present:
            await self.files.save_original(job.file_key, upload.content)

    async def _wait_for(self, job: Job, upload: Upload) -> None:
        """Wait a little, and raise the failure of a job that another worker has ended without a document."""
        await asyncio.sleep(self.poll_seconds)
        now = await self.jobs.get(job.tenant, job.job_id)
        if now is None or now.state is JobState.CANCELLED:
            raise JobCancelled
        if now.state is JobState.FAILED and (now.extension == upload.extension or not is_the_files_fault(now)):
            raise failure_of(now)


def _new_job(upload: Upload, request_id: str) -> NewJob:
    return NewJob(
        job_id=uuid.uuid4().hex,
        tenant=upload.tenant,
        subject=upload.subject,
        document_id=upload.document_id,
        extension=upload.extension,
        filename=upload.filename,
        request_id=request_id or None,
        tags=upload.tags,
    )
