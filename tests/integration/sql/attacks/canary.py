"""A connection of somebody else, which must be answered whatever others do to the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg

_PATIENCE = "-c statement_timeout=5s -c lock_timeout=5s"
_PAUSE_SECONDS = 0.02


@dataclass
class Canary:
    """Raises out of `singing` when the database kept it waiting for longer than its patience, or ended it."""

    answers: int = 0

    async def sing(self, connection: psycopg.AsyncConnection) -> None:
        """Read, and take the lock for which nobody else may hold one, again and again."""
        while True:
            async with connection.transaction(force_rollback=True):
                await connection.execute("SELECT count(*) FROM customers")
                await connection.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
            self.answers += 1
            await asyncio.sleep(_PAUSE_SECONDS)


@asynccontextmanager
async def singing(owner_url: str) -> AsyncIterator[Canary]:
    """A canary that sings as long as the block lasts."""
    canary = Canary()
    async with await psycopg.AsyncConnection.connect(owner_url, options=_PATIENCE, autocommit=True) as connection:
        task = asyncio.create_task(canary.sing(connection))
        try:
            yield canary
            if task.done():
                task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
