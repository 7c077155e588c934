"""What ingesting needs from the world, said in its own words."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from services.ingest.erasures import ErasedFiles, ErasedFromIndex
from services.ingest.models import (
    NO_PROGRESS,
    Chunk,
    Document,
    DocumentFacts,
    DocumentImage,
    DocumentTotals,
    EmbeddingLimits,
    FileKey,
    FoundImage,
    Job,
    JobMessage,
    JobState,
    LeasedJob,
    NewJob,
    PageNote,
    PageRequest,
    ParsedDocument,
    Pointed,
    Progress,
)


class FileStore(Protocol):
    """Files of documents. Each write is whole or not there at all, also after a crash.

    Every method raises FileStoreUnavailable when the store cannot be reached.
    """

    @property
    def kind(self) -> str:
        """ "local" or "s3"."""
        ...

    async def save_original(self, key: FileKey, content: bytes | Path) -> None:
        """Store the uploaded bytes, or those of the file at a path, over any there. Raises StorageFull."""
        ...

    async def read_original(self, key: FileKey, offset: int, size_bytes: int) -> bytes | None:
        """As many of the uploaded bytes from there on, fewer at the end only; None when there are none stored."""
        ...

    async def link_original(self, key: FileKey, *, filename: str, content_type: str, seconds: int) -> str:
        """An address where they can be fetched under the name for so long; empty where they are to be read here."""
        ...

    def fetched(self, key: FileKey) -> AbstractAsyncContextManager[Path | None]:
        """A local path with the uploaded bytes, valid inside the block; None when there are none."""
        ...

    async def save_record(self, key: FileKey, name: str, data: bytes) -> None:
        """Store a small file beside the original, over any there. `name` is one of those in records.py.

        Raises StorageFull.
        """
        ...

    async def load_record(self, key: FileKey, name: str) -> bytes | None:
        """What `save_record` stored; None when there is nothing."""
        ...

    async def save_image(self, key: FileKey, image: DocumentImage, content: bytes) -> None:
        """Store an image of the document, over any there. Raises StorageFull."""
        ...

    async def load_image(self, key: FileKey, image: DocumentImage) -> bytes | None:
        """What `save_image` stored; None when there is nothing."""
        ...

    async def delete(self, key: FileKey) -> ErasedFiles:
        """Remove everything under the key, with what this process is still writing there. Nothing is no error."""
        ...

    async def count(self, key: FileKey) -> int:
        """How many files, with their earlier versions, there are under the key now."""
        ...

    async def is_reachable(self) -> bool:
        """Whether a file could be stored now."""
        ...


class JobStore(Protocol):
    """Jobs, and who works on them.

    A lease is a promise to change the job within its time; `heartbeat` renews it. A change with a token that is no
    longer the job's raises LeaseLost, so a worker that was taken for dead changes nothing. At most one job that is
    not final exists for a document, and one job for a request id, within a tenant.
    Every method raises JobStoreUnavailable when the store cannot be reached.
    """

    async def create(self, new: NewJob, *, lease_seconds: float) -> LeasedJob | None:
        """Record a job in state QUEUED, leased to the caller, with attempt_count 1.

        None when its document has a job that is not final, or its request id has a job.
        """
        ...

    async def claim(self, job_id: str, *, lease_seconds: float) -> LeasedJob | None:
        """Take up a job that is not final and that nobody holds, also before its pause is over; else None.

        It is QUEUED then. Where its lease ran out while it was in another state, it counts one more lost lease.
        """
        ...

    async def claim_due(self, *, lease_seconds: float) -> LeasedJob | None:
        """Take up, as `claim` does, the longest waiting job of any tenant whose pause is over, or None."""
        ...

    async def heartbeat(self, leased: LeasedJob, *, lease_seconds: float) -> None: ...

    async def advance(self, leased: LeasedJob, state: JobState, progress: Progress = NO_PROGRESS) -> None:
        """Record a state that is not final, and how far the job is."""
        ...

    async def finish(
        self,
        leased: LeasedJob,
        *,
        progress: Progress = NO_PROGRESS,
        page_notes: Sequence[PageNote] = (),
        joined: Sequence[str] = (),
        images_due: bool = False,
    ) -> bool:
        """Record READY, and whether images are still to be taken out of the document.

        False, and nothing is recorded, when other names have joined the job than `joined`.
        """
        ...

    async def take_images_due(self, *, after_seconds: float) -> Job | None:
        """A READY job of any tenant whose images are due for longer than that; others pass it over for as long."""
        ...

    async def settle_images(self, job_id: str) -> None:
        """Record that the images of a document are taken out, or that there is nothing to be taken out of it."""
        ...

    async def fail(self, leased: LeasedJob, *, reason: str, detail: str, keep_file_seconds: float = 0) -> None:
        """Record FAILED, and that its file is kept so long."""
        ...

    async def release(self, leased: LeasedJob, *, pause_seconds: float) -> None:
        """Give the job back as QUEUED; `claim_due` passes it over until the pause is over."""
        ...

    async def join(self, job_id: str, filename: str) -> bool:
        """Have the document get one more name when it is READY.

        False when the job is final, or has MAX_JOINED_FILENAMES of them.
        """
        ...

    async def cancel(self, job_id: str) -> bool:
        """Record CANCELLED whoever holds the job, whose lease goes on. False when it is unknown or final."""
        ...

    async def let_go(self, leased: LeasedJob) -> None:
        """Tell that nothing more is done for a job that was cancelled under its holder's hands."""
        ...

    async def is_held(self, tenant: str, job_id: str) -> bool:
        """Whether somebody may still be working on the job, also on one that was cancelled."""
        ...

    async def requeue(self, tenant: str, job_id: str) -> Job | None:
        """Make a job that is FAILED QUEUED again, due now, with its counts at 0.

        None when it is not FAILED, its file is not kept any more, or another job of its document is not final.
        """
        ...

    async def list_outdated(self, *, limit: int) -> list[Job]:
        """Jobs of any tenant whose file need not be kept any longer, longest waiting first."""
        ...

    async def forget_file(self, job_id: str) -> None:
        """Record of a final job that its file is not kept."""
        ...

    async def get(self, tenant: str, job_id: str) -> Job | None: ...

    async def find_by_request(self, tenant: str, request_id: str) -> Job | None: ...

    async def find_active(self, tenant: str, document_id: str) -> Job | None:
        """The job of a document that is not final."""
        ...

    async def list_newest_first(self, tenant: str, page: PageRequest, *, state: JobState | None = None) -> list[Job]:
        """Jobs, only those in a state where one is given."""
        ...

    async def count_by_state(self, tenant: str) -> Mapping[JobState, int]:
        """Number of jobs in each state that occurs."""
        ...

    async def is_reachable(self) -> bool: ...


