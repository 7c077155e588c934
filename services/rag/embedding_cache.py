"""Embeddings that need not be made again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from services.rag.errors import TextTooLong
from services.rag.models import Embedding, EmbeddingModel
from services.rag.ports import Embedder, EmbeddingCache

# A model may embed the same text in one way to be found and in another to find.
_PASSAGE, _QUERY = "passage", "query"


class CachedEmbedder:
    """An embedder that asks another one only for texts whose embeddings the cache does not hold.

    An embedding depends on nothing but the model, the side and the text: an entry is never out of date, and tenants
    may share it, because only who has the whole text finds it.
    """

    def __init__(self, embedder: Embedder, cache: EmbeddingCache) -> None:
        self._embedder = embedder
        self._cache = cache

    @property
    def model(self) -> EmbeddingModel:
        return self._embedder.model

    @property
    def max_tokens(self) -> int:
        return self._embedder.max_tokens

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return await self._embedder.count_tokens(texts)

    async def embed_passages(self, texts: Sequence[str]) -> list[Embedding]:
        return await self._embed(_PASSAGE, texts, self._embedder.embed_passages)

    async def embed_queries(self, texts: Sequence[str]) -> list[Embedding]:
        return await self._embed(_QUERY, texts, self._embedder.embed_queries)

    async def check(self) -> bool:
        return await self._embedder.check()

    async def forget_passages(self, fingerprints: Sequence[str]) -> int:
        """Forget the embeddings of passages that are removed; how many there were. Others that have them embed anew."""
        return await self._cache.forget_many(self.model, _PASSAGE, fingerprints)

    async def _embed(
        self, side: str, texts: Sequence[str], embed: Callable[[Sequence[str]], Awaitable[list[Embedding]]]
    ) -> list[Embedding]:
        distinct = list(dict.fromkeys(texts))
        kept = await self._cache.get_many(self.model, side, distinct)
        known = {text: embedding for text, embedding in zip(distinct, kept, strict=True) if embedding is not None}
        unknown = [text for text in distinct if text not in known]
        if unknown:
            try:
                made = await embed(unknown)
            except TextTooLong as error:
                place = texts.index(unknown[error.position])
                raise TextTooLong(position=place, token_count=error.token_count, max_tokens=error.max_tokens) from error
            new = dict(zip(unknown, made, strict=True))
            known |= new
            await self._cache.set_many(self.model, side, new)
        return [known[text] for text in texts]
