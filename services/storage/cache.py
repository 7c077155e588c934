"""A cache of bytes that never stands in the way: what it cannot give is a miss, what it cannot keep is let go.

Three stores keep the bytes: this process, Redis, and Upstash's Redis over HTTP. What they have in common is here:
damaged entries are told from whole ones, waiting has a limit, and a failure is followed by a pause.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from typing import Protocol, TypeVar

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_VERSION = b"\x01"
_CHECKSUM_BYTES = 4
# After a failure a store is left alone for a while, so that its absence costs one wait and not one in every call.
_PAUSE_SECONDS = 5.0
_LOG_EVERY_SECONDS = 60.0


class CacheUnavailable(Exception):
    """The store of a cache cannot be reached, or answers what it should not."""


class CacheStore(Protocol):
    """Keeps bytes under short ASCII keys. Every method raises CacheUnavailable."""

    @property
    def kind(self) -> str:
        """Name of the technology, for logs and statistics."""
        ...

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """What is kept under each key, in the same order; None where nothing is, or not any more."""
        ...

    async def set_many(self, entries: Mapping[str, bytes], *, ttl_seconds: int) -> None:
        """Keep entries for a while, in the place of what was there."""
        ...

    async def remove_many(self, keys: Sequence[str]) -> int:
        """Forget what is kept under each key; how many there were."""
        ...


def cache_key(purpose: str, *parts: str | int) -> str:
    """A key that differs when any part does. `purpose` can be read in it; the parts cannot, as texts may be secret."""
    digest = sha256()
    for part in parts:
        told = str(part).encode("utf-8", "surrogatepass")
        digest.update(len(told).to_bytes(8, "big") + told)
    return f"diglot:{purpose}:{digest.hexdigest()}"


class Cache:
    """Reads and writes a store, and never raises for it."""

    def __init__(self, store: CacheStore, *, wait_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`wait_seconds`: longest time that one call may be held up."""
        self._store = store
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._paused_until = float("-inf")
        self._logged_at = float("-inf")
        self.hits = 0
        self.misses = 0

    @property
    def kind(self) -> str:
        return self._store.kind

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """What is kept under each key, in the same order; None for a miss."""
        kept = await self._attempt(lambda: self._store.get_many(keys)) if keys else []
        if kept is None or len(kept) != len(keys):  # which is whose cannot be told then
            kept = [None] * len(keys)
        values = [_unwrap(entry) for entry in kept]
        found = sum(value is not None for value in values)
        self.hits += found
        self.misses += len(values) - found
        return values

    async def set_many(self, entries: Mapping[str, bytes], *, ttl_seconds: int) -> None:
        """Keep entries for a while, where that is possible."""
        if entries and ttl_seconds > 0:
            wrapped = {key: _wrap(value) for key, value in entries.items()}
            await self._attempt(lambda: self._store.set_many(wrapped, ttl_seconds=ttl_seconds))

    async def remove_many(self, keys: Sequence[str]) -> int:
        """Forget entries, where that is possible; how many there were. Those that are not reached end by themselves."""
        return (await self._attempt(lambda: self._store.remove_many(keys)) if keys else None) or 0

    async def _attempt(self, call: Callable[[], Awaitable[Result]]) -> Result | None:
        if self._clock() < self._paused_until:
            return None
        try:
            async with asyncio.timeout(self._wait_seconds):
                return await call()
        except (CacheUnavailable, TimeoutError) as error:
            now = self._clock()
            self._paused_until = now + _PAUSE_SECONDS
            if now - self._logged_at >= _LOG_EVERY_SECONDS:
                self._logged_at = now
                reason = type(error.__cause__ or error).__name__
                logger.warning("cache.unavailable", extra={"store": self.kind, "error": reason})
            return None


def _wrap(value: bytes) -> bytes:
    return _VERSION + zlib.crc32(value).to_bytes(_CHECKSUM_BYTES, "big") + value


def _unwrap(entry: bytes | None) -> bytes | None:
    """The value of an entry; None for one that is damaged or of another version."""
    if entry is None or not entry.startswith(_VERSION):
        return None
    start = len(_VERSION) + _CHECKSUM_BYTES
    value = entry[start:]
    return value if zlib.crc32(value).to_bytes(_CHECKSUM_BYTES, "big") == entry[len(_VERSION) : start] else None
