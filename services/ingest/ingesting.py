"""Taking files in: the same bytes once, whoever sends them, however often, under whichever names."""

import asyncio
import hashlib
import math
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.ingest.bringing import Bringing
from services.ingest.erasures import Erasure
from services.ingest.errors import (
    FileEmpty,
    FileStoreUnavailable,
    FileTooLarge,
    JobCancelled,
    RequestIdInvalid,
    WorkGoesOn,
)
from services.ingest.failing import failure_of, is_the_files_fault
from services.ingest.filenames import clean_filename, served_extension
from services.ingest.models import Document, DocumentState, Ingested, Job, JobState, Started, Upload
from services.ingest.ports import DocumentRegistry, JobStore
from services.ingest.sniffing import check_content
from services.ingest.tags import clean_tags

_HASHED_IN_A_THREAD_FROM_BYTES = 1024 * 1024
_HAND_OVER_SHARE = 0.2


@dataclass
class Ingesting:
    """Takes uploads in, and waits for them or does not.

    Attributes:
        max_file_bytes: largest file taken.
        remaining_seconds: the time left of the call being served; infinite for one without an end.
        hand_over_seconds: how long before that end work that does not outlive its call is given back, or a fifth of
            the call's time where that is less: afterwards nothing could be recorded any more.
    """

    bringing: Bringing
    max_file_bytes: int
    remaining_seconds: Callable[[], float] = lambda: math.inf
    hand_over_seconds: float = 3.0
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ingest(
        self,
        *,
        tenant: str,
        subject: str,
        filename: str,
        content: bytes | Path,
        request_id: str = "",
        tags: Sequence[str] = (),
    ) -> Ingested:
        """Make a file a document, or point one more name to the document it is already.

        `content` is the bytes, or the path of a file that holds them and stays until this ends.
        Raises: any error of this service but NotFound; those of `errors.FileRefused` leave nothing stored.
        """
        request_id = _clean_request_id(request_id)
        upload = await self._checked(tenant, subject, filename, content, tags)
        if self.bringing.outlive_calls or (remaining := self.remaining_seconds()) == math.inf:
            return await self._ingest(upload, request_id)
        try:
            async with asyncio.timeout(remaining - min(self.hand_over_seconds, remaining * _HAND_OVER_SHARE)) as limit:
                return await self._ingest(upload, request_id)
        except TimeoutError:
            if not limit.expired():
                raise
            return await self._hand_over(upload)

    async def start(
        self,
        *,
        tenant: str,
        subject: str,
        filename: str,
        content: bytes | Path,
        request_id: str = "",
        tags: Sequence[str] = (),
    ) -> Started:
        """Like `ingest`, but return as soon as the file is stored and its job recorded, which is done without the call.

        Bytes that are being ingested already keep their job, which gets the name too. Those that are READY get a job
        that is so too. Raises: as ingest, for what goes wrong until then.
        """
        request_id = _clean_request_id(request_id)
        upload = await self._checked(tenant, subject, filename, content, tags)
        if request_id and (known := await self._jobs.find_by_request(tenant, request_id)) is not None:
            if known.document_id != upload.document_id or not known.state.is_final or is_the_files_fault(known):
                return Started(known)
            if known.state is JobState.READY:
                document = await self._registry.get(tenant, known.document_id)
                if document is not None and document.state is DocumentState.READY:
                    return Started(known, document)
            request_id = ""
        while True:
            pointed = await self._registry.point(tenant, upload.filename, upload.document_id)
            if pointed is not None:
                await self.bringing.deleting.settle(pointed)
                job = await self.bringing.record_known(upload, request_id, pointed.document)
                if job is not None:
                    return Started(job, pointed.document)
            elif (job := await self.bringing.accept(upload, request_id)) is not None:
                return Started(job)
            await asyncio.sleep(self.bringing.poll_seconds)

    async def delete(self, tenant: str, document_id: str) -> Erasure:
        """Remove a document, also one that is being ingested here or elsewhere. Raises as Deleting.delete."""
        return await self.bringing.deleting.delete(tenant, document_id, stop_job=self.bringing.runner.stop)

    async def close(self) -> None:
        """Stop all work; what is not done is given back for another process to take up."""
        await self.bringing.close()

    @property
    def _jobs(self) -> JobStore:
        return self.bringing.jobs

    @property
    def _registry(self) -> DocumentRegistry:
        return self.bringing.registry

    async def _hand_over(self, upload: Upload) -> Ingested:
        """What to answer when the call's time is nearly over and its work has been given back."""
        job = await self._jobs.find_active(upload.tenant, upload.document_id)
        if job is not None:
            raise WorkGoesOn(job.job_id)
        pointed = await self._registry.point(upload.tenant, upload.filename, upload.document_id)
        if pointed is None:
            raise FileStoreUnavailable("the file could not be stored in the time of the call")
        # It was finished at that very moment. What moving the name brings about is left to a worker.
        return Ingested(pointed.document, cache_hit=False, job_id=pointed.document.job_id)

    async def _ingest(self, upload: Upload, request_id: str) -> Ingested:
        tenant = upload.tenant
        if request_id:
            known = await self._jobs.find_by_request(tenant, request_id)
            if known is not None and known.document_id != upload.document_id:
                return await self._outcome_of(known)
            if known is not None and is_the_files_fault(known):
                raise failure_of(known)
            request_id = "" if known is not None else request_id
        worked = False
        while (pointed := await self._registry.point(tenant, upload.filename, upload.document_id)) is None:
            if worked:  # deleted between its becoming READY and its being named
                raise JobCancelled
            worked = await self.bringing.bring(upload, request_id)
        await self.bringing.deleting.settle(pointed)
        return Ingested(pointed.document, cache_hit=not worked, job_id=pointed.document.job_id)

    async def _checked(
        self, tenant: str, subject: str, filename: str, content: bytes | Path, tags: Sequence[str]
    ) -> Upload:
        name = clean_filename(filename)
        size_bytes = await _size_of(content)
        if not size_bytes:
            raise FileEmpty
        if size_bytes > self.max_file_bytes:
            raise FileTooLarge(size_bytes=size_bytes, max_bytes=self.max_file_bytes)
        extension = served_extension(name)
        if size_bytes < _HASHED_IN_A_THREAD_FROM_BYTES:
            document_id = _checked_hash(content, extension)
        else:
            async with self._reading:  # one after the other: each has a large file in memory for a moment
                document_id = await asyncio.to_thread(_checked_hash, content, extension)
        return Upload(tenant, subject, name, extension, document_id, content, clean_tags(tags))

    async def _outcome_of(self, job: Job) -> Ingested:
        """The result of an earlier call with the same request id, which sent other bytes."""
        while not job.state.is_final:
            await asyncio.sleep(self.bringing.poll_seconds)
            job = await self._jobs.get(job.tenant, job.job_id) or job
        document: Document | None = None
        if job.state is JobState.READY:
            document = await self._registry.get(job.tenant, job.document_id)
            if document is None or document.state is not DocumentState.READY:
                raise JobCancelled("the document of that request_id has been deleted; use a new request_id")
        if document is None:
            raise failure_of(job)
        return Ingested(document, cache_hit=True, job_id=job.job_id)


async def _size_of(content: bytes | Path) -> int:
    if isinstance(content, bytes):
        return len(content)
    try:
        return (await asyncio.to_thread(content.stat)).st_size
    except OSError as error:
        raise FileStoreUnavailable("the file cannot be read at the moment") from error


def _checked_hash(content: bytes | Path, extension: str) -> str:
    try:
        read = content if isinstance(content, bytes) else content.read_bytes()
    except OSError as error:
        raise FileStoreUnavailable("the file cannot be read at the moment") from error
    check_content(read, extension)
    return hashlib.sha256(read).hexdigest()


def _clean_request_id(raw: str) -> str:
    if not raw:
        return ""
    try:
        return str(uuid.UUID(raw))
    except ValueError:
        raise RequestIdInvalid from None
