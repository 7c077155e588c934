"""In-memory stand-ins for rag's ports. They pass the behaviour suites of the real adapters."""

import hashlib
import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from services.rag.errors import EmbedderUnavailable, EmbeddingModelMismatch, TextTooLong
from services.rag.models import (
    ChunkId,
    DocumentFacts,
    DocumentWrite,
    DraftSentence,
    Embedding,
    EmbeddingModel,
    FoundChunk,
    IndexedChunk,
    IndexQuery,
    IndexStatistics,
    Quote,
    Reading,
    Retrieved,
    SearchFilters,
    TermCounts,
    WriteOutcome,
    WriterUsage,
)
from services.rag.words import terms_of

FAKE_MODEL = EmbeddingModel("bag-of-words", 64)


@dataclass
class _Stored:
    filename: str = ""
    chunks: dict[int, IndexedChunk] = field(default_factory=dict)
    facts: DocumentFacts = field(default_factory=DocumentFacts)


class ChunkShelf:
    """What a fake index keeps; several indexes may open one shelf."""

    def __init__(self) -> None:
        self.model: EmbeddingModel | None = None
        self.documents: dict[tuple[str, str], _Stored] = {}
        self.held_back: set[tuple[str, str]] = set()

    def of_tenant(self, tenant: str) -> list[tuple[str, _Stored]]:
        return [(document, stored) for (owner, document), stored in self.documents.items() if owner == tenant]


class FakeChunkIndex:
    """ChunkIndex over a dictionary. `failing` is raised by every call while it is set."""

    kind = "memory"

    def __init__(self, shelf: ChunkShelf | None = None, model: EmbeddingModel = FAKE_MODEL) -> None:
        self.shelf = shelf or ChunkShelf()
        self.failing: Exception | None = None
        self.writes: list[DocumentWrite] = []
        self._model = model

    async def fingerprints(self, tenant: str, document: str) -> dict[int, str]:
        self._fail()
        stored = self.shelf.documents.get((tenant, document), _Stored())
        return {index: chunk.fingerprint for index, chunk in stored.chunks.items()}

    async def write(self, write: DocumentWrite) -> WriteOutcome:
        self._fail()
        self._require_model()
        self.shelf.model = self._model
        key = (write.tenant, write.document)
        before = self.shelf.documents.get(key, _Stored()).chunks
        missing = frozenset(
            given.chunk.index
            for given in write.chunks
            if given.embedding is None
            and (given.chunk.index not in before or before[given.chunk.index].fingerprint != given.fingerprint)
        )
        if missing:
            return WriteOutcome(missing=missing)
        if write.held_back and not before:
            self.shelf.held_back.add(key)
        after = {index: chunk for index, chunk in before.items() if index < write.chunk_count}
        removed_count = len(before) - len(after)
        for given in write.chunks:
            kept = before[given.chunk.index].embedding if given.embedding is None else given.embedding
            after[given.chunk.index] = IndexedChunk(given.chunk, given.fingerprint, given.terms, kept)
        known = self.shelf.documents.get(key, _Stored()).facts
        self.shelf.documents[key] = _Stored(write.filename, after, write.facts or known)
        self.writes.append(write)
        return WriteOutcome(removed_count)

    async def show(self, tenant: str, document: str) -> None:
        self._fail()
        self.shelf.held_back.discard((tenant, document))

    async def count(self, tenant: str, document: str) -> int:
        self._fail()
        return len(self.shelf.documents.get((tenant, document), _Stored()).chunks)

    async def delete(self, tenant: str, document: str, *, successor: str = "") -> int:
        self._fail()
        self.shelf.held_back -= {(tenant, document), (tenant, successor)}
        removed = self.shelf.documents.pop((tenant, document), _Stored())
        return len(removed.chunks)

    async def search(self, query: IndexQuery) -> Retrieved:
        self._fail()
        self._require_model()
        corpus = [
            (ChunkId(document, index), stored, indexed)
            for document, stored in self.shelf.of_tenant(query.tenant)
            if (query.tenant, document) not in self.shelf.held_back
            for index, indexed in stored.chunks.items()
        ]
        containing = {term: sum(term in indexed.terms for _, _, indexed in corpus) for term in query.terms}
        counts = TermCounts(len(corpus), {term: count for term, count in containing.items() if count})
        average = sum(sum(indexed.terms.values()) for _, _, indexed in corpus) / max(1, len(corpus))
        found: dict[ChunkId, FoundChunk] = {}
        scores: dict[ChunkId, float] = {}
        for chunk_id, stored, indexed in corpus:
            if query.documents and chunk_id.document not in query.documents:
                continue
            if not _passes(stored, query.filters):
                continue
            assert indexed.embedding is not None
            similarity = sum(a * b for a, b in zip(query.embedding, indexed.embedding, strict=True))
            found[chunk_id] = FoundChunk(chunk_id.document, stored.filename, indexed.chunk, similarity)
            scores[chunk_id] = _bm25(indexed, query.terms, counts, average)
        by_meaning = sorted(found, key=lambda chunk_id: (-found[chunk_id].similarity, chunk_id))[: query.limit]
        by_words = sorted((i for i in found if scores[i] > 0), key=lambda i: (-scores[i], i))[: query.limit]
        named = {chunk_id: found[chunk_id] for chunk_id in [*by_meaning, *by_words]}
        return Retrieved(named, tuple(by_meaning), tuple(by_words), counts)

    async def statistics(self, tenant: str) -> IndexStatistics:
        self._fail()
        counts = [len(stored.chunks) for _, stored in self.shelf.of_tenant(tenant) if stored.chunks]
        return IndexStatistics(len(counts), sum(counts))

    async def check(self) -> bool:
        return self.failing is None

    def _fail(self) -> None:
        if self.failing is not None:
            raise self.failing

    def _require_model(self) -> None:
        holds_chunks = any(stored.chunks for stored in self.shelf.documents.values())
        if holds_chunks and self.shelf.model is not None and self.shelf.model != self._model:
            raise EmbeddingModelMismatch(recorded=str(self.shelf.model), current=str(self._model))


