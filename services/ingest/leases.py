"""Keeping a lease while the work under it goes on."""

import asyncio
from collections.abc import Awaitable, Callable

from services.ingest.errors import JobStoreUnavailable, LeaseLost

_LAST_CALL_SECONDS = 1.0


async def kept(renew: Callable[[], Awaitable[None]], *, lease_seconds: float) -> None:
    """Renew a lease three times in its length. Returns when it is lost, or has run out unrenewed, and not before.

    A process that stood still for longer than the lease asks once more: nobody may have taken what it held.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + lease_seconds
    while True:
        await asyncio.sleep(lease_seconds / 3)
        asked_at = loop.time()
        try:
            async with asyncio.timeout_at(max(ends_at, asked_at + _LAST_CALL_SECONDS)):
                await renew()
            ends_at = asked_at + lease_seconds
        except LeaseLost:
            return
        except (JobStoreUnavailable, TimeoutError):
            if loop.time() >= ends_at:
                return
