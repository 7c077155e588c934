"""Doing one job: from stored bytes to a document that can be searched, step by step.

Each step can be repeated after a crash without harm: bytes and chunks lie under the hash of the content, the index
takes the same chunks twice for once, and a document that is READY already ends the job.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from services.ingest.chunking import Chunker
from services.ingest.deleting import Deleting
from services.ingest.errors import IngestError, JobCancelled, JobFailed, JobStoreUnavailable, LeaseLost, Unreachable
from services.ingest.failing import ATTEMPTS_EXHAUSTED, FILE_MISSING, UNEXPECTED, detail_of, reason_of
from services.ingest.filenames import CONTENT_TYPES
from services.ingest.models import Document, DocumentState, Job, JobState, LeasedJob
from services.ingest.ports import ChunkIndexer, DocumentRegistry, FileStore, JobStore, Parser
from services.ingest.records import (
    CHUNKS,
    METADATA,
    ChunkedFile,
    chunks_from_bytes,
    chunks_to_bytes,
    metadata_to_bytes,
)
from services.ingest.stopping import stopped

logger = logging.getLogger(__name__)

MAX_LOST_LEASES = 3
LONGEST_PAUSE_SECONDS = 60.0

ActFor = Callable[[str], AbstractContextManager[object]]
"""Makes the calls inside the block calls of that tenant."""


@dataclass
class JobRunner:
    """Runs jobs it is handed with a lease, keeping the lease while it works.

    Attributes:
        parsing_fingerprint: differs whenever the parsers read the same bytes differently.
        lease_seconds: how long a job stays ours without a sign of life.
        after_ready: is told of a document that has become READY; raises nothing.
        first_pause_seconds: how long a job rests after a part it needs was away; twice as long after each further time.
        parsed_file_count: files parsed so far.
    """

    jobs: JobStore
    registry: DocumentRegistry
    files: FileStore
    parser: Parser
    chunker: Chunker
    indexer: ChunkIndexer
    deleting: Deleting
    act_for: ActFor
    parsing_fingerprint: str
    lease_seconds: float
    after_ready: Callable[[Document], Awaitable[None]]
    first_pause_seconds: float = 1.0
    parsed_file_count: int = 0
    _working: dict[str, asyncio.Task[Document]] = field(default_factory=dict)

    async def run(self, leased: LeasedJob) -> Document:
        """Work until the document is READY, and return it; a failure is recorded and raised.

        Raises:
            FileRefused, StorageFull, IndexRefused, JobFailed: the job is FAILED and nothing is left of the document.
            Unreachable: the job is QUEUED again, for later.
            JobCancelled: the document was deleted meanwhile.
            LeaseLost: another worker took the job over.
        """
        job_id = leased.job.job_id
        work = asyncio.create_task(self._work_and_record(leased))
        beat = asyncio.create_task(self._keep_lease(leased))
        self._working[job_id] = work
        try:
            await asyncio.wait({work, beat}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await stopped(work, beat)
            if work.cancelled():
                await self._give_back(leased, pause_seconds=0)
            raise
        finally:
            self._working.pop(job_id, None)
        await stopped(beat) if work.done() else await stopped(work, beat)
        if not work.cancelled():
            with suppress(LeaseLost):
                document = work.result()
                await self.after_ready(document)
                return document
        return await self._explain_loss(leased)

    def pause_seconds(self, job: Job) -> float:
        """How long a job rests that could not be finished now."""
        return min(self.first_pause_seconds * 2.0 ** min(job.attempt_count - 1, 20), LONGEST_PAUSE_SECONDS)

    async def stop(self, job_id: str) -> None:
        """Stop working on a job, if this runner does; returns when nothing more is done for it."""
        if work := self._working.get(job_id):
            await stopped(work)

    async def _work_and_record(self, leased: LeasedJob) -> Document:
        with self.act_for(leased.job.tenant):
            try:
                return await self._work(leased)
            except (LeaseLost, JobCancelled):
                raise
            except Unreachable as error:
                logger.warning("job.released", extra={"job_id": leased.job.job_id, "error_kind": type(error).__name__})
                await self._give_back(leased, pause_seconds=self.pause_seconds(leased.job))
                raise
            except Exception as error:
                await self.give_up(leased, error)
                raise

    async def give_up(self, leased: LeasedJob, error: Exception) -> None:
        """Remove what the job has stored, then record why it failed: a crash between leaves a job to redo."""
        job, reason = leased.job, reason_of(error)
        expected = isinstance(error, IngestError)
        logger.log(
            logging.INFO if expected else logging.ERROR,
            "job.failed",
            extra={"job_id": job.job_id, "reason": reason},
            exc_info=None if expected or reason != UNEXPECTED else error,
        )
        try:
            await self.deleting.discard(job)
            await self.jobs.fail(leased, reason=reason, detail=detail_of(error))
        except LeaseLost:
            logger.info("job.lost", extra={"job_id": job.job_id})
        except Unreachable as unreachable:  # whoever takes the job up next fails in the same way, or saves it
            logger.warning("job.unrecorded", extra={"job_id": job.job_id, "error_kind": type(unreachable).__name__})
            await self._give_back(leased, pause_seconds=self.first_pause_seconds)

    async def _work(self, leased: LeasedJob) -> Document:
        job = leased.job
        known = await self.registry.get(job.tenant, job.document_id)
        if known is not None and known.state is DocumentState.DELETING:
            await self.jobs.cancel(job.job_id)
            raise JobCancelled("the document was deleted while it was being ingested")
        if known is None:
            if job.lost_lease_count >= MAX_LOST_LEASES:
                raise JobFailed(ATTEMPTS_EXHAUSTED, f"{job.lost_lease_count} workers ended while they read the file")
            known = await self._make(leased)
        await self.jobs.finish(leased)
        logger.info("job.finished", extra={"job_id": job.job_id, "chunk_count": known.chunk_count})
        return known

    async def _make(self, leased: LeasedJob) -> Document:
        job = leased.job
        await self.jobs.advance(leased, JobState.FETCHING)
        async with self.files.fetched(job.file_key) as path:
            if path is None:
                raise JobFailed(FILE_MISSING, "the upload broke off before the file was stored; send it again")
            size_bytes = (await asyncio.to_thread(path.stat)).st_size
            chunked = await self._stored_chunks(leased) or await self._cut(leased, path)
        document = Document(
            tenant=job.tenant,
            document_id=job.document_id,
            extension=job.extension,
            content_type=CONTENT_TYPES[job.extension],
            size_bytes=size_bytes,
            chunk_count=len(chunked.chunks),
            token_count=chunked.token_count,
            job_id=job.job_id,
            title=chunked.title,
            page_count=chunked.page_count,
            page_notes=chunked.page_notes,
            indexed_filename=job.filename,
        )
        await self.files.save_record(job.file_key, METADATA, metadata_to_bytes(document, job.filename))
        await self._index(leased, chunked)
        pointed = await self.registry.publish(document, job.filename)
        if pointed is None:
            await self.jobs.cancel(job.job_id)
            raise JobCancelled("the document was deleted while it was being ingested")
        await self.deleting.settle(pointed)
        return pointed.document

    @property
    def _fingerprint(self) -> str:
        return f"{self.parsing_fingerprint}/{self.chunker.fingerprint}"

    async def _stored_chunks(self, leased: LeasedJob) -> ChunkedFile | None:
        """What an earlier attempt has cut already."""
        data = await self.files.load_record(leased.job.file_key, CHUNKS)
        return chunks_from_bytes(data, fingerprint=self._fingerprint) if data is not None else None

    async def _cut(self, leased: LeasedJob, path: Path) -> ChunkedFile:
        await self.jobs.advance(leased, JobState.PARSING)
        parsed = await self.parser.parse(path, leased.job.extension)
        self.parsed_file_count += 1
        await self.jobs.advance(leased, JobState.CHUNKING)
        # Cutting and writing down megabytes of text would hold up every other call.
        chunks = await asyncio.to_thread(self.chunker.chunk, parsed)
        chunked = ChunkedFile(self._fingerprint, chunks, parsed.title, parsed.page_count, parsed.page_notes)
        data = await asyncio.to_thread(chunks_to_bytes, chunked)
        await self.files.save_record(leased.job.file_key, CHUNKS, data)
        return chunked

    async def _index(self, leased: LeasedJob, chunked: ChunkedFile) -> None:
        job, total = leased.job, len(chunked.chunks)
        await self.jobs.advance(leased, JobState.INDEXING, total=total)

        async def tell(indexed: int) -> None:
            await self.jobs.advance(leased, JobState.INDEXING, indexed=indexed, total=total)

        await self.indexer.index(job.document_id, job.filename, chunked.chunks, chunk_count=total, progress=tell)

    async def _keep_lease(self, leased: LeasedJob) -> None:
        """Returns when the lease is lost, and not before."""
        loop = asyncio.get_running_loop()
        renewed_at = loop.time()
        while True:
            await asyncio.sleep(self.lease_seconds / 3)
            try:
                await self.jobs.heartbeat(leased, lease_seconds=self.lease_seconds)
                renewed_at = loop.time()
            except LeaseLost:
                return
            except JobStoreUnavailable:
                if loop.time() - renewed_at > self.lease_seconds:
                    return

    async def _give_back(self, leased: LeasedJob, *, pause_seconds: float) -> None:
        # Not recorded, the lease runs out by itself and the job is taken up then.
        with suppress(LeaseLost, JobStoreUnavailable):
            await self.jobs.release(leased, pause_seconds=pause_seconds)

    async def _explain_loss(self, leased: LeasedJob) -> Document:
        job = await self.jobs.get(leased.job.tenant, leased.job.job_id)
        if job is None or job.state is not JobState.CANCELLED:
            raise LeaseLost("another worker has taken the job over")
        await self.deleting.clear_after_cancel(job)
        raise JobCancelled("the document was deleted while it was being ingested")
