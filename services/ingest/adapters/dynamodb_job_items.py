"""What jobs look like as items of DynamoDB; see dynamodb_jobs.py for the keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.ingest.models import NO_PROGRESS, Job, JobState, NewJob, PageNote, PageProblem
from services.storage.dynamodb_items import Item, Key, Value, key_part, time_from, time_text


def job_key(job_id: str) -> Key:
    return Key(f"JOB#{job_id}", "JOB")


def active_key(tenant: str, document_id: str) -> Key:
    return Key(f"ACTIVE#{key_part(tenant)}#{document_id}", "ACTIVE")


def request_key(tenant: str, request_id: str) -> Key:
    return Key(f"REQUEST#{key_part(tenant)}#{request_id}", "REQUEST")


def new_item(new: NewJob, now: datetime) -> dict[str, Value]:
    """A job that its maker holds, without its lease."""
    return {
        **{name: value for name, value in vars(new).items() if value is not None},
        "job_state": JobState.QUEUED,
        "failure_reason": "",
        "failure_detail": "",
        "attempt_count": 1,
        "lost_lease_count": 0,
        **vars(NO_PROGRESS),
        "joined_filenames": (),
        "page_notes": (),
        "create_time": time_text(now),
        "update_time": time_text(now),
        "held": 1,
        "risked": 0,
        "tenant_key": key_part(new.tenant),
        "active_tenant": key_part(new.tenant),
        "newest": f"{time_text(now)}#{new.job_id}",
    }


_FIELDS = [
    name
    for name in Job.__dataclass_fields__
    if name not in ("state", "create_time", "update_time", "tags", "joined_filenames", "page_notes", "file_kept_until")
]  # fmt: skip


def job_of(item: Item) -> Job:
    facts: dict[str, Any] = {name: item.get(name) for name in _FIELDS}
    facts |= {name: item.get(name, 0) for name in vars(NO_PROGRESS)}
    return Job(
        **facts,
        state=JobState(item["job_state"]),
        create_time=time_from(item["create_time"]),
        update_time=time_from(item["update_time"]),
        tags=tuple(item.get("tags", ())),
        joined_filenames=tuple(item.get("joined_filenames", ())),
        page_notes=notes_from(item.get("page_notes", ())),
        file_kept_until=time_from(item["file_kept_until"]) if item.get("file_kept_until") else None,
    )


def notes_from(items: Sequence[Mapping[str, Any]]) -> tuple[PageNote, ...]:
    """Notes as an item holds them."""
    return tuple(PageNote(note["page"], PageProblem(note["reason"]), note["detail"]) for note in items)
