"""Taking files in: the same bytes once, whoever sends them, however often, under whichever names."""

import asyncio
import hashlib
import logging
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from services.ingest.deleting import Deleting
from services.ingest.errors import (
    FileEmpty,
    FileRefused,
    FileStoreUnavailable,
    FileTooLarge,
    IngestError,
    JobCancelled,
    JobQueueUnavailable,
    LeaseLost,
    RequestIdInvalid,
    Unreachable,
    WorkGoesOn,
)
from services.ingest.failing import failure_of, is_the_files_fault
from services.ingest.filenames import clean_filename, served_extension
from services.ingest.models import (
    Document,
    DocumentState,
    Ingested,
    Job,
    JobState,
    LeasedJob,
    NewJob,
    Upload,
)
from services.ingest.ports import DocumentRegistry, FileStore, JobQueue, JobStore
from services.ingest.sniffing import check_content
from services.ingest.stopping import stopped
from services.ingest.working import JobRunner

logger = logging.getLogger(__name__)

_HASHED_IN_A_THREAD_FROM_BYTES = 1024 * 1024
_ANNOUNCING_SECONDS = 1.0
_HAND_OVER_SHARE = 0.2


@dataclass
class Ingesting:
    """Takes uploads in and waits for them.

    Attributes:
        max_file_bytes: largest file taken.
        queue: tells workers elsewhere of a job that is given back.
        outlive_calls: whether the work goes on when its caller has gone. Where the process is frozen after a call, it
            is given back instead, for the next caller or worker.
        poll_seconds: how often to look at a job that another process does.
        remaining_seconds: the time left of the call being served; infinite for one without an end.
        hand_over_seconds: how long before that end work that does not outlive its call is given back, or a fifth of
            the call's time where that is less: afterwards nothing could be recorded any more.
    """

    jobs: JobStore
    registry: DocumentRegistry
    files: FileStore
    runner: JobRunner
    deleting: Deleting
    queue: JobQueue
    max_file_bytes: int
    outlive_calls: bool = True
    poll_seconds: float = 0.25
    remaining_seconds: Callable[[], float] = lambda: math.inf
    hand_over_seconds: float = 3.0
    _bringing: dict[tuple[str, str], tuple[str, asyncio.Task[bool]]] = field(default_factory=dict)
    _closed: bool = False

    async def ingest(
        self, *, tenant: str, subject: str, filename: str, content: bytes, request_id: str = ""
    ) -> Ingested:
        """Make a file a document, or point one more name to the document it is already.

        Raises: any error of this service but NotFound; those of `errors.FileRefused` leave nothing stored.
        """
        request_id = _clean_request_id(request_id)
        upload = await self._checked(tenant, subject, filename, content)
        if self.outlive_calls or (remaining := self.remaining_seconds()) == math.inf:
            return await self._ingest(upload, request_id)
        try:
            async with asyncio.timeout(remaining - min(self.hand_over_seconds, remaining * _HAND_OVER_SHARE)) as limit:
                return await self._ingest(upload, request_id)
        except TimeoutError:
            if not limit.expired():
                raise
            return await self._hand_over(upload)

    async def _hand_over(self, upload: Upload) -> Ingested:
        """What to answer when the call's time is nearly over and its work has been given back."""
        job = await self.jobs.find_active(upload.tenant, upload.document_id)
        if job is not None:
            raise WorkGoesOn(job.job_id)
        pointed = await self.registry.point(upload.tenant, upload.filename, upload.document_id)
        if pointed is None:
            raise FileStoreUnavailable("the file could not be stored in the time of the call")
        # It was finished at that very moment. What moving the name brings about is left to a worker.
        return Ingested(pointed.document, cache_hit=False, job_id=pointed.document.job_id)

    async def _ingest(self, upload: Upload, request_id: str) -> Ingested:
        tenant = upload.tenant
        if request_id:
            known = await self.jobs.find_by_request(tenant, request_id)
            if known is not None and known.document_id != upload.document_id:
                return await self._outcome_of(known)
            if known is not None and is_the_files_fault(known):
                raise failure_of(known)
            request_id = "" if known is not None else request_id
        worked = False
        while (pointed := await self.registry.point(tenant, upload.filename, upload.document_id)) is None:
            if worked:  # deleted between its becoming READY and its being named
                raise JobCancelled("the document was deleted while it was being ingested")
            worked = await self._bring_once(upload, request_id)
        await self.deleting.settle(pointed)
        return Ingested(pointed.document, cache_hit=not worked, job_id=pointed.document.job_id)

    async def delete(self, tenant: str, document_id: str) -> None:
        """Remove a document, also one that is being ingested here or elsewhere. Raises as Deleting.delete."""
        await self.deleting.delete(tenant, document_id, stop_job=self.runner.stop)

    async def close(self) -> None:
        """Stop all work; what is not done is given back for another process to take up."""
        self._closed = True
        await stopped(*(task for _, task in self._bringing.values()))

    async def _checked(self, tenant: str, subject: str, filename: str, content: bytes) -> Upload:
        name = clean_filename(filename)
        if not content:
            raise FileEmpty
        if len(content) > self.max_file_bytes:
            raise FileTooLarge(size_bytes=len(content), max_bytes=self.max_file_bytes)
        extension = served_extension(name)
        if len(content) < _HASHED_IN_A_THREAD_FROM_BYTES:
            document_id = _checked_hash(content, extension)
        else:
            document_id = await asyncio.to_thread(_checked_hash, content, extension)
        return Upload(tenant, subject, name, extension, document_id, content)

    async def _bring_once(self, upload: Upload, request_id: str) -> bool:
        """Bring a document to READY; callers with the same bytes at the same time share one effort.

        Returns: whether this call did the work.
        """
        while True:
            extension, task = self._bringing.get(upload.key, ("", None))
            mine = task is None
            if task is None:
                extension, task = upload.extension, asyncio.create_task(self._bring(upload, request_id))
                self._bringing[upload.key] = (extension, task)
                task.add_done_callback(lambda done: self._forget(upload.key, done))
            try:
                worked = await asyncio.shield(task)
            except asyncio.CancelledError:
                me = asyncio.current_task()
                if task.cancelled() and me is not None and not me.cancelling() and not self._closed:
                    continue  # another call began the work and took it with it when it ended; this one goes on
                if mine and not self.outlive_calls:
                    await stopped(task)
                raise
            except FileRefused:
                if extension == upload.extension:
                    raise
                continue  # as another kind of file the same bytes may do
            return worked and mine

    def _forget(self, key: tuple[str, str], task: asyncio.Task[bool]) -> None:
        self._bringing.pop(key, None)
        if not task.cancelled():
            task.exception()  # looked at, so that an error nobody waits for any more is not complained about

    async def _bring(self, upload: Upload, request_id: str) -> bool:
        while True:
            document = await self.registry.get(upload.tenant, upload.document_id)
            if document is not None and document.state is DocumentState.READY:
                return False
            if document is not None:
                await self.deleting.finish(document)
            active = await self.jobs.find_active(upload.tenant, upload.document_id)
            if active is None:
                leased = await self._open_job(upload, request_id)
                if leased is None:
                    request_id = await self._still_free(upload.tenant, request_id)
                    continue
            else:
                leased = await self.jobs.claim(active.job_id, lease_seconds=self.runner.lease_seconds)
                if leased is None:
                    await self._wait_for(active, upload)
                    continue
                await self._restore_bytes(leased, upload)
            try:
                await self.runner.run(leased)
            except LeaseLost:
                continue
            except Unreachable:
                await self._announce(leased.job, delay_seconds=self.runner.pause_seconds(leased.job))
                raise
            except asyncio.CancelledError:
                await self._announce(leased.job, delay_seconds=0)
                raise
            except FileRefused:
                if leased.job.extension == upload.extension:
                    raise
                continue
            return True

    async def _announce(self, job: Job, *, delay_seconds: float) -> None:
        """Tell workers elsewhere of a job given back. Untold, they find it by looking into the store."""
        try:
            async with asyncio.timeout(_ANNOUNCING_SECONDS):
                await self.queue.announce(job.job_id, delay_seconds=delay_seconds)
        except (JobQueueUnavailable, TimeoutError) as error:
            logger.warning("job.unannounced", extra={"job_id": job.job_id, "error_kind": type(error).__name__})

    async def _still_free(self, tenant: str, request_id: str) -> str:
        """A request id has one job. One that got its job a moment ago, with whatever result, is not used again."""
        return "" if request_id and await self.jobs.find_by_request(tenant, request_id) else request_id

    async def _open_job(self, upload: Upload, request_id: str) -> LeasedJob | None:
        """Record the job first and store the bytes then: what a crash leaves behind is a job, which is looked after."""
        new = NewJob(
            job_id=uuid.uuid4().hex,
            tenant=upload.tenant,
            subject=upload.subject,
            document_id=upload.document_id,
            extension=upload.extension,
            filename=upload.filename,
            request_id=request_id or None,
        )
        leased = await self.jobs.create(new, lease_seconds=self.runner.lease_seconds)
        if leased is None:
            return None
        try:
            await self.files.save_original(leased.job.file_key, upload.content)
        except IngestError as error:
            await self.runner.give_up(leased, error)
            raise
        except asyncio.CancelledError:
            await self.runner.give_up(leased, _broken_off())
            raise
        return leased

    async def _restore_bytes(self, leased: LeasedJob, upload: Upload) -> None:
        """The job of an upload that broke off before its file was stored is saved by having the bytes again."""
        async with self.files.fetched(leased.job.file_key) as path:
            present = path is not None
        if not present:
            await self.files.save_original(leased.job.file_key, upload.content)

    async def _wait_for(self, job: Job, upload: Upload) -> None:
        """Wait a little, and raise the failure of a job that another worker has ended without a document."""
        await asyncio.sleep(self.poll_seconds)
        now = await self.jobs.get(job.tenant, job.job_id)
        if now is None or now.state is JobState.CANCELLED:
            raise JobCancelled("the document was deleted while it was being ingested")
        if now.state is JobState.FAILED and (now.extension == upload.extension or not is_the_files_fault(now)):
            raise failure_of(now)

    async def _outcome_of(self, job: Job) -> Ingested:
        """The result of an earlier call with the same request id, which sent other bytes."""
        while not job.state.is_final:
            await asyncio.sleep(self.poll_seconds)
            job = await self.jobs.get(job.tenant, job.job_id) or job
        document: Document | None = None
        if job.state is JobState.READY:
            document = await self.registry.get(job.tenant, job.document_id)
            if document is None or document.state is not DocumentState.READY:
                raise JobCancelled("the document of that request_id has been deleted; use a new request_id")
        if document is None:
            raise failure_of(job)
        return Ingested(document, cache_hit=True, job_id=job.job_id)


def _broken_off() -> IngestError:
    return JobCancelled("the upload broke off")


def _checked_hash(content: bytes, extension: str) -> str:
    check_content(content, extension)
    return hashlib.sha256(content).hexdigest()


def _clean_request_id(raw: str) -> str:
    if not raw:
        return ""
    try:
        return str(uuid.UUID(raw))
    except ValueError:
        raise RequestIdInvalid from None
