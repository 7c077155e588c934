"""A cache in Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.storage.cache import CacheUnavailable

_SOCKET_WAIT_SECONDS = 0.2
_MAX_CONNECTIONS = 16


class RedisCacheStore:
    """CacheStore over a client."""

    kind = "redis"

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        try:
            kept = await self._client.mget(list(keys))
        except (RedisError, OSError) as error:
            raise CacheUnavailable("Redis cannot be reached, or refuses the call.") from error
        return [value if isinstance(value, bytes) else None for value in kept]

    async def set_many(self, entries: Mapping[str, bytes], *, ttl_seconds: int) -> None:
        try:
            async with self._client.pipeline(transaction=False) as pipeline:
                for key, value in entries.items():
                    pipeline.set(key, value, ex=ttl_seconds)
                await pipeline.execute()
        except (RedisError, OSError) as error:
            raise CacheUnavailable("Redis cannot be reached, or refuses the call.") from error

    async def remove_many(self, keys: Sequence[str]) -> int:
        try:
            return int(await self._client.unlink(*keys))
        except (RedisError, OSError) as error:
            raise CacheUnavailable("Redis cannot be reached, or refuses the call.") from error


@asynccontextmanager
async def open_redis_cache(url: str) -> AsyncIterator[RedisCacheStore]:
    """The store at a redis:// or rediss:// address; nothing is asked of it before it is used."""
    pool = BlockingConnectionPool.from_url(
        url,
        socket_timeout=_SOCKET_WAIT_SECONDS,
        socket_connect_timeout=_SOCKET_WAIT_SECONDS,
        max_connections=_MAX_CONNECTIONS,
        # More calls than connections wait for one another; that is no failure of Redis.
        timeout=_SOCKET_WAIT_SECONDS,
        # Once: a connection that died while it was idle shows when it is used, and a second one works.
        retry=Retry(NoBackoff(), 1),
    )
    client = Redis.from_pool(pool)
    try:
        yield RedisCacheStore(client)
    finally:
        await client.aclose()
