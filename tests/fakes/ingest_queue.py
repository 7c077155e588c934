"""A queue of jobs in memory, on a clock that tests move."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.ingest.models import JobMessage
from tests.fakes.ingest_stores import Clock, Trouble

_VISIBILITY_SECONDS = 60.0


@dataclass
class _Lying:
    job_id: str | None
    visible_from: datetime
    receive_count: int = 0


class FakeJobQueue:
    """JobQueue and JobMessages in memory. `max_receives` is when messages are set aside; `aside` holds those."""

    def __init__(self, clock: Clock | None = None, *, max_receives: int = 1_000) -> None:
        self.clock = clock or Clock()
        self.max_receives = max_receives
        self.trouble = Trouble()
        self.announced: list[tuple[str, float]] = []
        self.aside: list[str | None] = []
        self._lying: dict[str, _Lying] = {}

    async def announce(self, job_id: str, *, delay_seconds: float = 0) -> None:
        self.trouble.strike("announce")
        self.announced.append((job_id, delay_seconds))
        self.put(job_id, delay_seconds=delay_seconds)

    def put(self, job_id: str | None, *, delay_seconds: float = 0) -> None:
        """A message as anybody may send one."""
        visible_from = self.clock.now() + timedelta(seconds=delay_seconds)
        self._lying[f"m{len(self._lying) + len(self.aside)}"] = _Lying(job_id, visible_from)

    async def receive(self) -> Sequence[JobMessage]:
        await asyncio.sleep(0)
        self.trouble.strike("receive")
        now = self.clock.now()
        for message_id, lying in list(self._lying.items()):
            if lying.visible_from > now:
                continue
            if lying.receive_count >= self.max_receives:
                self.aside.append(self._lying.pop(message_id).job_id)
                continue
            lying.receive_count += 1
            lying.visible_from = now + timedelta(seconds=_VISIBILITY_SECONDS)
            is_last = lying.receive_count >= self.max_receives
            return [JobMessage(message_id, lying.job_id, f"{message_id}-receipt", lying.receive_count, is_last)]
        return []

    async def keep(self, message: JobMessage, *, seconds: float) -> None:
        self.trouble.strike("keep")
        if lying := self._lying.get(message.message_id):
            lying.visible_from = self.clock.now() + timedelta(seconds=seconds)

    async def remove(self, message: JobMessage) -> None:
        self.trouble.strike("remove")
        self._lying.pop(message.message_id, None)

    @property
    def length(self) -> int:
        """Messages that lie there or are being worked on."""
        return len(self._lying)
