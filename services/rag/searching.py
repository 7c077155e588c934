"""Finding the chunks nearest to a question."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.rag.asking import take_apart
from services.rag.fusion import fuse_by_reciprocal_rank
from services.rag.models import (
    NO_FILTERS,
    Embedding,
    IndexQuery,
    Retrieved,
    ScoredChunk,
    SearchFilters,
    TermCounts,
)
from services.rag.ports import ChunkIndex, Embedder
from services.rag.requests import read_documents, read_filters, read_question, read_top_k
from services.rag.reranking import Reranking

DEFAULT_TOP_K = 8
# Ranks past this hardly move the fused score; fetching them would only cost time.
_FUSION_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Findings:
    """The best chunks for a question, and what the question looked like to the search."""

    chunks: tuple[ScoredChunk, ...]
    """Best first."""
    embedding: Embedding
    counts: TermCounts


class Searching:
    """Searches by meaning and by words, fuses both, and has the best reranked where something does that."""

    def __init__(self, index: ChunkIndex, embedder: Embedder, reranking: Reranking | None = None) -> None:
        self._index = index
        self._embedder = embedder
        self._reranking = reranking

    @property
    def reranker(self) -> str:
        """What reranks, and how it is with it; "off" where nothing does."""
        return self._reranking.state if self._reranking else "off"

    async def search(
        self,
        tenant: str,
        question: str,
        *,
        top_k: int = 0,
        documents: Sequence[str] = (),
        filters: SearchFilters = NO_FILTERS,
    ) -> tuple[ScoredChunk, ...]:
        """At most `top_k` chunks, best first, none twice; 0 means the default.

        Raises: QuestionInvalid, TopKInvalid, NameInvalid, FiltersInvalid, EmbeddingModelMismatch, Unavailable.
        """
        asked = read_question(question)
        limit = read_top_k(top_k, default=DEFAULT_TOP_K)
        within, narrowed = read_documents(documents), read_filters(filters)
        findings = await self.find(tenant, asked, limit=limit, documents=within, filters=narrowed)
        return findings.chunks

    async def find(
        self,
        tenant: str,
        question: str,
        *,
        limit: int,
        documents: tuple[str, ...] = (),
        filters: SearchFilters = NO_FILTERS,
    ) -> Findings:
        """Search for a question that was read already."""
        embedding, retrieved = await self.both_legs(
            tenant, question, depth=max(limit, _FUSION_DEPTH), documents=documents, filters=filters
        )
        chunks = fuse(retrieved)
        if self._reranking:
            chunks = await self._reranking.order(question, chunks)
        return Findings(chunks[:limit], embedding, retrieved.counts)

    async def both_legs(
        self,
        tenant: str,
        question: str,
        *,
        depth: int,
        documents: tuple[str, ...] = (),
        filters: SearchFilters = NO_FILTERS,
    ) -> tuple[Embedding, Retrieved]:
        """The embedding of a question, and what both legs find for it."""
        [embedding] = await self._embedder.embed_queries([question])
        # Not every word: "explain" asks the one who searches and is not looked for.
        terms = take_apart(question).terms
        return embedding, await self.retrieve(IndexQuery(tenant, embedding, terms, depth, documents, filters))

    async def retrieve(self, query: IndexQuery) -> Retrieved:
        """What both legs find."""
        return await self._index.search(query)


def fuse(retrieved: Retrieved) -> tuple[ScoredChunk, ...]:
    """Every retrieved chunk, best first; of chunks that swap their ranks the nearer in meaning."""
    ranking = fuse_by_reciprocal_rank([retrieved.by_meaning, retrieved.by_words])
    scored = [ScoredChunk(retrieved.chunks[chunk], score) for chunk, score in ranking]
    return tuple(sorted(scored, key=lambda each: (-each.fused_score, -each.found.similarity)))
