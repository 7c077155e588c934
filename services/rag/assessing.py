"""Saying how well the documents can answer a question, without answering it: a router's evidence."""

import asyncio
from collections.abc import Sequence

from services.rag.asking import Asked, take_apart
from services.rag.certainty import QUICK_CERTAINTY, QUICK_RANKING, certainty
from services.rag.evidence import Candidate, weigh
from services.rag.models import NO_FILTERS, Assessment, FoundChunk, IndexQuery, SearchFilters
from services.rag.naming import shown_name
from services.rag.ports import Embedder
from services.rag.requests import read_documents, read_filters, read_parts, read_question
from services.rag.searching import Searching, fuse

# What AnswerQuestion reads when nobody says otherwise: the score is about that answer.
_PASSAGES_READ = 3
_SEARCH_DEPTH = 10
_LIKELY, _DOUBTFUL = 0.5, 0.2


class Assessing:
    """Scores a question and its parts. Words and passages are compared; no sentence is embedded: it must be quick."""

    def __init__(self, searching: Searching, embedder: Embedder) -> None:
        self._searching = searching
        self._embedder = embedder

    async def assess(
        self,
        tenant: str,
        question: str,
        parts: Sequence[str] = (),
        *,
        documents: Sequence[str] = (),
        filters: SearchFilters = NO_FILTERS,
    ) -> tuple[Assessment, list[Assessment]]:
        """How well the tenant's documents answer the question, and each part in its order.

        Raises: QuestionInvalid, NameInvalid, FiltersInvalid, EmbeddingModelMismatch, Unavailable.
        """
        within, narrowed = read_documents(documents), read_filters(filters)
        texts = [read_question(question), *read_parts(parts)]
        distinct = list(dict.fromkeys(texts))
        embeddings = await self._embedder.embed_queries(distinct)
        assessed = await asyncio.gather(
            *(
                self._assess(
                    IndexQuery(tenant, embedding, take_apart(text).terms, _SEARCH_DEPTH, within, narrowed), text
                )
                for text, embedding in zip(distinct, embeddings, strict=True)
            )
        )
        by_text = dict(zip(distinct, assessed, strict=True))
        whole, *rest = (by_text[text] for text in texts)
        return whole, rest

    async def _assess(self, query: IndexQuery, text: str) -> Assessment:
        asked = take_apart(text)
        retrieved = await self._searching.retrieve(query)
        passages = [scored.found for scored in fuse(retrieved)[:_PASSAGES_READ]]
        if not passages:
            return Assessment(0.0, "No documents are indexed.", "")
        candidates = weigh(asked, passages, retrieved.counts)
        if not candidates:
            return Assessment(0.0, f"{shown_name(passages[0].filename)} holds no sentence that could be quoted.", "")
        best = max(candidates, key=lambda candidate: QUICK_RANKING.sum(candidate.figures))
        score = certainty(QUICK_CERTAINTY, best.figures)
        passage = passages[best.passage]
        return Assessment(score, _reason(asked, score, best, passage), passage.document)


def _reason(asked: Asked, score: float, best: Candidate, passage: FoundChunk) -> str:
    place = shown_name(passage.filename)
    if best.figures.uncounted:
        return f"{place} speaks of what the question counts, but gives no number of it."
    share = f"{best.figures.coverage:.0%} of what is asked"
    if score >= _LIKELY:
        return f"A sentence in {place} bears on {share}."
    if score >= _DOUBTFUL:
        return f"{place} comes near, but bears on only {share}."
    return f"Nothing found answers it; {place} comes nearest."
