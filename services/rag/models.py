"""What rag speaks about: chunks, where they stand, and what was found, quoted and counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

Embedding: TypeAlias = Sequence[float]
"""One value for each dimension, of length 1, so that the dot product of two embeddings is their cosine."""


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """Which model made an embedding; embeddings of different models cannot be compared."""

    name: str
    dimension: int

    def __str__(self) -> str:
        return f"{self.name} ({self.dimension} dimensions)"


class ChunkId(NamedTuple):
    """Which chunk, within a tenant."""

    document: str
    """Resource name, `documents/{id}`."""
    chunk_index: int

    @property
    def name(self) -> str:
        """Resource name of the chunk."""
        return f"{self.document}/chunks/{self.chunk_index}"


@dataclass(frozen=True, slots=True)
class TableRange:
    """Rows of one table of a document."""

    table: int
    """Which table, counted from 0."""
    first_row: int
    """Counted from 0, without the header."""
    last_row: int
    """Included."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document's text and where it stands."""

    index: int
    text: str
    start: int
    """First character in the document's text, in code points."""
    end: int
    page: int | None = None
    headings: tuple[str, ...] = ()
    """Outermost first."""
    table: TableRange | None = None
    """The rows it holds; None where it holds none, or rows of more than one table."""


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """What is known of a whole document besides its name."""

    title: str = ""
    extension: str = ""
    """Kind of file, without a dot."""
    tags: tuple[str, ...] = ()
    create_time: datetime | None = None
    """When its bytes first came, with a time zone."""


@dataclass(frozen=True, slots=True)
class SearchFilters:
    """What documents have to be like to be found. An empty filter lets all pass; those that are given hold together."""

    filenames: tuple[str, ...] = ()
    """One of them, to the letter."""
    extensions: tuple[str, ...] = ()
    """One of them."""
    tags: tuple[str, ...] = ()
    """All of them."""
    create_time_from: datetime | None = None
    """Included."""
    create_time_before: datetime | None = None
    """Not included."""


NO_FILTERS: Final = SearchFilters()


@dataclass(frozen=True, slots=True)
class IndexedChunk:
    """A chunk with everything by which it is found."""

    chunk: Chunk
    fingerprint: str
    """SHA-256 of the words that were embedded; the same fingerprint means the same embedding."""
    terms: Mapping[str, int]
    """How often each search term occurs in it."""
    embedding: Embedding | None
    """None when the index holds the embedding already, under the same fingerprint."""


@dataclass(frozen=True, slots=True)
class DocumentWrite:
    """What one call changes of a document's chunks."""

    tenant: str
    document: str
    filename: str
    chunk_count: int
    """Chunks the whole document has; stored ones at or past it are stale."""
    chunks: tuple[IndexedChunk, ...] = ()
    facts: DocumentFacts | None = None
    """None leaves what is stored of them."""
    held_back: bool = False
    """Whether the chunks of a document that has none yet are kept from searches until they are shown."""


@dataclass(frozen=True, slots=True)
class DeleteOutcome:
    """What a removal removed of chunks and of cached embeddings, and how many chunks are there when looked at again."""

    removed_count: int
    forgotten_count: int
    remaining_count: int


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """What a write did."""

    removed_count: int = 0
    missing: frozenset[int] = frozenset()
    """Chunks given without an embedding that the index does not hold (any more). If there are any, none is written."""


@dataclass(frozen=True, slots=True)
class IndexQuery:
    """What to look for. Both legs are limited to the tenant, to `documents` when there are any, and by `filters`."""

    tenant: str
    embedding: Embedding
    terms: tuple[str, ...]
    limit: int
    """Most chunks from each leg."""
    documents: tuple[str, ...] = ()
    filters: SearchFilters = NO_FILTERS


@dataclass(frozen=True, slots=True)
class FoundChunk:
    """A chunk the index holds, and how near it is to the question."""

    document: str
    filename: str
    chunk: Chunk
    similarity: float
    """Cosine similarity with the question, from -1 to 1."""

    @property
    def id(self) -> ChunkId:
        return ChunkId(self.document, self.chunk.index)


@dataclass(frozen=True, slots=True)
class TermCounts:
    """How common words are in a tenant's chunks."""

    chunk_count: int = 0
    containing: Mapping[str, int] = field(default_factory=dict)
    """Number of chunks that hold a term; a term that none holds may be left out."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What both legs of a search found."""

    chunks: Mapping[ChunkId, FoundChunk]
    """Every chunk that a leg names."""
    by_meaning: tuple[ChunkId, ...]
    """Best first."""
    by_words: tuple[ChunkId, ...]
    """Best first; empty when the index has no lexical leg or no term occurs."""
    counts: TermCounts


@dataclass(frozen=True, slots=True)
class ScoredChunk:
    """A found chunk with the rank score by which results are ordered, unless a reranker puts the best of them anew."""

    found: FoundChunk
    fused_score: float


@dataclass(frozen=True, slots=True)
class IndexStatistics:
    """What a tenant has indexed."""

    document_count: int
    """Documents with at least one chunk."""
    chunk_count: int


@dataclass(frozen=True, slots=True)
class IndexOutcome:
    """What IndexChunks did with the chunks of one call."""

    indexed_count: int
    unchanged_count: int
    removed_count: int


@dataclass(frozen=True, slots=True)
class Quote:
    """A stretch of a passage's text, in characters of the chunk."""

    passage: int
    """Which passage, counted from 0."""
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class DraftSentence:
    """One sentence of an answer as a writer gives it, with what backs it."""

    text: str
    quotes: tuple[Quote, ...]


@dataclass(frozen=True, slots=True)
class WriterUsage:
    """What a writer spent on one answer."""

    input_tokens: int = 0
    output_tokens: int = 0
    embedded_texts: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """What a writer gets to answer from."""

    tenant: str
    """Whose passages these are. What a writer remembers of them serves this tenant alone."""
    question: str
    question_embedding: Embedding
    passages: tuple[FoundChunk, ...]
    """Best first."""
    counts: TermCounts
    """How common the question's terms are."""


@dataclass(frozen=True, slots=True)
class Citation:
    """The stretch of a document that backs one sentence of an answer."""

    chunk: ChunkId
    filename: str
    quote: str
    start: int
    end: int
    page: int | None
    sentence_index: int
    table: TableRange | None = None
    headings: tuple[str, ...] = ()
    """Over the chunk of the quote, outermost first."""


@dataclass(frozen=True, slots=True)
class AnswerSentence:
    """A sentence of an answer that is backed: what of it can be told before the whole answer is there."""

    text: str
    """With what parts it from the sentence before; all of them joined are the answer's text."""
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer from the documents, or the sentence that says they hold none."""

    text: str
    answered: bool
    citations: tuple[Citation, ...]
    sources: tuple[ScoredChunk, ...]
    usage: WriterUsage


@dataclass(frozen=True, slots=True)
class Assessment:
    """How well the documents can answer one text."""

    score: float
    """0 (nothing bears on it) to 1 (a passage answers it)."""
    reason: str
    document: str
    """Resource name of the document behind the score; empty when there is none."""
