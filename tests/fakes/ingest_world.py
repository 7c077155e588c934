"""The ingest service on its fakes, put together as its wiring does on real parts."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from services.ingest.bringing import Bringing
from services.ingest.chunking import Chunker
from services.ingest.consuming import Consuming
from services.ingest.deleting import Deleting
from services.ingest.imaging import Imaging
from services.ingest.ingesting import Ingesting
from services.ingest.models import Document, FileKey, Ingested, Job, JobState, LeasedJob, NewJob, PageRequest
from services.ingest.ports import ImageFunction
from services.ingest.workers import Workers
from services.ingest.working import JobRunner
from tests.fakes.ingest import FakeChunkIndexer, FakeFileStore, FakeImageReader, FakeParser, WordCounter
from tests.fakes.ingest_queue import FakeJobQueue
from tests.fakes.ingest_registry import FakeDocumentRegistry
from tests.fakes.ingest_stores import Clock, FakeJobStore

LEASE_SECONDS = 30.0


def id_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class World:
    """Everything of one service; `restarted` is another process with the same stores."""

    clock: Clock
    jobs: FakeJobStore
    registry: FakeDocumentRegistry
    files: FakeFileStore
    indexer: FakeChunkIndexer
    parser: FakeParser = field(default_factory=FakeParser)
    outlive_calls: bool = True
    queue: FakeJobQueue = field(default_factory=FakeJobQueue)
    remaining_seconds: float = math.inf
    image_reader: FakeImageReader = field(default_factory=FakeImageReader)
    image_function: ImageFunction | None = None

    def __post_init__(self) -> None:
        self.deleting = Deleting(
            jobs=self.jobs, registry=self.registry, files=self.files, indexer=self.indexer, act_for=act_for
        )
        self.imaging = Imaging(
            jobs=self.jobs,
            registry=self.registry,
            files=self.files,
            reader=self.image_reader,
            act_for=act_for,
            fingerprint="images-1",
            elsewhere=self.image_function,
            outlive_calls=self.outlive_calls,
        )
        self.runner = JobRunner(
            jobs=self.jobs,
            registry=self.registry,
            files=self.files,
            parser=self.parser,
            chunker=Chunker(WordCounter(), max_tokens=8),
            indexer=self.indexer,
            deleting=self.deleting,
            act_for=act_for,
            parsing_fingerprint="parsing-1",
            has_images=self.imaging.has_images,
            after_ready=self.imaging.after_ready,
            lease_seconds=LEASE_SECONDS,
        )
        self.bringing = Bringing(
            jobs=self.jobs,
            registry=self.registry,
            files=self.files,
            runner=self.runner,
            deleting=self.deleting,
            queue=self.queue,
            outlive_calls=self.outlive_calls,
            poll_seconds=0,
        )
        self.ingesting = Ingesting(
            bringing=self.bringing,
            max_file_bytes=10_000,
            remaining_seconds=lambda: self.remaining_seconds,
        )
        self.workers = Workers(
            jobs=self.jobs, runner=self.runner, deleting=self.deleting, imaging=self.imaging, count=1, poll_seconds=0
        )
        self.consuming = Consuming(jobs=self.jobs, runner=self.runner, messages=self.queue, retry_seconds=0)

    def restarted(self) -> World:
        return World(self.clock, self.jobs, self.registry, self.files, self.indexer, queue=self.queue)

    async def ingest(
        self, content: bytes, filename: str = "notes.txt", *, tenant: str = "red", request_id: str = ""
    ) -> Ingested:
        return await self.ingesting.ingest(
            tenant=tenant, subject="ann", filename=filename, content=content, request_id=request_id
        )

    async def abandoned_job(
        self, content: bytes, filename: str = "notes.txt", *, stored: bool = True, lost: int = 1
    ) -> LeasedJob:
        """A job that `lost` workers in turn have left behind; its lease has run out."""
        new = NewJob("9" * 32, "red", "ann", id_of(content), filename.rpartition(".")[2], filename)
        leased = await self.jobs.create(new, lease_seconds=LEASE_SECONDS)
        assert leased is not None
        if stored:
            await self.files.save_original(leased.job.file_key, content)
        for _ in range(lost - 1):
            await self.jobs.advance(leased, JobState.FETCHING)
            self.clock.pass_seconds(2 * LEASE_SECONDS)
            leased = await self.jobs.claim(new.job_id, lease_seconds=LEASE_SECONDS)
            assert leased is not None
        await self.jobs.advance(leased, JobState.FETCHING)
        self.clock.pass_seconds(2 * LEASE_SECONDS)
        return leased

    async def job_of(self, content: bytes, tenant: str = "red") -> Job | None:
        jobs = await self.jobs.list_newest_first(tenant, PageRequest(100))
        return next((job for job in jobs if job.document_id == id_of(content)), None)

    async def document_of(self, content: bytes, tenant: str = "red") -> Document | None:
        return await self.registry.get(tenant, id_of(content))

    def key_of(self, content: bytes, extension: str = "txt", tenant: str = "red") -> FileKey:
        return FileKey(tenant, extension, id_of(content))

    def texts_of(self, content: bytes, tenant: str = "red") -> list[str]:
        chunks = self.indexer.chunks.get((tenant, id_of(content)), {})
        return [chunks[index].text for index in sorted(chunks)]

    async def only_the_file_left_of(self, content: bytes, extension: str = "txt") -> bool:
        """The file of a failed job, and what was read from it, kept to be retried."""
        kept = self.files.originals.get(self.key_of(content, extension)) == content
        return kept and await self.document_of(content) is None and not self.texts_of(content)

    async def nothing_left_of(self, content: bytes, extension: str = "txt") -> bool:
        key = self.key_of(content, extension)
        return (
            await self.document_of(content) is None
            and key not in self.files.originals
            and not any(place == key for place, _ in self.files.records)
            and not self.texts_of(content)
        )


def new_world(*, outlive_calls: bool = True, max_receives: int = 1_000) -> World:
    clock = Clock()
    return World(
        clock,
        FakeJobStore(clock),
        FakeDocumentRegistry(clock),
        FakeFileStore(),
        FakeChunkIndexer(_acting_for.get),
        outlive_calls=outlive_calls,
        queue=FakeJobQueue(clock, max_receives=max_receives),
    )


_acting_for: ContextVar[str] = ContextVar("acting_for")


@contextmanager
def act_for(tenant: str) -> Iterator[str]:
    token = _acting_for.set(tenant)
    try:
        yield tenant
    finally:
        _acting_for.reset(token)


async def settled() -> None:
    """Let everything that can go on now go on."""
    for _ in range(200):
        await asyncio.sleep(0)
