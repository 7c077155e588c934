"""A cache in Upstash's Redis, over its REST interface."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from upstash_redis.asyncio import Redis

from services.storage.cache import CacheUnavailable

# A request may have one megabyte on the smallest plan.
_MAX_REQUEST_BYTES = 900_000


class UpstashCacheStore:
    """CacheStore over a client. Values travel in base64, because commands are JSON."""

    kind = "upstash"

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        try:
            kept = await self._client.mget(*keys)
            return [_decoded(value) for value in kept]
        except Exception as error:  # its client raises what its HTTP client does, or trips over an answer that is none
            raise CacheUnavailable("Upstash cannot be reached, or refuses the call.") from error

    async def set_many(self, entries: Mapping[str, bytes], *, ttl_seconds: int) -> None:
        try:
            waiting, size = self._client.pipeline(), 0
            for key, value in entries.items():
                text = b64encode(value).decode()
                if size and size + len(text) > _MAX_REQUEST_BYTES:
                    await waiting.exec()
                    waiting, size = self._client.pipeline(), 0
                waiting.set(key, text, ex=ttl_seconds)
                size += len(text)
            await waiting.exec()
        except Exception as error:
            raise CacheUnavailable("Upstash cannot be reached, or refuses the call.") from error

    async def remove_many(self, keys: Sequence[str]) -> int:
        try:
            return int(await self._client.unlink(*keys))
        except Exception as error:
            raise CacheUnavailable("Upstash cannot be reached, or refuses the call.") from error


def _decoded(value: str | None) -> bytes | None:
    try:
        return None if value is None else b64decode(value)
    except ValueError:  # somebody else's entry under our key
        return None


@asynccontextmanager
async def open_upstash_cache(url: str, token: str) -> AsyncIterator[UpstashCacheStore]:
    """The store behind a REST address; nothing is asked of it before it is used."""
    # No encoding of its own: ours is text already.
    client = Redis(url, token, rest_encoding=None, rest_retries=0, allow_telemetry=False, read_your_writes=False)
    async with client:
        yield UpstashCacheStore(client)
