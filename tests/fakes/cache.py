"""In-memory stand-ins for caches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from services.rag.models import Embedding, EmbeddingModel
from services.storage.cache import CacheUnavailable


class FakeCacheStore:
    """CacheStore over a dictionary that can be away. Nothing in it ends by itself."""

    kind = "fake"

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}
        self.ttl_seconds = 0
        self.calls = 0
        self.away = False

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        self._call()
        return [self.entries.get(key) for key in keys]

    async def set_many(self, entries: Mapping[str, bytes], *, ttl_seconds: int) -> None:
        self._call()
        self.entries |= entries
        self.ttl_seconds = ttl_seconds

    async def remove_many(self, keys: Sequence[str]) -> int:
        self._call()
        return sum(self.entries.pop(key, None) is not None for key in keys)

    def _call(self) -> None:
        self.calls += 1
        if self.away:
            raise CacheUnavailable("away")


class FakeEmbeddingCache:
    """EmbeddingCache over a dictionary."""

    def __init__(self) -> None:
        self.embeddings: dict[tuple[EmbeddingModel, str, str], Embedding] = {}

    async def get_many(self, model: EmbeddingModel, side: str, texts: Sequence[str]) -> list[Embedding | None]:
        return [self.embeddings.get((model, side, text)) for text in texts]

    async def set_many(self, model: EmbeddingModel, side: str, embeddings: Mapping[str, Embedding]) -> None:
        self.embeddings |= {(model, side, text): embedding for text, embedding in embeddings.items()}

    async def forget_many(self, model: EmbeddingModel, side: str, fingerprints: Sequence[str]) -> int:
        known = [
            key
            for key in self.embeddings
            if key[:2] == (model, side) and sha256(key[2].encode()).hexdigest() in fingerprints
        ]
        for key in known:
            del self.embeddings[key]
        return len(known)
