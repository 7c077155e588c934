"""Removing documents, so that what a crash interrupts is finished later: marked first, forgotten last."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from services.ingest.erasures import ErasedFiles, Erasure, Removed
from services.ingest.errors import (
    DocumentNotFound,
    FileStoreUnavailable,
    IndexRefused,
    IndexUnavailable,
    IngestError,
    JobStoreUnavailable,
    RemovalUnderWay,
)
from services.ingest.leases import kept
from services.ingest.models import NO_JOB, Document, DocumentState, FileKey, Job, JobState, Pointed
from services.ingest.ports import ChunkIndexer, DocumentRegistry, FileStore, JobStore
from services.ingest.stopping import stopped

logger = logging.getLogger(__name__)

_SETTLED_AT_ONCE = 20
_REMEMBERED = 1_000
_PATIENCE_SECONDS = 3.0
_LOOK_AGAIN_SECONDS = 0.1

StopJob = Callable[[str], Awaitable[None]]
"""Stops work on a job in this process, if there is any."""


@dataclass
class Deleting:
    """Removes documents with their names, chunks and files.

    Attributes:
        lease_seconds: how long a removal stays in one hand without a sign of life.
    """

    jobs: JobStore
    registry: DocumentRegistry
    files: FileStore
    indexer: ChunkIndexer
    act_for: Callable[[str], AbstractContextManager[object]]
    lease_seconds: float = 20.0
    _failed: set[FileKey] = field(default_factory=set)

    async def delete(self, tenant: str, document_id: str, *, stop_job: StopJob) -> Erasure:
        """Remove a document; one that is being ingested too, whose job is then CANCELLED. Tells what was removed.

        Raises: DocumentNotFound. FileStoreUnavailable, JobStoreUnavailable, IndexUnavailable: some of it is left, to
            be removed by repeating the call or by a worker.
        """
        job = await self.jobs.find_active(tenant, document_id)
        known = await self.registry.get(tenant, document_id)
        document = await self.registry.mark_deleting(tenant, document_id)
        if document is None and job is None:
            raise DocumentNotFound
        if job is not None:
            document = document or await self.registry.condemn(job)
            await self.jobs.cancel(job.job_id)
            await stop_job(job.job_id)
        removed = await self.finish(document) if document is not None else None
        filenames = known.filenames if known is not None else (job.filename,) if job is not None else ()
        removed = removed or Removed(verified=document is None)
        return Erasure(
            document_id, datetime.now(UTC), filenames, removed.chunks, removed.files, verified=removed.verified
        )

    async def finish(self, document: Document) -> Removed | None:
        """Remove everything of a document that is DELETING. Can be repeated, also by several at a time: one does it.

        Its record goes last, not before whoever may still store something for it has let go or is taken for dead, and
        not while a second look finds something of it. None: another has removed it.
        Raises: RemovalUnderWay: another is at it for longer than a moment.
        """
        tenant, document_id = document.tenant, document.document_id
        token = await self._hold(document)
        if token is None:
            return None

        async def renew() -> None:
            await self.registry.keep_deletion(tenant, document_id, token, lease_seconds=self.lease_seconds)

        work = asyncio.create_task(self._remove_all(document, token))
        beat = asyncio.create_task(kept(renew, lease_seconds=self.lease_seconds))
        try:
            await asyncio.wait({work, beat}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await stopped(work, beat) if not work.done() else await stopped(beat)
            if work.cancelled() or work.exception() is not None:
                with suppress(JobStoreUnavailable):  # untold, the hold runs out
                    await self.registry.let_deletion_go(tenant, document_id, token)
        if work.cancelled():
            raise RemovalUnderWay
        return await work

    async def _hold(self, document: Document) -> str | None:
        """The token of the removal; None when there is nothing to be removed any more. Raises: RemovalUnderWay."""
        tenant, document_id = document.tenant, document.document_id
        patience = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while True:
            token = await self.registry.hold_deletion(tenant, document_id, lease_seconds=self.lease_seconds)
            if token is not None:
                return token
            now = await self.registry.get(tenant, document_id)
            if now is None or now.state is not DocumentState.DELETING:
                return None
            if asyncio.get_running_loop().time() > patience:
                raise RemovalUnderWay
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _remove_all(self, document: Document, token: str) -> Removed:
        tenant, document_id = document.tenant, document.document_id
        active = await self.jobs.find_active(tenant, document_id)
        removed = Removed()
        if active is None or active.job_id == document.job_id:
            if active is not None:
                await self.jobs.cancel(active.job_id)
            removed = await self._remove_stored(document)
            if not removed.verified:
                await self.registry.let_deletion_go(tenant, document_id, token)
                logger.warning("document.still_there", extra={"document_id": document_id})
                return removed
            if document.job_id != NO_JOB and await self.jobs.is_held(tenant, document.job_id):
                await self.registry.let_deletion_go(tenant, document_id, token)
                logger.info("document.awaits_worker", extra={"document_id": document_id})
                return replace(removed, verified=False)
        # Else the same bytes have come anew, and everything that is stored is theirs.
        is_forgotten = await self.registry.remove(tenant, document_id, token)
        logger.info("document.deleted", extra={"document_id": document_id})
        return replace(removed, verified=removed.verified and is_forgotten)

    async def _remove_stored(self, document: Document) -> Removed:
        files, files_left = ErasedFiles(), 0
        try:
            with self.act_for(document.tenant):
                chunks = await self.indexer.delete(document.document_id, successor=document.successor)
        finally:  # an index that is away does not keep files
            if document.job_id != NO_JOB:
                files = await self.files.delete(document.file_key)
                files_left = await self.files.count(document.file_key)
        return Removed(chunks, files, verified=not chunks.remaining_count and not files_left)

    async def discard(self, job: Job, *, keep_file: bool) -> None:
        """Remove what a failing job has stored, all but its file where that is kept.

        Its holder calls this, so nobody else removes or stores anything for the document. Chunks that the index cannot
        forget now are left to a worker.
        """
        document = await self.registry.get(job.tenant, job.document_id)
        if document is not None and document.state is DocumentState.READY:
            return
        if not keep_file:
            await self.files.delete(job.file_key)
        if await self._may_have_indexed(job):
            try:
                with self.act_for(job.tenant):
                    await self.indexer.delete(job.document_id)
            except (IndexUnavailable, IndexRefused):
                await self.registry.condemn(replace(job, job_id=NO_JOB))

    async def _may_have_indexed(self, job: Job) -> bool:
        current = await self.jobs.get(job.tenant, job.job_id)
        return current is not None and (current.state is JobState.INDEXING or current.total_chunk_count > 0)

    async def clear_after_cancel(self, job: Job) -> None:
        """Remove what a worker may have stored between the deletion of its document and its learning of it."""
        document = await self.registry.get(job.tenant, job.document_id)
        if document is None:
            if await self.jobs.find_active(job.tenant, job.document_id) is not None:
                return
            document = await self.registry.condemn(job)
        if document.state is DocumentState.DELETING:
            await self._settle_or_postpone(document)

    async def forget_outdated(self) -> None:
        """Remove files of failed jobs that have been kept long enough. Raises JobStoreUnavailable."""
        for job in await self.jobs.list_outdated(limit=_SETTLED_AT_ONCE):
            document = await self.registry.condemn_unready(job)
            active = await self.jobs.find_active(job.tenant, job.document_id)
            used = document is None or active is not None  # the same bytes came again, perhaps as another kind of file
            if document is not None and not await self._settle_or_postpone(document):
                continue
            if used and job.extension not in await self._extensions_used(job):
                try:
                    await self.files.delete(job.file_key)
                except FileStoreUnavailable:
                    continue
            await self.jobs.forget_file(job.job_id)

    async def _extensions_used(self, job: Job) -> set[str]:
        document = await self.registry.get(job.tenant, job.document_id)
        active = await self.jobs.find_active(job.tenant, job.document_id)
        return {known.extension for known in (document, active) if known is not None}

    async def settle(self, pointed: Pointed) -> None:
        """Carry out what moving a name brought about. What cannot be done now is left to a worker."""
        for document in (pointed.orphan, pointed.renamed):
            if document is not None:
                await self._settle_or_postpone(document)

    async def settle_all(self) -> None:
        """Finish deletions and renamings that were cut short, of every tenant, the longest waiting first.

        What failed the last time goes behind what is waiting besides, which it could hold up for ever otherwise.
        Raises JobStoreUnavailable.
        """
        if len(self._failed) > _REMEMBERED:
            self._failed.clear()
        found = await self.registry.list_unsettled(limit=_SETTLED_AT_ONCE + len(self._failed))
        failed_before = [document for document in found if document.file_key in self._failed]
        others = [document for document in found if document.file_key not in self._failed]
        for document in [*others, *failed_before][:_SETTLED_AT_ONCE]:
            if await self._settle_or_postpone(document):
                self._failed.discard(document.file_key)
            else:
                self._failed.add(document.file_key)

    async def _settle_or_postpone(self, document: Document) -> bool:
        """Whether it is settled."""
        try:
            if document.state is DocumentState.DELETING:
                await self.finish(document)
            elif document.index_shows_old_name:
                await self._show_new_name(document)
        except IngestError as error:
            logger.warning(
                "document.settling_postponed",
                extra={"document_id": document.document_id, "error_kind": type(error).__name__},
            )
            return False
        return True

    async def _show_new_name(self, document: Document) -> None:
        filename = document.filenames[0]
        with self.act_for(document.tenant):
            await self.indexer.index(document.document_id, filename, (), chunk_count=document.chunk_count)
        await self.registry.mark_indexed_filename(document.tenant, document.document_id, filename)