class JobQueue(Protocol):
    """Tells workers elsewhere of jobs that wait.

    The job store is the truth: of a job whose message is lost they learn by looking there, and a message that comes
    twice, or late, changes nothing.
    """

    async def announce(self, job_id: str, *, delay_seconds: float = 0) -> None:
        """Have a worker told of the job when the delay is over. Raises JobQueueUnavailable."""
        ...


class JobMessages(Protocol):
    """The workers' end of a JobQueue. Every method raises JobQueueUnavailable."""

    async def receive(self) -> Sequence[JobMessage]:
        """Wait some seconds for a message. One that is received is nobody else's for a while, then comes again."""
        ...

    async def keep(self, message: JobMessage, *, seconds: float) -> None:
        """Have the message come again after so many seconds from now, not sooner; 0: at once."""
        ...

    async def remove(self, message: JobMessage) -> None:
        """The message has served its purpose. Removing it twice is no error."""
        ...


class DocumentRegistry(Protocol):
    """Which documents there are, and which names point to them. A name points to one document of its tenant.

    Every method raises JobStoreUnavailable when the store cannot be reached.
    """

    async def get(self, tenant: str, document_id: str) -> Document | None:
        """The document in whatever state, or None."""
        ...

    async def named(self, tenant: str, filename: str) -> Document | None:
        """The document that the name points to."""
        ...

    async def publish(self, document: Document, filename: str) -> Pointed | None:
        """Record the document as READY and point the name to it, in one step; over an earlier record of it.

        A document that so loses its last name becomes DELETING, with this one as its `successor`. A document that takes
        a name from another has a higher `version` than that; `version` of `document` is not looked at.
        `indexed_filename` is taken from `document`. None when the document is DELETING.
        """
        ...

    async def point(self, tenant: str, filename: str, document_id: str) -> Pointed | None:
        """Point the name to a document. None when that is not READY. A name that points there already keeps its age."""
        ...

    async def mark_indexed_filename(self, tenant: str, document_id: str, filename: str) -> None:
        """Remember which name the index shows."""
        ...

    async def mark_deleting(self, tenant: str, document_id: str) -> Document | None:
        """Make the document DELETING and drop its names; repeating it is no error. None when it is unknown."""
        ...

    async def condemn(self, job: Job) -> Document:
        """Like `mark_deleting`, and record the document of the job first where it is unknown.

        Where only chunks were to be removed (`job_id` is NO_JOB), it is all that the job has stored from now on.
        """
        ...

    async def condemn_unready(self, job: Job) -> Document | None:
        """Like `condemn`, but None, and nothing is changed, when the document is READY."""
        ...

    async def hold_deletion(self, tenant: str, document_id: str, *, lease_seconds: float) -> str | None:
        """Take the removal of a document that is DELETING, for so long, to be renewed; the token that proves it.

        None when the document is unknown, not DELETING, or its removal in other hands.
        """
        ...

    async def keep_deletion(self, tenant: str, document_id: str, token: str, *, lease_seconds: float) -> None:
        """Renew the hold. Raises LeaseLost when it is no longer the caller's."""
        ...

    async def let_deletion_go(self, tenant: str, document_id: str, token: str) -> None:
        """End the hold, with the document still there. Nothing happens when it is no longer the caller's."""
        ...

    async def remove(self, tenant: str, document_id: str, token: str) -> bool:
        """Forget a document that is DELETING, under the hold of its removal. False when that is not the caller's."""
        ...

    async def list_ready(self, tenant: str, page: PageRequest) -> list[Document]:
        """READY documents, newest first by creation."""
        ...

    async def list_unsettled(self, *, limit: int) -> list[Document]:
        """Documents of any tenant that are DELETING or that the index shows by an old name, longest waiting first."""
        ...

    async def count(self, tenant: str) -> DocumentTotals: ...


