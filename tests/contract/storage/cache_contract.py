"""What every store of a cache does, wherever it keeps entries."""

from __future__ import annotations

import os

import pytest

from services.storage.cache import Cache, CacheStore, cache_key


class CacheContract:
    @pytest.fixture
    def store(self) -> CacheStore:
        """An empty store; overridden per adapter."""
        raise AssertionError("a subclass gives the store")

    @pytest.fixture
    def cache(self, store: CacheStore) -> Cache:
        return Cache(store, wait_seconds=5)

    async def test_what_was_kept_comes_back_in_the_order_asked_for(self, cache: Cache) -> None:
        await cache.set_many({"a": b"one", "b": b"two"}, ttl_seconds=60)

        assert await cache.get_many(["b", "absent", "a", "b"]) == [b"two", None, b"one", b"two"]
        assert (cache.hits, cache.misses) == (3, 1)

    async def test_any_bytes_come_back_as_they_are(self, cache: Cache) -> None:
        values = {"zeros": b"\0\0", "empty": b"", "every": bytes(range(256)), "line": b"a\r\nb", "ok": b"OK"}

        await cache.set_many(values, ttl_seconds=60)

        assert await cache.get_many(list(values)) == list(values.values())

    async def test_a_new_value_takes_the_place_of_the_old(self, cache: Cache) -> None:
        await cache.set_many({"a": b"old"}, ttl_seconds=60)
        await cache.set_many({"a": b"new"}, ttl_seconds=60)

        assert await cache.get_many(["a"]) == [b"new"]

    async def test_hundreds_of_embeddings_are_kept_in_one_call(self, cache: Cache) -> None:
        entries = {cache_key("embedding", place): os.urandom(6_144) for place in range(256)}

        await cache.set_many(entries, ttl_seconds=60)

        assert await cache.get_many(list(entries)) == list(entries.values())

    async def test_what_is_removed_is_gone_and_counted_and_the_rest_stays(self, cache: Cache) -> None:
        await cache.set_many({"a": b"one", "b": b"two", "c": b"three"}, ttl_seconds=60)

        assert await cache.remove_many(["a", "c", "absent"]) == 2

        assert await cache.get_many(["a", "b", "c"]) == [None, b"two", None]
        assert await cache.remove_many(["a", "c"]) == 0
        assert await cache.remove_many([]) == 0

    async def test_nothing_is_asked_for_nothing(self, cache: Cache) -> None:
        await cache.set_many({}, ttl_seconds=60)

        assert await cache.get_many([]) == []

    async def test_entries_without_a_life_are_not_kept(self, cache: Cache) -> None:
        await cache.set_many({"a": b"one"}, ttl_seconds=0)

        assert await cache.get_many(["a"]) == [None]

    @pytest.mark.parametrize("damaged", [b"", b"\x01", b"\x01\0\0\0\0value", b"\x02whatever", b"plain"])
    async def test_an_entry_that_is_damaged_or_of_another_version_is_a_miss(
        self, store: CacheStore, cache: Cache, damaged: bytes
    ) -> None:
        await store.set_many({"a": damaged}, ttl_seconds=60)

        assert await cache.get_many(["a"]) == [None]
