"""What ingesting is about: documents, their text and chunks, and the jobs that make them."""

import enum
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Self


class BlockKind(enum.StrEnum):
    """What a stretch of a document is; decides how chunks may be cut."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    ITEM = "item"
    ROW = "row"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class TablePlace:
    """Where a row stands: `table` counts the tables of the document, `row` the rows of that table without its header.

    Both count from 0. `columns` are the names in the header, from the left; none where the table has no header.
    """

    table: int
    row: int
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableRange:
    """Rows `first_row` to `last_row` of a table, both counted and included as in TablePlace."""

    table: int
    first_row: int
    last_row: int


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a document's text: `ParsedDocument.text[start:end]`, never blank.

    `page` counts from 1 and is None where the format has none. `headings` is the path the block stands under,
    outermost first; a heading's own text is not part of its path. `table` is known of rows alone.
    """

    kind: BlockKind
    start: int
    end: int
    page: int | None = None
    headings: tuple[str, ...] = ()
    table: TablePlace | None = None


class PageProblem(enum.StrEnum):
    """Why a page could not be read as its neighbours were."""

    SCANNED_WITHOUT_OCR = "SCANNED_WITHOUT_OCR"
    PAGE_BROKEN = "PAGE_BROKEN"
    PAGE_TOO_COMPLEX = "PAGE_TOO_COMPLEX"
    OCR_FAILED = "OCR_FAILED"


@dataclass(frozen=True)
class PageNote:
    """A page, counted from 1, that is missing from a document's text in part or whole. `detail` is for a person."""

    page: int
    reason: PageProblem
    detail: str


