"""Writes of files that go on although nobody waits for them any more."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from services.ingest.errors import FileStoreUnavailable
from services.ingest.models import FileKey

PATIENCE_SECONDS = 1.0  # less than a call has left that hands its work over


class WritesUnderWay:
    """Knows the writes of this process that have not ended, by document.

    A caller that is cancelled leaves at once, but the thread that writes goes on, and what it writes could come to lie
    where a deletion has just been. So deletions wait for the writes before them.
    """

    def __init__(self) -> None:
        self._writes: dict[FileKey, set[asyncio.Task[None]]] = {}

    async def make(self, key: FileKey, write: Coroutine[Any, Any, None]) -> None:
        """Make a write; it goes on when this is cancelled."""
        task = asyncio.create_task(write)
        self._writes.setdefault(key, set()).add(task)
        task.add_done_callback(lambda done: self._forget(key, done))
        await asyncio.shield(task)

    async def ended(self, key: FileKey) -> None:
        """Return when no write of the document is under way. Raises FileStoreUnavailable: one takes long."""
        if writes := self._writes.get(key):
            _, going_on = await asyncio.wait(set(writes), timeout=PATIENCE_SECONDS)
            if going_on:
                raise FileStoreUnavailable("the file store is still writing; try again in a moment")

    def _forget(self, key: FileKey, task: asyncio.Task[None]) -> None:
        writes = self._writes[key]
        writes.discard(task)
        if not writes:
            del self._writes[key]
        if not task.cancelled():
            task.exception()  # looked at, so that an error nobody waits for any more is not complained about
