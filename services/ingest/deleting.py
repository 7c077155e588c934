"""Removing documents, so that what a crash interrupts is finished later: marked first, forgotten last."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from services.ingest.errors import DocumentNotFound, IngestError
from services.ingest.models import Document, DocumentState, FileKey, Job, JobState, Pointed
from services.ingest.ports import ChunkIndexer, DocumentRegistry, FileStore, JobStore

logger = logging.getLogger(__name__)

_SETTLED_AT_ONCE = 20
_REMEMBERED = 1_000

StopJob = Callable[[str], Awaitable[None]]
"""Stops work on a job in this process, if there is any."""


@dataclass
class Deleting:
    """Removes documents with their names, chunks and files."""

    jobs: JobStore
    registry: DocumentRegistry
    files: FileStore
    indexer: ChunkIndexer
    act_for: Callable[[str], AbstractContextManager[object]]
    _failed: set[FileKey] = field(default_factory=set)

    async def delete(self, tenant: str, document_id: str, *, stop_job: StopJob) -> None:
        """Remove a document; one that is being ingested too, whose job is then CANCELLED.

        Raises: DocumentNotFound. FileStoreUnavailable, JobStoreUnavailable, IndexUnavailable: some of it is left, to
            be removed by repeating the call or by a worker.
        """
        job = await self.jobs.find_active(tenant, document_id)
        document = await self.registry.mark_deleting(tenant, document_id)
        if document is None and job is None:
            raise DocumentNotFound
        if job is not None:
            document = document or await self.registry.condemn(job)
            await self.jobs.cancel(job.job_id)
            await stop_job(job.job_id)
        if document is not None:
            await self.finish(document)

    async def finish(self, document: Document) -> None:
        """Remove everything of a document that is DELETING. Can be repeated."""
        try:
            with self.act_for(document.tenant):
                await self.indexer.delete(document.document_id)
        finally:  # an index that is away does not keep files
            await self.files.delete(document.file_key)
        await self.registry.remove(document.tenant, document.document_id)
        logger.info("document.deleted", extra={"document_id": document.document_id})

    async def discard(self, job: Job) -> None:
        """Remove what a failing job has stored. Chunks the index cannot forget now are left to a worker."""
        document = await self.registry.get(job.tenant, job.document_id)
        if document is not None and document.state is DocumentState.READY:
            return
        if await self._may_have_indexed(job):
            await self._settle_or_postpone(await self.registry.condemn(job))
        else:
            await self.files.delete(job.file_key)

    async def _may_have_indexed(self, job: Job) -> bool:
        current = await self.jobs.get(job.tenant, job.job_id)
        return current is not None and (current.state is JobState.INDEXING or current.total_chunk_count > 0)

    async def clear_after_cancel(self, job: Job) -> None:
        """Remove what a worker may have stored between the deletion of its document and its learning of it."""
        if await self.registry.get(job.tenant, job.document_id) is not None:
            return
        if await self.jobs.find_active(job.tenant, job.document_id) is not None:
            return
        await self.finish(await self.registry.condemn(job))

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
