"""Ending tasks for certain."""

import asyncio
from typing import Any

_AGAIN_AFTER_SECONDS = 2.0


async def stopped(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and return when they have ended; their results and errors stay theirs.

    Asked again while they go on: before Python 3.12 `asyncio.wait_for`, on which connection pools rest, can lose a
    cancellation that comes at the moment the awaited thing does (bpo-37658), and a task that loops would loop for ever.
    """
    while going_on := [task for task in tasks if not task.done()]:
        for task in going_on:
            task.cancel()
        await asyncio.wait(going_on, timeout=_AGAIN_AFTER_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