@dataclass(frozen=True)
class ParsedDocument:
    """A document's text and the blocks it consists of, in order, without overlap, only white space between them.

    `page_notes` tell of pages that could not be read, in the order of the pages.
    """

    text: str
    blocks: tuple[Block, ...]
    title: str = ""
    page_count: int | None = None
    page_notes: tuple[PageNote, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """`text` is exactly the document's text from `start` to `end`, in code points. `index` counts from 0.

    `table` says which rows it holds; None where it holds none, or rows of more than one table.
    """

    index: int
    text: str
    start: int
    end: int
    token_count: int
    page: int | None = None
    headings: tuple[str, ...] = ()
    table: TableRange | None = None


@dataclass(frozen=True)
class EmbeddingLimits:
    """The model that will embed the chunks, and the longest text that it reads, in its own tokens."""

    model: str
    max_tokens: int


@dataclass(frozen=True)
class DocumentFacts:
    """What an index knows of a whole document besides its name; searches are narrowed by it.

    `create_time` is when its bytes first came.
    """

    title: str = ""
    extension: str = ""
    tags: tuple[str, ...] = ()
    create_time: datetime | None = None


@dataclass(frozen=True)
class FileKey:
    """Where the files of one document lie. `extension` has no dot."""

    tenant: str
    extension: str
    document_id: str


@dataclass(frozen=True)
class DocumentImage:
    """An image that a document shows. `image_id` is the SHA-256 of its bytes, `page` the first one that shows it."""

    image_id: str
    page: int
    width: int
    height: int
    content_type: str
    size_bytes: int

    @property
    def filename(self) -> str:
        return f"{self.image_id}.{IMAGE_EXTENSIONS[self.content_type]}"


IMAGE_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png"}


@dataclass(frozen=True)
class FoundImage:
    """An image as it is read from a file. Sizes are in pixels, `page` counts from 1."""

    page: int
    width: int
    height: int
    content_type: str
    content: bytes


NO_JOB = ""


class DocumentState(enum.StrEnum):
    READY = "READY"
    DELETING = "DELETING"


@dataclass(frozen=True)
class Document:
    """A document of one tenant, keyed by the SHA-256 of its bytes.

    `filenames` are the names that point to it, oldest first. `indexed_filename` is the one the index shows.
    `job_id` is the job that ingested it, or NO_JOB when it is DELETING and only its chunks are to be removed.
    `page_notes` tell of pages that could not be read. `version` counts, from 1, the documents that one after the other
    had the name it came under. `successor` is the id of the document that took the last name of one that is DELETING.
    """

    tenant: str
    document_id: str
    extension: str
    content_type: str
    size_bytes: int
    chunk_count: int
    token_count: int
    job_id: str
    title: str = ""
    page_count: int | None = None
    filenames: tuple[str, ...] = ()
    indexed_filename: str = ""
    state: DocumentState = DocumentState.READY
    create_time: datetime | None = None
    update_time: datetime | None = None
    tags: tuple[str, ...] = ()
    page_notes: tuple[PageNote, ...] = ()
    version: int = 1
    successor: str = ""

    @property
    def file_key(self) -> FileKey:
        return FileKey(self.tenant, self.extension, self.document_id)

    @property
    def index_shows_old_name(self) -> bool:
        return bool(self.filenames) and self.indexed_filename != self.filenames[0]


@dataclass(frozen=True)
class Pointed:
    """What moving a name changed: `document` holds the name now, `orphan` lost its last one and is DELETING,
    `renamed` lost the name it was shown by and keeps another."""

    document: Document
    orphan: Document | None = None
    renamed: Document | None = None


class JobState(enum.StrEnum):
    QUEUED = "QUEUED"
    FETCHING = "FETCHING"
    PARSING = "PARSING"
    CHUNKING = "CHUNKING"
    INDEXING = "INDEXING"
    READY = "READY"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        return self in FINAL_STATES


FINAL_STATES = frozenset({JobState.READY, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True)
class Progress:
    """How far a job is. Totals are 0 while they are not known, those of pages also where the format has none."""

    parsed_page_count: int = 0
    total_page_count: int = 0
    indexed_chunk_count: int = 0
    total_chunk_count: int = 0


NO_PROGRESS = Progress()
MAX_JOINED_FILENAMES = 100


@dataclass(frozen=True)
class NewJob:
    """The work of ingesting one document, to be recorded."""

    job_id: str
    tenant: str
    subject: str
    document_id: str
    extension: str
    filename: str
    request_id: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A recorded job.

    `attempt_count` counts how often it was taken up, and `lost_lease_count` the workers that vanished while they did
    it, both since it was made or last retried. `joined_filenames` are names of further uploads of the same bytes, which
    get the document too. Until `file_kept_until` the file of a job that failed is kept, to be retried.
    """

    job_id: str
    tenant: str
    subject: str
    document_id: str
    extension: str
    filename: str
    create_time: datetime
    update_time: datetime
    request_id: str | None = None
    state: JobState = JobState.QUEUED
    failure_reason: str = ""
    failure_detail: str = ""
    attempt_count: int = 0
    lost_lease_count: int = 0
    parsed_page_count: int = 0
    total_page_count: int = 0
    indexed_chunk_count: int = 0
    total_chunk_count: int = 0
    tags: tuple[str, ...] = ()
    joined_filenames: tuple[str, ...] = ()
    page_notes: tuple[PageNote, ...] = ()
    file_kept_until: datetime | None = None

    @property
    def file_key(self) -> FileKey:
        return FileKey(self.tenant, self.extension, self.document_id)

    @property
    def progress(self) -> Progress:
        return Progress(self.parsed_page_count, self.total_page_count, self.indexed_chunk_count, self.total_chunk_count)


@dataclass(frozen=True)
class LeasedJob:
    """A job and the token that proves its holder may change it."""

    job: Job
    lease_token: str


@dataclass(frozen=True)
class JobMessage:
    """Word that a job waits, as a queue delivers it: once at least, in any order.

    `job_id` is None where the message says something else. `receipt` stands for this delivery of it, the
    `receive_count`-th; after the `is_last` one the queue sets the message aside for a person.
    """

    message_id: str
    job_id: str | None
    receipt: str
    receive_count: int = 1
    is_last: bool = False


@dataclass(frozen=True)
class PageRequest:
    """One page of a newest-first list. `before` is the key of the last row of the page before, None for the first."""

    size: int
    before: tuple[datetime, str] | None = None

    def with_one_more(self) -> Self:
        """The same page and the row after it, by which to tell whether there is a next."""
        return replace(self, size=self.size + 1)


@dataclass(frozen=True)
class DocumentTotals:
    """Documents that are READY, and the sum of their sizes."""

    document_count: int
    total_size_bytes: int


@dataclass(frozen=True)
class Upload:
    """A file as it came, its name and extension clean. `content` is its bytes, or a path of a file that holds them.

    `document_id` is their SHA-256.
    """

    tenant: str
    subject: str
    filename: str
    extension: str
    document_id: str
    content: bytes | Path
    tags: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return self.tenant, self.document_id


@dataclass(frozen=True)
class Ingested:
    """What came of an upload. `cache_hit`: it was neither parsed nor indexed for this upload."""

    document: Document
    cache_hit: bool
    job_id: str


@dataclass(frozen=True)
class Started:
    """What came of an upload that is not waited for. `document`: the same bytes were READY already."""

    job: Job
    document: Document | None = None
