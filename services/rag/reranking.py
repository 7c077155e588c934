"""Putting the best candidates of a search into a better order, where something is set up that can."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from services.rag.errors import RerankerUnavailable
from services.rag.models import FoundChunk, ScoredChunk
from services.rag.ports import Reranker

logger = logging.getLogger(__name__)

# A reranker that failed is left alone for so long: a question is not to wait for one that is known to be away.
_PAUSE_SECONDS = 30.0


class Reranking:
    """Orders candidates by a reranker's scores. While it is away they keep the order they came in."""

    def __init__(
        self,
        reranker: Reranker,
        *,
        candidates: int,
        wait_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`candidates`: how many chunks are looked at for a question. `wait_seconds`: how long one may take for it."""
        self._reranker = reranker
        self._candidates = candidates
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._left_alone_until = float("-inf")
        self._trouble = ""

    @property
    def state(self) -> str:
        """What reranks; and, while it does not, why the order is that of the search alone."""
        return f"{self._reranker.name} (not used now, {self._trouble})" if self._trouble else self._reranker.name

    async def order(self, question: str, chunks: Sequence[ScoredChunk]) -> tuple[ScoredChunk, ...]:
        """The same chunks: the first of them by what the reranker makes of them, the others behind as they were."""
        if len(chunks) < 2 or self._clock() < self._left_alone_until:
            return tuple(chunks)
        first, rest = chunks[: self._candidates], chunks[self._candidates :]
        try:
            async with asyncio.timeout(self._wait_seconds):
                scores = await self._reranker.score(question, [_shown(chunk.found) for chunk in first])
        except TimeoutError:
            self._fell_back("it takes too long")
            return tuple(chunks)
        except RerankerUnavailable as error:
            self._fell_back(str(error))
            return tuple(chunks)
        self._trouble = ""
        # Sorting is stable: of equal scores the order of the search decides.
        best_first = sorted(zip(scores, first, strict=True), key=lambda pair: -pair[0])
        return (*(chunk for _, chunk in best_first), *rest)

    def _fell_back(self, why: str) -> None:
        self._trouble = why
        self._left_alone_until = self._clock() + _PAUSE_SECONDS
        logger.warning("rerank.failed", extra={"reranker": self._reranker.name, "reason": why})


def _shown(found: FoundChunk) -> str:
    """A passage below its headings, without which it often does not say what it is about."""
    chunk = found.chunk
    return "\n".join([*(heading for heading in chunk.headings if heading not in chunk.text), chunk.text])
