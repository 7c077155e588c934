"""The stores of a cache: in the process, in a real Redis, and behind Upstash's wire format."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from services.storage.cache import Cache, CacheStore
from services.storage.memory_cache import MemoryCacheStore
from services.storage.redis_cache import open_redis_cache
from services.storage.upstash_cache import open_upstash_cache
from tests.contract.storage.cache_contract import CacheContract
from tests.redis_server import RedisServer
from tests.upstash_server import UpstashServer


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class TestMemoryCache(CacheContract):
    @pytest.fixture
    def store(self) -> CacheStore:
        return MemoryCacheStore(max_bytes=8_000_000)

    async def test_entries_end_with_their_time(self) -> None:
        clock = Clock()
        store = MemoryCacheStore(max_bytes=10_000, clock=clock)
        await store.set_many({"a": b"one"}, ttl_seconds=10)

        clock.now += 9.9
        before = await store.get_many(["a"])
        clock.now += 0.1

        assert (before, await store.get_many(["a"]), store.size_bytes) == ([b"one"], [None], 0)

    async def test_what_was_unused_for_longest_is_let_go_when_room_is_needed(self) -> None:
        store = MemoryCacheStore(max_bytes=3_000)
        await store.set_many({"a": b"x" * 1_000, "b": b"x" * 1_000}, ttl_seconds=60)
        await store.get_many(["a"])

        await store.set_many({"c": b"x" * 1_000}, ttl_seconds=60)

        kept = await store.get_many(["a", "b", "c"])
        assert [value is not None for value in kept] == [True, False, True]
        assert store.size_bytes <= 3_000

    async def test_what_is_larger_than_all_the_room_is_not_kept_and_drives_nothing_out(self) -> None:
        store = MemoryCacheStore(max_bytes=3_000)
        await store.set_many({"a": b"one"}, ttl_seconds=60)

        await store.set_many({"b": b"x" * 3_000}, ttl_seconds=60)

        assert await store.get_many(["a", "b"]) == [b"one", None]


class TestRedisCache(CacheContract):
    @pytest.fixture
    async def store(self, redis_server: RedisServer) -> AsyncIterator[CacheStore]:
        async with open_redis_cache(redis_server.url) as store:
            yield store

    async def test_entries_end_with_their_time(self, store: CacheStore, redis_server: RedisServer) -> None:
        await store.set_many({"a": b"one"}, ttl_seconds=30)

        assert redis_server.send("TTL", "a") in (b":30", b":29")

    async def test_a_redis_that_comes_back_is_used_again(self, store: CacheStore, redis_server: RedisServer) -> None:
        clock = Clock()
        cache = Cache(store, wait_seconds=5, clock=clock)
        await cache.set_many({"a": b"one"}, ttl_seconds=60)
        redis_server.stop()
        while_away = await cache.get_many(["a"])
        redis_server.start()
        clock.now += 10

        await cache.set_many({"a": b"two"}, ttl_seconds=60)

        assert while_away == [None]
        assert await cache.get_many(["a"]) == [b"two"]

    async def test_more_calls_than_connections_wait_for_one_another(self, store: CacheStore) -> None:
        cache = Cache(store, wait_seconds=5)
        await asyncio.gather(*(cache.set_many({str(place): b"one"}, ttl_seconds=60) for place in range(50)))

        kept = await asyncio.gather(*(cache.get_many([str(place)]) for place in range(50)))

        assert kept == [[b"one"]] * 50

    async def test_a_redis_that_ends_under_many_calls_costs_them_their_entries_alone(
        self, store: CacheStore, redis_server: RedisServer
    ) -> None:
        clock = Clock()
        cache = Cache(store, wait_seconds=5, clock=clock)
        await cache.set_many({"a": b"x" * 100_000}, ttl_seconds=60)
        calls = [asyncio.create_task(cache.get_many(["a"] * 20)) for _ in range(50)]
        await asyncio.sleep(0)
        redis_server.stop()

        answers = await asyncio.gather(*calls)

        assert all(value in (None, b"x" * 100_000) for answer in answers for value in answer)
        redis_server.start()
        clock.now += 10
        await cache.set_many({"b": b"one"}, ttl_seconds=60)
        assert await cache.get_many(["b"]) == [b"one"]


class TestUpstashCache(CacheContract):
    @pytest.fixture
    async def store(self, upstash_server: UpstashServer) -> AsyncIterator[CacheStore]:
        async with open_upstash_cache(upstash_server.url, upstash_server.token) as store:
            yield store

    async def test_entries_end_with_their_time(self, store: CacheStore, upstash_server: UpstashServer) -> None:
        await store.set_many({"a": b"one"}, ttl_seconds=30)

        assert upstash_server.run(["TTL", "a"]) == 30

    async def test_many_entries_go_in_few_requests_of_a_bounded_size(
        self, store: CacheStore, upstash_server: UpstashServer
    ) -> None:
        await store.set_many({str(place): b"x" * 6_000 for place in range(256)}, ttl_seconds=60)

        sizes = [sum(len(command[2]) for command in request) for request in upstash_server.requests]
        assert len(sizes) == 3
        assert max(sizes) <= 900_000

    @pytest.mark.parametrize("answer", [b"", b"<html>", b"[]", b'{"result": 5}', b'{"result": ["%%%"]}', b"null"])
    async def test_an_answer_that_is_none_is_a_miss(
        self, store: CacheStore, upstash_server: UpstashServer, answer: bytes
    ) -> None:
        upstash_server.broken_answer = answer
        cache = Cache(store, wait_seconds=5)

        assert await cache.get_many(["a"]) == [None]

    async def test_what_somebody_else_put_under_a_key_is_a_miss_for_that_key_alone(
        self, store: CacheStore, upstash_server: UpstashServer
    ) -> None:
        cache = Cache(store, wait_seconds=5)
        await cache.set_many({"a": b"one"}, ttl_seconds=60)
        upstash_server.run(["SET", "b", "%%% no base64 é"])

        assert await cache.get_many(["a", "b"]) == [b"one", None]
        assert await cache.get_many(["a"]) == [b"one"]

    async def test_a_wrong_token_makes_every_entry_a_miss(
        self, upstash_server: UpstashServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with open_upstash_cache(upstash_server.url, "wrong") as store:
            cache = Cache(store, wait_seconds=5)

            with caplog.at_level(logging.WARNING):
                await cache.set_many({"a": b"one"}, ttl_seconds=60)
                assert await cache.get_many(["a"]) == [None]

        assert [record.getMessage() for record in caplog.records] == ["cache.unavailable"]
        assert upstash_server.entries == {}


@pytest.mark.parametrize("kind", ["redis", "upstash"])
async def test_a_store_that_nobody_serves_is_a_miss(kind: str) -> None:
    opened = (
        open_redis_cache("redis://127.0.0.1:1/0") if kind == "redis" else open_upstash_cache("http://127.0.0.1:1", "t")
    )
    async with opened as store:
        cache = Cache(store, wait_seconds=5)

        await cache.set_many({"a": b"one"}, ttl_seconds=60)

        assert await cache.get_many(["a"]) == [None]
