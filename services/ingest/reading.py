"""Looking things up: documents, jobs, and counts."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from services.ingest.errors import DocumentNotFound, JobNotFound, NameInvalid, RangeInvalid
from services.ingest.models import Document, DocumentState, DocumentTotals, Job, JobState
from services.ingest.paging import cut_page, read_page
from services.ingest.ports import DocumentRegistry, FileStore, JobStore

_DOCUMENT_NAME = re.compile(r"documents/([0-9a-f]{64})")
_LINK_SECONDS = 300
_JOB_NAME = re.compile(r"jobs/([0-9a-f]{32})")


def document_id_of(name: str) -> str:
    """The id in `documents/{document}`. Raises NameInvalid."""
    match = _DOCUMENT_NAME.fullmatch(name)
    if match is None:
        raise NameInvalid("documents/{64 lower-case hexadecimal digits}")
    return match[1]


def job_id_of(name: str) -> str:
    """The id in `jobs/{job}`. Raises NameInvalid."""
    match = _JOB_NAME.fullmatch(name)
    if match is None:
        raise NameInvalid("jobs/{32 lower-case hexadecimal digits}")
    return match[1]


class ParsedFileCounter(Protocol):
    @property
    def parsed_file_count(self) -> int: ...


@dataclass(frozen=True)
class Stats:
    documents: DocumentTotals
    jobs_by_state: Mapping[JobState, int]
    parsed_file_count: int
    uptime_seconds: float


@dataclass(frozen=True)
class FilePart:
    """Some bytes of the file that a document was made of. `url` is where it can be fetched; empty where it cannot."""

    document: Document
    content: bytes
    url: str


@dataclass
class Reading:
    """Reads what a tenant has. Raises JobStoreUnavailable everywhere."""

    jobs: JobStore
    registry: DocumentRegistry
    files: FileStore
    counter: ParsedFileCounter
    started_at: float = field(default_factory=time.monotonic)

    async def document(self, tenant: str, name: str) -> Document:
        """Raises: NameInvalid, DocumentNotFound."""
        document = await self.registry.get(tenant, document_id_of(name))
        if document is None or document.state is not DocumentState.READY:
            raise DocumentNotFound
        return document

    async def content(self, tenant: str, name: str, *, offset: int, size_bytes: int) -> FilePart:
        """A part of a document's file; with `size_bytes` 0 where it can be fetched, if anywhere.

        Raises: NameInvalid, DocumentNotFound, RangeInvalid, FileStoreUnavailable.
        """
        document = await self.document(tenant, name)
        if not 0 <= offset <= document.size_bytes:
            raise RangeInvalid(document.size_bytes)
        if not size_bytes:
            filename = document.filenames[-1] if document.filenames else document.document_id
            url = await self.files.link_original(
                document.file_key, filename=filename, content_type=document.content_type, seconds=_LINK_SECONDS
            )
            return FilePart(document, b"", url)
        content = await self.files.read_original(document.file_key, offset, size_bytes)
        if content is None:  # it has just been deleted
            raise DocumentNotFound
        return FilePart(document, content, "")

    async def documents(self, tenant: str, *, page_size: int, page_token: str) -> tuple[Sequence[Document], str]:
        """A page of READY documents, newest first, and the token of the next one. Raises PageTokenInvalid."""
        page = read_page("documents", page_size, page_token)
        found = await self.registry.list_ready(tenant, page.with_one_more())
        return cut_page("documents", found, page, lambda document: (document.create_time, document.document_id))

    async def job(self, tenant: str, name: str) -> Job:
        """Raises: NameInvalid, JobNotFound."""
        job = await self.jobs.get(tenant, job_id_of(name))
        if job is None:
            raise JobNotFound
        return job

    async def job_list(
        self, tenant: str, *, page_size: int, page_token: str, state: JobState | None = None
    ) -> tuple[Sequence[Job], str]:
        """A page of jobs, all or those in a state, newest first, and the token of the next. Raises PageTokenInvalid."""
        list_name = "jobs" if state is None else f"jobs in {state}"
        page = read_page(list_name, page_size, page_token)
        found = await self.jobs.list_newest_first(tenant, page.with_one_more(), state=state)
        return cut_page(list_name, found, page, lambda job: (job.create_time, job.job_id))

    async def stats(self, tenant: str) -> Stats:
        return Stats(
            documents=await self.registry.count(tenant),
            jobs_by_state=await self.jobs.count_by_state(tenant),
            parsed_file_count=self.counter.parsed_file_count,
            uptime_seconds=time.monotonic() - self.started_at,
        )
