"""What a tenant has indexed and what the process has done."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from services.rag.answering import Answering
from services.rag.embedding import MeteredEmbedder
from services.rag.models import EmbeddingModel, IndexStatistics
from services.rag.ports import ChunkIndex
from services.rag.searching import Searching


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of the tenant's index and of this process."""

    index: IndexStatistics
    index_kind: str
    model: EmbeddingModel
    writer: str
    embedded_text_count: int
    max_text_tokens: int
    uptime_seconds: float
    parts: Mapping[str, str]
    """What settings chose or left out, by name."""


class Counting:
    """Collects the statistics."""

    def __init__(
        self,
        index: ChunkIndex,
        embedder: MeteredEmbedder,
        answering: Answering,
        *,
        searching: Searching,
        parts: Mapping[str, str],
    ) -> None:
        self._index = index
        self._embedder = embedder
        self._answering = answering
        self._searching = searching
        self._parts = parts
        self._started = time.monotonic()

    async def count(self, tenant: str) -> Statistics:
        """Raises ChunkStoreUnavailable."""
        return Statistics(
            index=await self._index.statistics(tenant),
            index_kind=self._index.kind,
            model=self._embedder.model,
            writer=self._answering.writer,
            embedded_text_count=self._embedder.embedded_text_count,
            max_text_tokens=self._embedder.max_tokens,
            uptime_seconds=time.monotonic() - self._started,
            parts={**self._parts, "reranker": self._searching.reranker},
        )
