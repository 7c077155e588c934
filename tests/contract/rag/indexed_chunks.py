"""Chunks as indexes get them, and how the behaviour suites of an index ask for them."""

from collections.abc import Callable, Sequence

from services.rag.models import (
    NO_FILTERS,
    Chunk,
    DocumentFacts,
    DocumentWrite,
    Embedding,
    EmbeddingModel,
    IndexedChunk,
    IndexQuery,
    Retrieved,
    SearchFilters,
)
from services.rag.ports import ChunkIndex

MODEL = EmbeddingModel("three-axes", 3)
OTHER_MODEL = EmbeddingModel("three-other-axes", 3)
FLAT_MODEL = EmbeddingModel("two-axes", 2)
OpenIndex = Callable[[EmbeddingModel], ChunkIndex]

EAST, NORTH, UP = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
NORTH_EAST = (0.8, 0.6, 0.0)
GUIDE = "documents/" + "a" * 64
NOTES = "documents/" + "b" * 64


def indexed(
    index: int, text: str, embedding: Embedding | None, *, headings: tuple[str, ...] = (), page: int | None = None
) -> IndexedChunk:
    words = text.lower().split()
    terms = {word: words.count(word) for word in words}
    start = 100 * index
    chunk = Chunk(index, text, start, start + len(text), page, headings)
    return IndexedChunk(chunk, f"fingerprint of {text}", terms, embedding)


def write(
    *chunks: IndexedChunk,
    tenant: str = "red",
    document: str = GUIDE,
    filename: str = "guide.md",
    chunk_count: int | None = None,
    facts: DocumentFacts | None = None,
    held_back: bool = False,
) -> DocumentWrite:
    return DocumentWrite(tenant, document, filename, chunk_count or max(1, len(chunks)), chunks, facts, held_back)


async def search(
    index: ChunkIndex,
    embedding: Embedding = EAST,
    terms: Sequence[str] = (),
    *,
    tenant: str = "red",
    limit: int = 10,
    documents: tuple[str, ...] = (),
    filters: SearchFilters = NO_FILTERS,
) -> Retrieved:
    return await index.search(IndexQuery(tenant, embedding, tuple(terms), limit, documents, filters))
