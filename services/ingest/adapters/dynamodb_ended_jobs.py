"""What is still due of jobs in DynamoDB that have ended: files that are kept, and images to be taken out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing, suppress
from datetime import datetime, timedelta

from services.ingest.adapters.dynamodb_job_items import job_key, job_of
from services.ingest.models import Job
from services.storage.dynamodb import ConditionFailed, DynamoTable, first, key_of
from services.storage.dynamodb_items import Write, assignments, time_text

# Queues of the index by which jobs become due, beside the one of waiting jobs.
KEPT = "kept"  # failed jobs, by when their files need not be kept any longer
IMAGES = "images"  # READY jobs, by since when their images are due
_READ_AT_A_TIME = 10


class EndedJobs:
    """The part of DynamoJobs that is about jobs that have ended."""

    def __init__(self, table: DynamoTable, now: Callable[[], datetime]) -> None:
        self._table = table
        self._now = now

    async def take_images_due(self, *, after_seconds: float) -> Job | None:
        now = self._now()
        before = time_text(now - timedelta(seconds=after_seconds))
        entries = self._table.query(
            "#due_queue = :queue AND #due_at < :before",
            {"queue": IMAGES, "before": before},
            index="due",
            page_size=_READ_AT_A_TIME,
        )
        async with aclosing(entries):
            async for entry in entries:
                update, values = assignments({"due_at": time_text(now)})
                condition = "#due_queue = :queue AND #due_at < :before"
                values |= {"queue": IMAGES, "before": before}
                with suppress(ConditionFailed):  # another was first, or they are there by now
                    return job_of(
                        await self._table.write(Write(key_of(entry), update=update, condition=condition, values=values))
                    )
        return None

    async def settle_images(self, job_id: str) -> None:
        update, _ = assignments({"due_queue": None, "due_at": None})
        write = Write(job_key(job_id), update=update, condition="#due_queue = :queue", values={"queue": IMAGES})
        with suppress(ConditionFailed):
            await self._table.write(write)

    async def list_outdated(self, *, limit: int) -> list[Job]:
        entries = self._table.query(
            "#due_queue = :queue AND #due_at <= :now",
            {"queue": KEPT, "now": time_text(self._now())},
            index="due",
            page_size=limit,
        )
        items = self._table.read_again(entries, batch=limit)
        return [job_of(item) for item in await first(items, limit, keep=lambda item: item.get("due_queue") == KEPT)]

    async def forget_file(self, job_id: str) -> None:
        update, _ = assignments({"file_kept_until": None, "due_queue": None, "due_at": None})
        condition = "attribute_exists(#pk) AND attribute_not_exists(#active_tenant)"
        with suppress(ConditionFailed):
            await self._table.write(Write(job_key(job_id), update=update, condition=condition))
