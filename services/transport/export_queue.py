"""What waits to be sent to a place that may be slow or down, and never holds up a call for it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

MAX_WAITING = 4_096
MAX_BATCH = 512
SKIPPED_SECONDS = 30.0
_IMPATIENT_SECONDS = 10.0
_TICK_SECONDS = 2.0

Item = TypeVar("Item")


class ExportFailed(Exception):
    """A batch did not arrive; the text says why, in a word, and goes into a log."""


class ExportQueue(Generic[Item]):
    """Hands batches to `export`, on a thread of its own.

    `export` gets a batch, which may be empty, and whether it is flushed; it raises ExportFailed when the batch did not
    arrive. That is logged, the batch is lost, and for SKIPPED_SECONDS nothing is sent: meanwhile the newest MAX_WAITING
    items wait. With `ticks` it is called every two seconds, as servers need it; without, only when flushed, because a
    function's thread stands still between its calls.
    """

    def __init__(self, name: str, export: Callable[[Sequence[Item], bool], None], *, ticks: bool) -> None:
        self._name = name
        self._export = export
        self._tick_seconds = _TICK_SECONDS if ticks else None
        self._waiting: deque[Item] = deque(maxlen=MAX_WAITING)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._asked = self._busy = self._stopping = False
        self._skipping_until = self._impatient_until = float("-inf")

    def put(self, item: Item) -> None:
        """Let an item wait to be sent; beyond MAX_WAITING the oldest one is dropped."""
        self._waiting.append(item)
        if self._thread is None:
            self._start()

    def flush(self, seconds: float) -> None:
        """Send what waits, and wait for it so long at most.

        Whoever waited in vain is not kept waiting again for some seconds: the sending goes on while calls are served.
        """
        with self._changed:
            if self._thread is None or not (self._waiting or self._busy) or self._is_skipping():
                return
            self._asked = True
            self._changed.notify_all()
            if time.monotonic() < self._impatient_until:
                return
            if not self._changed.wait_for(self._is_idle, seconds):
                self._impatient_until = time.monotonic() + _IMPATIENT_SECONDS

    def stop(self, seconds: float) -> None:
        """Send what waits, wait for it so long at most, and end the thread."""
        with self._changed:
            thread, self._stopping = self._thread, True
            self._changed.notify_all()
        if thread is not None:
            thread.join(seconds)

    def _start(self) -> None:
        with self._changed:
            if self._thread is None and not self._stopping:
                # A daemon: a process that ends does not wait for a collector that hangs.
                self._thread = threading.Thread(target=self._work, name=f"export-{self._name}", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._asked or self._stopping, self._tick_seconds)
                is_last, is_flushed = self._stopping, self._asked or self._stopping
                self._asked = False
                skipped = self._is_skipping()
                batch = [] if skipped else [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
                self._busy = not skipped
            if not skipped:
                self._try(batch, is_flushed)
            with self._changed:
                self._busy = False
                if self._is_skipping() or not self._waiting:
                    self._changed.notify_all()
                    if is_last:
                        return
                else:
                    self._asked = True

    def _try(self, batch: Sequence[Item], is_flushed: bool) -> None:
        try:
            self._export(batch, is_flushed)
        except Exception as error:
            cause = str(error) if isinstance(error, ExportFailed) else type(error).__qualname__
            self._skipping_until = time.monotonic() + SKIPPED_SECONDS
            facts = {"destination": self._name, "cause": cause, "lost": len(batch), "skipped_seconds": SKIPPED_SECONDS}
            logger.warning("telemetry.export_failed", extra=facts)

    def _is_skipping(self) -> bool:
        return time.monotonic() < self._skipping_until

    def _is_idle(self) -> bool:
        return self._is_skipping() or not (self._asked or self._busy or self._waiting)
