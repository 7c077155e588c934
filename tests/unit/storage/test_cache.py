"""A cache never stands in the way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest

from services.storage.cache import Cache, cache_key
from tests.fakes.cache import FakeCacheStore


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class StuckStore(FakeCacheStore):
    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        await asyncio.Event().wait()
        return []


async def test_a_store_that_failed_is_left_alone_for_a_while_and_then_asked_again() -> None:
    clock, store = Clock(), FakeCacheStore()
    cache = Cache(store, wait_seconds=1, clock=clock)
    await cache.set_many({"a": b"one"}, ttl_seconds=60)
    store.away = True
    answers = [await cache.get_many(["a"]) for _ in range(3)]
    calls_while_away = store.calls
    store.away = False

    too_soon = await cache.get_many(["a"])
    clock.now += 5
    later = await cache.get_many(["a"])

    assert answers == [[None]] * 3
    assert calls_while_away == 2
    assert (too_soon, later) == ([None], [b"one"])


async def test_a_failure_is_logged_once_in_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock, store = Clock(), FakeCacheStore()
    cache = Cache(store, wait_seconds=1, clock=clock)
    store.away = True

    with caplog.at_level(logging.WARNING):
        for _ in range(20):
            await cache.set_many({"a": b"one"}, ttl_seconds=60)
            clock.now += 6

    assert [record.getMessage() for record in caplog.records] == ["cache.unavailable"] * 2


class ShortStore(FakeCacheStore):
    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return (await super().get_many(keys))[:-1]


async def test_an_answer_of_another_length_than_the_question_is_a_miss_for_all() -> None:
    cache = Cache(ShortStore(), wait_seconds=1)
    await cache.set_many({"a": b"one", "b": b"two"}, ttl_seconds=60)

    assert await cache.get_many(["a", "b"]) == [None, None]


async def test_a_store_that_does_not_answer_in_time_is_a_miss() -> None:
    cache = Cache(StuckStore(), wait_seconds=0.01)

    assert await cache.get_many(["a", "b"]) == [None, None]


def test_keys_differ_when_any_part_does_and_show_none() -> None:
    parts: list[tuple[str | int, ...]] = [("ab", "c"), ("a", "bc"), ("abc",), ("ab", "c", ""), ("ab", 1), ("ab", "C")]

    keys = {cache_key("embedding", *each) for each in parts} | {cache_key("answer", "ab", "c")}

    assert len(keys) == len(parts) + 1
    assert all(key.startswith("diglot:") and key.isascii() and len(key) < 100 for key in keys)
    assert "secret" not in cache_key("embedding", "secret")


def test_a_text_that_is_no_valid_unicode_has_a_key_too() -> None:
    assert cache_key("embedding", "\ud800") != cache_key("embedding", "?")
