"""Opening the cache that the settings name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.storage.cache import Cache
from services.storage.cache_settings import CacheSettings

# A Redis is near and answers in a millisecond; Upstash may be a continent away.
_NEAR_WAIT_SECONDS, _FAR_WAIT_SECONDS = 0.5, 1.5


@asynccontextmanager
async def open_cache(settings: CacheSettings) -> AsyncIterator[Cache]:
    """The cache while the context is open. A store that is away does not matter: it is asked again now and then."""
    match settings.cache_kind:
        case "redis":
            assert settings.redis_url is not None
            from services.storage.redis_cache import open_redis_cache

            async with open_redis_cache(settings.redis_url.get_secret_value()) as redis:
                yield Cache(redis, wait_seconds=_NEAR_WAIT_SECONDS)
        case "upstash":
            assert settings.upstash_redis_url is not None
            assert settings.upstash_redis_token is not None
            from services.storage.upstash_cache import open_upstash_cache

            token = settings.upstash_redis_token.get_secret_value()
            async with open_upstash_cache(settings.upstash_redis_url, token) as upstash:
                yield Cache(upstash, wait_seconds=_FAR_WAIT_SECONDS)
        case "memory":
            from services.storage.memory_cache import MemoryCacheStore

            yield Cache(MemoryCacheStore(max_bytes=settings.cache_memory_bytes), wait_seconds=_NEAR_WAIT_SECONDS)
