"""The stores of jobs and documents that the ingest service needs, in memory, on a clock that tests move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from services.ingest.errors import IngestError, LeaseLost
from services.ingest.filenames import CONTENT_TYPES
from services.ingest.models import (
    Document,
    DocumentState,
    DocumentTotals,
    Job,
    JobState,
    LeasedJob,
    NewJob,
    PageRequest,
    Pointed,
)


@dataclass
class Trouble:
    """Raises the error for a method while it is set; `times` counts it down."""

    errors: dict[str, IngestError] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)

    def strike(self, method: str) -> None:
        if (error := self.errors.get(method)) is None:
            return
        if method in self.times:
            self.times[method] -= 1
            if self.times[method] <= 0:
                del self.errors[method], self.times[method]
        raise error


class Clock:
    """Time that passes when told to, and a microsecond with each look, so that nothing happens at the same time."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        self._now += timedelta(microseconds=1)
        return self._now

    def pass_seconds(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


@dataclass
class _JobRow:
    job: Job
    token: str | None
    lease_until: datetime | None
    due: datetime


class FakeJobStore:
    """JobStore in memory, on a clock that tests move."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.trouble = Trouble()
        self._rows: dict[str, _JobRow] = {}

    async def create(self, new: NewJob, *, lease_seconds: float) -> LeasedJob | None:
        self.trouble.strike("create")
        if new.request_id is not None and await self.find_by_request(new.tenant, new.request_id):
            return None
        if await self.find_active(new.tenant, new.document_id):
            return None
        now = self.clock.now()
        job = Job(**vars(new), create_time=now, update_time=now, attempt_count=1)
        row = _JobRow(job, uuid4().hex, now + timedelta(seconds=lease_seconds), now)
        self._rows[new.job_id] = row
        return LeasedJob(job, row.token or "")

    async def claim(self, job_id: str, *, lease_seconds: float) -> LeasedJob | None:
        row = self._rows.get(job_id)
        return self._take(row, lease_seconds) if row is not None and self._is_free(row) else None

    async def claim_due(self, *, lease_seconds: float) -> LeasedJob | None:
        self.trouble.strike("claim_due")
        now = self.clock.now()
        due = sorted((row for row in self._rows.values() if self._is_free(row) and row.due <= now), key=_due)
        return self._take(due[0], lease_seconds) if due else None

    def _is_free(self, row: _JobRow) -> bool:
        return not row.job.state.is_final and (row.lease_until is None or row.lease_until < self.clock.now())

    def _take(self, row: _JobRow, lease_seconds: float) -> LeasedJob:
        now = self.clock.now()
        row.job = replace(
            row.job,
            attempt_count=row.job.attempt_count + 1,
            lost_lease_count=row.job.lost_lease_count + (row.token is not None),
            update_time=now,
        )
        row.token, row.lease_until = uuid4().hex, now + timedelta(seconds=lease_seconds)
        return LeasedJob(row.job, row.token)

    async def heartbeat(self, leased: LeasedJob, *, lease_seconds: float) -> None:
        self.trouble.strike("heartbeat")
        self._held(leased).lease_until = self.clock.now() + timedelta(seconds=lease_seconds)

    async def advance(self, leased: LeasedJob, state: JobState, *, indexed: int = 0, total: int = 0) -> None:
        self.trouble.strike("advance")
        row = self._held(leased)
        row.job = replace(
            row.job,
            state=state,
            indexed_chunk_count=indexed,
            total_chunk_count=total,
            update_time=self.clock.now(),
        )

    async def finish(self, leased: LeasedJob) -> None:
        self.trouble.strike("finish")
        self._close(self._held(leased), JobState.READY)

    async def fail(self, leased: LeasedJob, *, reason: str, detail: str) -> None:
        row = self._held(leased)
        row.job = replace(row.job, failure_reason=reason, failure_detail=detail)
        self._close(row, JobState.FAILED)

    async def release(self, leased: LeasedJob, *, pause_seconds: float) -> None:
        row = self._held(leased)
        self._close(row, JobState.QUEUED)
        row.due = self.clock.now() + timedelta(seconds=pause_seconds)

    async def cancel(self, job_id: str) -> bool:
        row = self._rows.get(job_id)
        if row is None or row.job.state.is_final:
            return False
        self._close(row, JobState.CANCELLED)
        return True

    def _held(self, leased: LeasedJob) -> _JobRow:
        row = self._rows.get(leased.job.job_id)
        if row is None or row.token != leased.lease_token or row.job.state.is_final:
            raise LeaseLost("the job belongs to another worker or is final")
        return row

    def _close(self, row: _JobRow, state: JobState) -> None:
        row.job = replace(row.job, state=state, update_time=self.clock.now())
        row.token = row.lease_until = None

    async def get(self, tenant: str, job_id: str) -> Job | None:
        self.trouble.strike("get")
        row = self._rows.get(job_id)
        return row.job if row is not None and row.job.tenant == tenant else None

    async def find_by_request(self, tenant: str, request_id: str) -> Job | None:
        return next((job for job in self._of(tenant) if job.request_id == request_id), None)

    async def find_active(self, tenant: str, document_id: str) -> Job | None:
        return next(
            (job for job in self._of(tenant) if job.document_id == document_id and not job.state.is_final), None
        )

    def _of(self, tenant: str) -> list[Job]:
        return [row.job for row in self._rows.values() if row.job.tenant == tenant]

    async def list_newest_first(self, tenant: str, page: PageRequest) -> list[Job]:
        jobs = sorted(self._of(tenant), key=lambda job: (job.create_time, job.job_id), reverse=True)
        return [job for job in jobs if page.before is None or (job.create_time, job.job_id) < page.before][: page.size]

    async def count_by_state(self, tenant: str) -> Mapping[JobState, int]:
        return Counter(job.state for job in self._of(tenant))

    async def is_reachable(self) -> bool:
        return True


def _due(row: _JobRow) -> datetime:
    return row.due


class FakeDocumentRegistry:
    """DocumentRegistry in memory."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.trouble = Trouble()
        self._documents: dict[tuple[str, str], Document] = {}
        self._names: dict[tuple[str, str], tuple[str, datetime]] = {}

    async def get(self, tenant: str, document_id: str) -> Document | None:
        return self._read(tenant, document_id)

    async def publish(self, document: Document, filename: str) -> Pointed | None:
        self.trouble.strike("publish")
        before = self._read(document.tenant, document.document_id)
        if before is not None and before.state is not DocumentState.READY:
            return None
        now = self.clock.now()
        created = before.create_time if before is not None else now
        self._documents[document.tenant, document.document_id] = replace(
            document, create_time=created, update_time=now, state=DocumentState.READY
        )
        return self._point(document.tenant, filename, document.document_id)

    async def point(self, tenant: str, filename: str, document_id: str) -> Pointed | None:
        self.trouble.strike("point")
        return self._point(tenant, filename, document_id)

    def _point(self, tenant: str, filename: str, document_id: str) -> Pointed | None:
        document = self._read(tenant, document_id)
        if document is None or document.state is not DocumentState.READY:
            return None
        former_id, _ = self._names.get((tenant, filename), (None, None))
        if former_id == document_id:
            return Pointed(document)
        self._names[tenant, filename] = (document_id, self.clock.now())
        self._touch(tenant, document_id)
        document = self._read(tenant, document_id) or document
        former = self._read(tenant, former_id) if former_id is not None else None
        if former is None:
            return Pointed(document)
        if not former.filenames:
            return Pointed(document, orphan=self._mark_deleting(tenant, former.document_id))
        return Pointed(document, renamed=former if former.index_shows_old_name else None)

    async def mark_indexed_filename(self, tenant: str, document_id: str, filename: str) -> None:
        self._change(tenant, document_id, indexed_filename=filename)

    async def mark_deleting(self, tenant: str, document_id: str) -> Document | None:
        return self._mark_deleting(tenant, document_id)

    async def condemn(self, job: Job) -> Document:
        key = (job.tenant, job.document_id)
        now = self.clock.now()
        self._documents.setdefault(
            key,
            Document(
                tenant=job.tenant,
                document_id=job.document_id,
                extension=job.extension,
                content_type=CONTENT_TYPES[job.extension],
                size_bytes=0,
                chunk_count=0,
                token_count=0,
                job_id=job.job_id,
                create_time=now,
                update_time=now,
            ),
        )
        document = self._mark_deleting(*key)
        assert document is not None
        return document

    def _mark_deleting(self, tenant: str, document_id: str) -> Document | None:
        self._change(tenant, document_id, state=DocumentState.DELETING)
        self._touch(tenant, document_id)
        self._names = {key: place for key, place in self._names.items() if (key[0], place[0]) != (tenant, document_id)}
        return self._read(tenant, document_id)

    async def remove(self, tenant: str, document_id: str) -> None:
        document = self._read(tenant, document_id)
        if document is not None and document.state is DocumentState.DELETING:
            del self._documents[tenant, document_id]

    async def list_ready(self, tenant: str, page: PageRequest) -> list[Document]:
        found = sorted(self._ready(tenant), key=_newest, reverse=True)
        return [document for document in found if page.before is None or _newest(document) < page.before][: page.size]

    async def list_unsettled(self, *, limit: int) -> list[Document]:
        all_documents = [self._named(document) for document in self._documents.values()]
        unsettled = [
            document
            for document in all_documents
            if document.state is DocumentState.DELETING or document.index_shows_old_name
        ]
        return sorted(unsettled, key=lambda document: document.update_time or self.clock.now())[:limit]

    async def count(self, tenant: str) -> DocumentTotals:
        ready = self._ready(tenant)
        return DocumentTotals(len(ready), sum(document.size_bytes for document in ready))

    def _ready(self, tenant: str) -> list[Document]:
        return [
            self._named(document)
            for document in self._documents.values()
            if document.tenant == tenant and document.state is DocumentState.READY
        ]

    def _read(self, tenant: str, document_id: str) -> Document | None:
        document = self._documents.get((tenant, document_id))
        return self._named(document) if document is not None else None

    def _named(self, document: Document) -> Document:
        names = [
            (since, filename)
            for (tenant, filename), (document_id, since) in self._names.items()
            if (tenant, document_id) == (document.tenant, document.document_id)
        ]
        return replace(document, filenames=tuple(filename for _, filename in sorted(names)))

    def _touch(self, tenant: str, document_id: str) -> None:
        self._change(tenant, document_id, update_time=self.clock.now())

    def _change(self, tenant: str, document_id: str, **changes: object) -> None:
        if document := self._documents.get((tenant, document_id)):
            self._documents[tenant, document_id] = replace(document, **changes)  # type: ignore[arg-type]


def _newest(document: Document) -> tuple[datetime, str]:
    assert document.create_time is not None
    return document.create_time, document.document_id