class Parser(Protocol):
    async def parse(
        self, path: Path, extension: str, *, on_page: Callable[[int, int], None] | None = None
    ) -> ParsedDocument:
        """Read a file. `extension` has no dot. `on_page` is told how many pages are read, and of how many.

        Raises: FileBroken, FileWithoutText, ParsingTimeout.
        """
        ...


class ImageReader(Protocol):
    def images(self, path: Path) -> AsyncGenerator[FoundImage]:
        """The images a PDF shows, in the order of its pages, each one once; as many as the reader's limits allow.

        Close it when you do not read to its end. Raises: FileBroken, ParsingTimeout.
        """
        ...


class ImageFunction(Protocol):
    """Another process that does what `Imaging.extract` does."""

    async def extract(self, document_id: str) -> int:
        """Have the images of the acting tenant's document extracted; returns how many. Raises IngestError."""
        ...


class TokenCounter(Protocol):
    """Counts in the tokens of an embedding model, without the marks the model adds around a text."""

    @property
    def model(self) -> str:
        """Name of the model."""
        ...

    def count_all(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text. Nothing is cut."""
        ...


class ChunkIndexer(Protocol):
    """The index of chunks, of the caller's tenant. Every method can be repeated without harm.

    Raises: IndexUnavailable: try again later. IndexRefused: trying again does not help.
    """

    async def limits(self) -> EmbeddingLimits:
        """What the chunks will be embedded by. Known for a while; a change is noticed within minutes."""
        ...

    async def index(
        self,
        document_id: str,
        filename: str,
        chunks: Sequence[Chunk],
        *,
        chunk_count: int,
        facts: DocumentFacts | None = None,
        held_back: bool = False,
        progress: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        """Make the chunks searchable under the name, and forget those numbered `chunk_count` and up.

        With `held_back` those of a document that is new to the index wait for `show`, or for the removal of the one
        that it succeeds.

        Without chunks only the name and the facts change; without facts the index keeps those it has. `progress` is
        told how many of `chunks` are done, after each batch.
        """
        ...

    async def delete(self, document_id: str, *, successor: str = "") -> ErasedFromIndex:
        """Forget every chunk of the document, and what is cached of them. An unknown document is no error.

        In the same step the chunks of the `successor`, if there is one, become searchable that were held back.
        """
        ...

    async def show(self, document_id: str) -> None:
        """Make the chunks of the document searchable that were held back. Nothing is done about others."""
        ...
