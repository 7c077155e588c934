"""Events that reach the ingest function and are no calls: messages of its queue, and a clock's reminders."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from services.ingest.consuming import Consuming, WorkingTime
from services.ingest.deleting import Deleting
from services.ingest.errors import IngestError
from services.ingest.models import JobMessage
from services.ingest.workers import Workers

logger = logging.getLogger(__name__)

ReadMessage = Callable[[str, str, str, Mapping[str, str]], Awaitable[JobMessage]]
"""Makes a message of its id, body, receipt and attributes."""


class IngestEvents:
    """Takes `{"Records": [{"eventSource": "aws:sqs", …}]}` and `{"source": "aws.events", …}`."""

    def __init__(
        self, *, workers: Workers, deleting: Deleting, consuming: Consuming | None, read_message: ReadMessage | None
    ) -> None:
        self._workers = workers
        self._deleting = deleting
        self._consuming = consuming
        self._read_message = read_message

    def take(self, event: Any, remaining_seconds: float) -> Coroutine[Any, Any, dict[str, Any]] | None:
        """What is done about the event, within that time; None when it is neither of the two."""
        if not isinstance(event, dict):
            return None
        records = event.get("Records")
        if isinstance(records, list) and records and all(_is_message(record) for record in records):
            return self._take_messages(records, WorkingTime(remaining_seconds))
        if event.get("source") == "aws.events":
            return self._sweep(WorkingTime(remaining_seconds))
        return None

    async def _take_messages(self, records: Sequence[dict[str, Any]], working_time: WorkingTime) -> dict[str, Any]:
        """A partial batch response: only the messages named in it are delivered again."""
        if self._consuming is None or self._read_message is None:
            logger.error("queue.unknown", extra={"cause": "INGEST_QUEUE_URL is not set, and messages come"})
            return _again(str(record.get("messageId", "")) for record in records)
        messages = [
            await self._read_message(
                str(record.get("messageId", "")),
                str(record.get("body", "")),
                str(record.get("receiptHandle", "")),
                record.get("attributes") or {},
            )
            for record in records
        ]
        unfinished = await self._consuming.take_up_all(messages, working_time)
        logger.info("queue.batch_taken", extra={"messages": len(messages), "unfinished": len(unfinished)})
        return _again(message.message_id for message in unfinished)

    async def _sweep(self, working_time: WorkingTime) -> dict[str, Any]:
        """Finish deletions that were cut short and do the jobs that are due, as far as the time allows."""
        try:
            async with asyncio.timeout(working_time.left_seconds):
                await self._deleting.settle_all()
                await self._deleting.forget_outdated()
                await self._workers.take_up_due(may_begin=working_time.may_begin)
                await self._workers.imaging.resume()
        except TimeoutError:
            logger.info("sweep.cut_off")
            return {"swept": False}
        except IngestError as error:  # the store of jobs is away; the next sweep comes soon
            logger.warning("sweep.postponed", extra={"error_kind": type(error).__name__})
            return {"swept": False}
        return {"swept": True}


def _is_message(record: object) -> bool:
    return isinstance(record, dict) and record.get("eventSource") == "aws:sqs"


def _again(message_ids: Iterable[str]) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in message_ids]}