def _passes(stored: _Stored, filters: SearchFilters) -> bool:
    came = stored.facts.create_time
    start, end = filters.create_time_from, filters.create_time_before
    return (
        (not filters.filenames or stored.filename in filters.filenames)
        and (not filters.extensions or stored.facts.extension in filters.extensions)
        and set(filters.tags) <= set(stored.facts.tags)
        and (start is None or (came is not None and came >= start))
        and (end is None or (came is not None and came < end))
    )


def _bm25(indexed: IndexedChunk, terms: Sequence[str], counts: TermCounts, average_length: float) -> float:
    length = sum(indexed.terms.values())
    score = 0.0
    for term in set(terms):
        occurrences, containing = indexed.terms.get(term, 0), counts.containing.get(term, 0)
        if occurrences:
            weight = math.log(1 + (counts.chunk_count - containing + 0.5) / (containing + 0.5))
            score += weight * occurrences * 2.2 / (occurrences + 1.2 * (0.25 + 0.75 * length / average_length))
    return score


class FakeEmbedder:
    """Embedder that hashes words into a few dimensions: texts that share words are near. A word is a token."""

    def __init__(self, *, max_tokens: int = 32, model: EmbeddingModel = FAKE_MODEL) -> None:
        self.embedded: list[str] = []
        self.failing = False
        self._max_tokens = max_tokens
        self._model = model

    @property
    def model(self) -> EmbeddingModel:
        return self._model

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        self._fail()
        return [len(text.split()) for text in texts]

    async def embed_passages(self, texts: Sequence[str]) -> list[Embedding]:
        for position, count in enumerate(await self.count_tokens(texts)):
            if count > self._max_tokens:
                raise TextTooLong(position=position, token_count=count, max_tokens=self._max_tokens)
        return await self.embed_queries(texts)

    async def embed_queries(self, texts: Sequence[str]) -> list[Embedding]:
        self._fail()
        self.embedded += texts
        return [self._embed(text) for text in texts]

    async def check(self) -> bool:
        return not self.failing

    def _fail(self) -> None:
        if self.failing:
            raise EmbedderUnavailable("The embedding model cannot be loaded.")

    def _embed(self, text: str) -> Embedding:
        values = [0.0] * self._model.dimension
        for term, count in (terms_of(text) or {"": 1}).items():
            values[int(hashlib.sha256(term.encode()).hexdigest(), 16) % len(values)] += count
        length = math.sqrt(sum(value * value for value in values))
        return [value / length for value in values]


class FakeAnswerWriter:
    """AnswerWriter that quotes whole the first passage which shares a word with the question."""

    name = "first-passage"

    async def write(self, reading: Reading) -> AsyncGenerator[DraftSentence | WriterUsage, None]:
        asked = set(terms_of(reading.question))
        for place, passage in enumerate(reading.passages):
            if asked & set(terms_of(passage.chunk.text)):
                yield DraftSentence(passage.chunk.text, (Quote(place, 0, len(passage.chunk.text)),))
                break
        yield WriterUsage()


class FakeReranker:
    """Reranker that counts the question's words in a text. `read` holds what it was given."""

    name = "shared-words"

    def __init__(self) -> None:
        self.read: list[str] = []

    async def score(self, question: str, texts: Sequence[str]) -> list[float]:
        self.read += texts
        asked = set(question.lower().split())
        return [float(len(asked & set(text.lower().split()))) for text in texts]
