"""Embeddings in the cache that the service shares: single-precision numbers, four bytes for each dimension."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from hashlib import sha256

from services.rag.models import Embedding, EmbeddingModel
from services.storage.cache import Cache, cache_key


class CachedEmbeddings:
    """EmbeddingCache over a Cache."""

    def __init__(self, cache: Cache, *, ttl_seconds: int) -> None:
        self._cache = cache
        self._ttl_seconds = ttl_seconds

    async def get_many(self, model: EmbeddingModel, side: str, texts: Sequence[str]) -> list[Embedding | None]:
        kept = await self._cache.get_many([_key(model, side, text) for text in texts])
        return [_unpack(value, model.dimension) for value in kept]

    async def set_many(self, model: EmbeddingModel, side: str, embeddings: Mapping[str, Embedding]) -> None:
        packed = {_key(model, side, text): _pack(embedding) for text, embedding in embeddings.items()}
        await self._cache.set_many(packed, ttl_seconds=self._ttl_seconds)

    async def forget_many(self, model: EmbeddingModel, side: str, fingerprints: Sequence[str]) -> int:
        return await self._cache.remove_many([_key_of(model, side, fingerprint) for fingerprint in fingerprints])


def _key(model: EmbeddingModel, side: str, text: str) -> str:
    return _key_of(model, side, sha256(text.encode("utf-8", "surrogatepass")).hexdigest())


def _key_of(model: EmbeddingModel, side: str, fingerprint: str) -> str:
    return cache_key("embedding", model.name, model.dimension, side, fingerprint)


def _pack(embedding: Embedding) -> bytes:
    return struct.pack(f"<{len(embedding)}f", *embedding)


def _unpack(value: bytes | None, dimension: int) -> Embedding | None:
    if value is None or len(value) != 4 * dimension:
        return None
    return struct.unpack(f"<{dimension}f", value)
