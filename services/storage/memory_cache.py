"""A cache within this process: bounded, the entries unused for longest let go first."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

# What an entry takes beside its key and value: two objects, a tuple and a place in the dictionary.
_BYTES_AROUND_AN_ENTRY = 300


class MemoryCacheStore:
    """CacheStore over a dictionary."""

    kind = "memory"

    def __init__(self, *, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self.size_bytes = 0

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self._get(key) for key in keys]

    async def set_many(self, entries: Mapping[str, bytes], *, ttl_seconds: int) -> None:
        expires_at = self._clock() + ttl_seconds
        for key, value in entries.items():
            self._drop(key)
            size = _size(key, value)
            if size > self._max_bytes:
                continue
            while self.size_bytes + size > self._max_bytes:
                self._drop(next(iter(self._entries)))
            self._entries[key] = (expires_at, value)
            self.size_bytes += size

    async def remove_many(self, keys: Sequence[str]) -> int:
        known = [key for key in dict.fromkeys(keys) if self._get(key) is not None]
        for key in known:
            self._drop(key)
        return len(known)

    def _get(self, key: str) -> bytes | None:
        expires_at, value = self._entries.get(key, (0.0, b""))
        if key not in self._entries:
            return None
        if expires_at <= self._clock():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return value

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size_bytes -= _size(key, entry[1])


def _size(key: str, value: bytes) -> int:
    return len(key) + len(value) + _BYTES_AROUND_AN_ENTRY
