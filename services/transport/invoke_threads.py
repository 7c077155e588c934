"""Threads that wait for invokes in place of the event loop.

Not a ThreadPoolExecutor: that one joins its threads when the interpreter exits, so that one hung invoke would hold a
stopping process for minutes; and its futures cost a small call a tenth of its time.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

_Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class InvokeThreads:
    """Runs blocking functions, up to `limit` at once; more wait their turn."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._count = 0

    async def run(self, function: Callable[[], Any]) -> Any:
        """What the function returns or raises. Cancelled before its turn, it is not called at all; after that it runs
        on, and what it returns is dropped. Call it from one event loop only."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Any] = loop.create_future()
        self._jobs.put((loop, ended, function))
        if not self._idle.acquire(blocking=False) and self._count < self._limit:
            self._count += 1
            threading.Thread(target=self._work, name=f"invoke-{self._count}", daemon=True).start()
        return await ended

    def stop(self) -> None:
        """Let the threads end when they have done what they are at."""
        for _ in range(self._count):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            loop, ended, function = job
            if not ended.cancelled():
                result, error = None, None
                try:
                    result = function()
                except BaseException as raised:
                    error = raised
                self._idle.release()
                # A loop that has ended meanwhile waits for nothing any more.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(_settle, ended, result, error)
                del result, error
            else:
                self._idle.release()
            del loop, ended, function, job


def _settle(ended: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if ended.done():
        return
    if error is None:
        ended.set_result(result)
    else:
        ended.set_exception(error)
