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
from services.ingest.failing import (
    ATTEMPTS_EXHAUSTED,
    FILE_MISSING,
    UNEXPECTED,
    detail_of,
    may_be_retried,
    reason_of,
)
from services.ingest.filenames import CONTENT_TYPES
from services.ingest.leases import kept
from services.ingest.models import Document, DocumentFacts, DocumentState, Job, JobState, LeasedJob, Progress
from services.ingest.ports import ChunkIndexer, DocumentRegistry, FileStore, JobStore, Parser
from services.ingest.progress import ProgressTeller
from services.ingest.records import (
    CHUNKS,
    METADATA,
    ChunkedFile,
    bounded,
    chunks_from_bytes,
    chunks_to_bytes,
    metadata_to_bytes,
)
from services.ingest.stopping import stopped
from services.ingest.turns import Turns

logger = logging.getLogger(__name__)

LONGEST_PAUSE_SECONDS = 60.0
_LOOKED_THROUGH = 1_000

ActFor = Callable[[str], AbstractContextManager[object]]
"""Makes the calls inside the block calls of that tenant."""


@dataclass
class JobRunner:
    """Runs jobs it is handed with a lease, keeping the lease while it works.

    Attributes:
        parsing_fingerprint: differs whenever the parsers read the same bytes differently.
        lease_seconds: how long a job stays ours without a sign of life.
        has_images: whether images are to be taken out of a document once it is READY.
        after_ready: is told of a document that has become READY; raises nothing.
        first_pause_seconds: how long a job rests after a part it needs was away; twice as long after each further time.
        max_lost_leases: workers that may vanish over a job before it is given up. Before the last one it is done alone,
            so that the jobs beside it do not vanish with it once more.
        max_attempts: how often a job is taken up before it is given up.
        keep_failed_seconds: how long the file of a job that failed through no fault of the file is kept to be retried.
        progress_seconds: how often at most the progress of a job is stored.
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
    has_images: Callable[[Document], bool]
    after_ready: Callable[[Document], Awaitable[None]]
    first_pause_seconds: float = 1.0
    max_lost_leases: int = 3
    max_attempts: int = 100
    keep_failed_seconds: float = 24 * 3600.0
    progress_seconds: float = 1.0
    parsed_file_count: int = 0
    _working: dict[str, tuple[LeasedJob, asyncio.Task[Document]]] = field(default_factory=dict)
    _turns: Turns = field(default_factory=Turns)

    async def run(self, leased: LeasedJob) -> Document:
        """Work until the document is READY, and return it; a failure is recorded and raised.

        Raises:
            FileRefused, StorageFull, IndexRefused, JobFailed: the job is FAILED and nothing is left of the document.
            Unreachable: the job is QUEUED again, for later.
            JobCancelled: the job was cancelled, or its document deleted meanwhile.
            LeaseLost: another worker took the job over.
        """
        job_id = leased.job.job_id
        teller = ProgressTeller(self.jobs, leased, interval_seconds=self.progress_seconds)
        work = asyncio.create_task(self._work_and_record(leased, teller))
        beat = asyncio.create_task(self._keep_lease(leased))
        telling = asyncio.create_task(teller.tell())
        self._working[job_id] = (leased, work)
        try:
            await asyncio.wait({work, beat, telling}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await stopped(work, beat, telling)
            if work.cancelled():
                await self._give_back(leased, pause_seconds=0)
            raise
        finally:
            self._working.pop(job_id, None)
        await stopped(beat, telling) if work.done() else await stopped(work, beat, telling)
        if not work.cancelled():
            with suppress(LeaseLost, JobCancelled):
                document = work.result()
                await self.after_ready(document)
                return document
        return await self._explain_loss(leased)

    def pause_seconds(self, job: Job) -> float:
        """How long a job rests that could not be finished now."""
        return min(self.first_pause_seconds * 2.0 ** min(job.attempt_count - 1, 20), LONGEST_PAUSE_SECONDS)

    async def stop(self, job_id: str) -> None:
        """Stop working on a job, if this runner does; returns when nothing more is done for it."""
        if job_id in self._working:
            leased, work = self._working[job_id]
            await stopped(work)
            with suppress(JobStoreUnavailable):  # untold, the lease runs out by itself
                await self.jobs.let_go(leased)

    async def _work_and_record(self, leased: LeasedJob, teller: ProgressTeller) -> Document:
        alone = 0 < self.max_lost_leases - 1 <= leased.job.lost_lease_count
        with self.act_for(leased.job.tenant):
            try:
                async with self._turns.taken(alone=alone):
                    return await self._work(leased, teller)
            except (LeaseLost, JobCancelled):
                raise
            except Unreachable as error:
                logger.warning("job.released", extra={"job_id": leased.job.job_id, "error_kind": type(error).__name__})
                await self._give_back(leased, pause_seconds=self.pause_seconds(leased.job))
                raise
            except Exception as error:
                await self.give_up(leased, error)
                raise

    async def give_up(self, leased: LeasedJob, error: Exception, *, has_file: bool = True) -> None:
        """Remove what the job has stored, then record why it failed: a crash between leaves a job to redo.

        Its file is kept where it may be retried.
        """
        job, reason = leased.job, reason_of(error)
        keep_seconds = self.keep_failed_seconds if has_file and may_be_retried(error) else 0
        expected = isinstance(error, IngestError)
        logger.log(
            logging.INFO if expected else logging.ERROR,
            "job.failed",
            extra={"job_id": job.job_id, "reason": reason},
            exc_info=None if expected or reason != UNEXPECTED else error,
        )
        try:
            await self.deleting.discard(job, keep_file=keep_seconds > 0)
            await self.jobs.fail(leased, reason=reason, detail=detail_of(error), keep_file_seconds=keep_seconds)
        except LeaseLost:
            logger.info("job.lost", extra={"job_id": job.job_id})
        except Unreachable as unreachable:  # whoever takes the job up next fails in the same way, or saves it
            logger.warning("job.unrecorded", extra={"job_id": job.job_id, "error_kind": type(unreachable).__name__})
            await self._give_back(leased, pause_seconds=self.first_pause_seconds)

    async def _work(self, leased: LeasedJob, teller: ProgressTeller) -> Document:
        job = leased.job
        known = await self.registry.get(job.tenant, job.document_id)
        if known is not None and known.state is DocumentState.DELETING:
            known = await self._cleared(job, known)
        if known is None:
            if job.lost_lease_count >= self.max_lost_leases:
                raise JobFailed(ATTEMPTS_EXHAUSTED, f"{job.lost_lease_count} workers ended while they read the file")
            if job.attempt_count > self.max_attempts:
                times = job.attempt_count - 1
                raise JobFailed(ATTEMPTS_EXHAUSTED, f"the file could not be ingested in {times} attempts")
            known = await self._make(leased, teller)
        else:
            await self._take_place_late(known)
        images_due = known.job_id == job.job_id and self.has_images(known)
        known = await self.close(leased, known, images_due=images_due)
        logger.info("job.finished", extra={"job_id": job.job_id, "chunk_count": known.chunk_count})
        return known

    async def _cleared(self, job: Job, doomed: Document) -> Document | None:
        """What there is of a document after the removal of what was there before this job.

        Raises JobCancelled when the document is to go with the job itself.
        """
        if doomed.job_id == job.job_id:
            await self.jobs.cancel(job.job_id)
            raise JobCancelled
        await self.deleting.finish(doomed)
        return await self.registry.get(job.tenant, job.document_id)

    async def close(self, leased: LeasedJob, document: Document, *, images_due: bool = False) -> Document:
        """Give the document the names that joined the job, and record the end, of which no name may come too late."""
        job = leased.job
        pages, chunks = document.page_count or 0, document.chunk_count
        joined: tuple[str, ...] = ()
        while not await self.jobs.finish(
            leased,
            progress=Progress(pages, pages, chunks, chunks),
            page_notes=document.page_notes,
            joined=joined,
            images_due=images_due,
        ):
            now = await self.jobs.get(job.tenant, job.job_id)
            waiting = now.joined_filenames if now is not None else ()
            for filename in waiting[len(joined) :]:
                pointed = await self.registry.point(job.tenant, filename, job.document_id)
                if pointed is not None:  # else it is being deleted, with all its names
                    await self.deleting.settle(pointed)
                    document = pointed.document
            joined = waiting
        return document

    async def _make(self, leased: LeasedJob, teller: ProgressTeller) -> Document:
        job = leased.job
        await teller.enter(JobState.FETCHING)
        async with self.files.fetched(job.file_key) as path:
            if path is None:
                raise JobFailed(FILE_MISSING, "the upload broke off before the file was stored; send it again")
            size_bytes = (await asyncio.to_thread(path.stat)).st_size
            chunker = self.chunker.within(await self.indexer.limits())
            chunked = await self._stored_chunks(leased, chunker) or await self._cut(leased, path, teller, chunker)
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
            page_notes=bounded(chunked.page_notes),
            tags=job.tags,
            indexed_filename=job.filename,
        )
        await self.files.save_record(job.file_key, METADATA, metadata_to_bytes(document, job.filename))
        takes_place = await self._takes_place(job)
        await self._index(leased, chunked, teller, held_back=takes_place)
        while (pointed := await self.registry.publish(document, job.filename)) is None:
            doomed = await self.registry.get(job.tenant, job.document_id)
            if doomed is not None:
                await self._cleared(job, doomed)
        if takes_place:
            await self._take_place(pointed.document, pointed.orphan)
        await self.deleting.settle(pointed)
        return pointed.document

    async def _takes_place(self, job: Job) -> bool:
        """Whether a name of the document is another's until it is READY: then one of both is found, never both."""
        for filename in (job.filename, *job.joined_filenames):
            former = await self.registry.named(job.tenant, filename)
            if former is not None and former.document_id != job.document_id:
                return True
        return False

    async def _take_place(self, document: Document, orphan: Document | None) -> None:
        """Have the document found that was held back, in the same step in which the one that it replaces is no more.

        Raises Unreachable: the former is still found, and not this one.
        """
        if orphan is not None:
            await self.deleting.finish(orphan)
        await self.indexer.show(document.document_id)

    async def _take_place_late(self, document: Document) -> None:
        """The same for one that became READY in an earlier attempt, which may have ended before it was done."""
        for orphan in await self.registry.list_unsettled(limit=_LOOKED_THROUGH):
            if (orphan.tenant, orphan.successor) == (document.tenant, document.document_id):
                await self.deleting.finish(orphan)
        await self.indexer.show(document.document_id)

    def _fingerprint(self, chunker: Chunker) -> str:
        return f"{self.parsing_fingerprint}/{chunker.fingerprint}"

    async def _stored_chunks(self, leased: LeasedJob, chunker: Chunker) -> ChunkedFile | None:
        """What an earlier attempt has cut already, for the model that is in use now."""
        data = await self.files.load_record(leased.job.file_key, CHUNKS)
        return chunks_from_bytes(data, fingerprint=self._fingerprint(chunker)) if data is not None else None

    async def _cut(self, leased: LeasedJob, path: Path, teller: ProgressTeller, chunker: Chunker) -> ChunkedFile:
        await teller.enter(JobState.PARSING, parsed_page_count=0, total_page_count=0)
        parsed = await self.parser.parse(
            path,
            leased.job.extension,
            on_page=lambda page, total: teller.count(parsed_page_count=page, total_page_count=total),
        )
        self.parsed_file_count += 1
        pages = parsed.page_count or 0
        await teller.enter(JobState.CHUNKING, parsed_page_count=pages, total_page_count=pages)
        # Cutting and writing down megabytes of text would hold up every other call.
        chunks = await asyncio.to_thread(chunker.chunk, parsed)
        chunked = ChunkedFile(self._fingerprint(chunker), chunks, parsed.title, parsed.page_count, parsed.page_notes)
        del parsed  # its text is in the chunks, and takes as much again
        data = await asyncio.to_thread(chunks_to_bytes, chunked)
        await self.files.save_record(leased.job.file_key, CHUNKS, data)
        return chunked

    async def _index(self, leased: LeasedJob, chunked: ChunkedFile, teller: ProgressTeller, *, held_back: bool) -> None:
        job, total, pages = leased.job, len(chunked.chunks), chunked.page_count or 0
        await teller.enter(
            JobState.INDEXING,
            parsed_page_count=pages,
            total_page_count=pages,
            indexed_chunk_count=0,
            total_chunk_count=total,
        )

        async def tell(indexed: int) -> None:
            teller.count(indexed_chunk_count=indexed)

        facts = DocumentFacts(chunked.title, job.extension, job.tags, job.create_time)
        await self.indexer.index(
            job.document_id,
            job.filename,
            chunked.chunks,
            chunk_count=total,
            facts=facts,
            held_back=held_back,
            progress=tell,
        )

    async def _keep_lease(self, leased: LeasedJob) -> None:
        """Returns when the lease is lost, and not before."""

        async def renew() -> None:
            await self.jobs.heartbeat(leased, lease_seconds=self.lease_seconds)

        await kept(renew, lease_seconds=self.lease_seconds)

    async def _give_back(self, leased: LeasedJob, *, pause_seconds: float) -> None:
        # Not recorded, the lease runs out by itself and the job is taken up then.
        with suppress(LeaseLost, JobStoreUnavailable):
            await self.jobs.release(leased, pause_seconds=pause_seconds)

    async def _explain_loss(self, leased: LeasedJob) -> Document:
        job = await self.jobs.get(leased.job.tenant, leased.job.job_id)
        if job is None or job.state is not JobState.CANCELLED:
            raise LeaseLost("another worker has taken the job over")
        await self.jobs.let_go(leased)
        await self.deleting.clear_after_cancel(job)
        raise JobCancelled
