"""Who may work at the same time in a process, and who only alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Lets any number work side by side, or one alone. Whoever waits to be alone comes before those who do not."""

    def __init__(self) -> None:
        self._at_work = 0
        self._is_alone = False
        self._waiting_to_be_alone = 0
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def taken(self, *, alone: bool) -> AsyncIterator[None]:
        """Work inside the block."""
        await self._wait(alone=alone)
        self._at_work += 1
        self._is_alone = alone
        try:
            yield
        finally:
            self._at_work -= 1
            self._is_alone = False
            self._changed.set()

    async def _wait(self, *, alone: bool) -> None:
        self._waiting_to_be_alone += alone
        try:
            while self._at_work > 0 if alone else self._is_alone or self._waiting_to_be_alone > 0:
                self._changed.clear()
                await self._changed.wait()
        finally:
            self._waiting_to_be_alone -= alone
            self._changed.set()  # others may wait for no more than this
