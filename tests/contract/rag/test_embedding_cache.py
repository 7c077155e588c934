"""Caches of embeddings, and an embedder behind one."""

import pytest

from services.rag.adapters.cached_embeddings import CachedEmbeddings
from services.rag.embedding_cache import CachedEmbedder
from services.rag.ports import Embedder, EmbeddingCache
from services.storage.cache import Cache, cache_key
from services.storage.memory_cache import MemoryCacheStore
from tests.contract.rag.embedder_contract import EmbedderContract
from tests.contract.rag.embedding_cache_contract import MODEL, EmbeddingCacheContract
from tests.fakes.cache import FakeCacheStore, FakeEmbeddingCache
from tests.fakes.rag import FakeEmbedder


class TestFakeEmbeddingCache(EmbeddingCacheContract):
    @pytest.fixture
    def cache(self) -> EmbeddingCache:
        return FakeEmbeddingCache()


class TestCachedEmbeddings(EmbeddingCacheContract):
    @pytest.fixture
    def cache(self) -> EmbeddingCache:
        return CachedEmbeddings(Cache(MemoryCacheStore(max_bytes=100_000), wait_seconds=5), ttl_seconds=60)

    async def test_what_has_not_the_size_of_an_embedding_is_unknown(self) -> None:
        cache = Cache(FakeCacheStore(), wait_seconds=5)
        await cache.set_many(
            {cache_key("embedding", MODEL.name, 3, "query", "ferry"): b"12 bytes, no"[:-1]}, ttl_seconds=60
        )

        assert await CachedEmbeddings(cache, ttl_seconds=60).get_many(MODEL, "query", ["ferry"]) == [None]

    async def test_embeddings_are_kept_as_long_as_asked(self) -> None:
        store = FakeCacheStore()

        await CachedEmbeddings(Cache(store, wait_seconds=5), ttl_seconds=77).set_many(MODEL, "query", {"a": (1, 0, 0)})

        assert store.ttl_seconds == 77
        assert [len(entry) for entry in store.entries.values()] == [5 + 3 * 4]


class TestCachedEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return CachedEmbedder(FakeEmbedder(), FakeEmbeddingCache())
