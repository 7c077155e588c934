"""The store of jobs that the ingest service needs, in memory, on a clock that tests move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from services.ingest.errors import IngestError, LeaseLost
from services.ingest.models import (
    MAX_JOINED_FILENAMES,
    NO_PROGRESS,
    Job,
    JobState,
    LeasedJob,
    NewJob,
    PageNote,
    PageRequest,
    Progress,
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
    images_due: datetime | None = None


class FakeJobStore:
    """JobStore in memory, on a clock that tests move."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.trouble = Trouble()
        self.advances: list[tuple[JobState, Progress]] = []
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
            lost_lease_count=row.job.lost_lease_count
            + (row.token is not None and row.job.state is not JobState.QUEUED),
            state=JobState.QUEUED,
            update_time=now,
        )
        row.token, row.lease_until = uuid4().hex, now + timedelta(seconds=lease_seconds)
        return LeasedJob(row.job, row.token)

    async def heartbeat(self, leased: LeasedJob, *, lease_seconds: float) -> None:
        self.trouble.strike("heartbeat")
        self._held(leased).lease_until = self.clock.now() + timedelta(seconds=lease_seconds)

    async def advance(self, leased: LeasedJob, state: JobState, progress: Progress = NO_PROGRESS) -> None:
        self.trouble.strike("advance")
        row = self._held(leased)
        self.advances.append((state, progress))
        row.job = replace(row.job, state=state, **vars(progress), update_time=self.clock.now())

    async def finish(
        self,
        leased: LeasedJob,
        *,
        progress: Progress = NO_PROGRESS,
        page_notes: Sequence[PageNote] = (),
        joined: Sequence[str] = (),
        images_due: bool = False,
    ) -> bool:
        self.trouble.strike("finish")
        row = self._held(leased)
        if row.job.joined_filenames != tuple(joined):
            return False
        row.job = replace(row.job, **vars(progress), page_notes=tuple(page_notes))
        self._close(row, JobState.READY)
        row.images_due = self.clock.now() if images_due else None
        return True

    async def take_images_due(self, *, after_seconds: float) -> Job | None:
        now = self.clock.now()
        for row in self._rows.values():
            if row.images_due is not None and row.images_due < now - timedelta(seconds=after_seconds):
                row.images_due = now
                return row.job
        return None

    async def settle_images(self, job_id: str) -> None:
        self.trouble.strike("settle_images")
        if job_id in self._rows:
            self._rows[job_id].images_due = None

    async def fail(self, leased: LeasedJob, *, reason: str, detail: str, keep_file_seconds: float = 0) -> None:
        self.trouble.strike("fail")
        row = self._held(leased)
        until = self.clock.now() + timedelta(seconds=keep_file_seconds) if keep_file_seconds > 0 else None
        row.job = replace(row.job, failure_reason=reason, failure_detail=detail, file_kept_until=until)
        self._close(row, JobState.FAILED)

    async def release(self, leased: LeasedJob, *, pause_seconds: float) -> None:
        row = self._held(leased)
        self._close(row, JobState.QUEUED)
        row.due = self.clock.now() + timedelta(seconds=pause_seconds)

    async def join(self, job_id: str, filename: str) -> bool:
        self.trouble.strike("join")
        row = self._rows.get(job_id)
        if row is None or row.job.state.is_final:
            return False
        joined = row.job.joined_filenames
        if filename not in (row.job.filename, *joined):
            if len(joined) >= MAX_JOINED_FILENAMES:
                return False
            row.job = replace(row.job, joined_filenames=(*joined, filename))
        return True

    async def cancel(self, job_id: str) -> bool:
        self.trouble.strike("cancel")
        row = self._rows.get(job_id)
        if row is None or row.job.state.is_final:
            return False
        row.job = replace(row.job, state=JobState.CANCELLED, update_time=self.clock.now())
        return True

    async def let_go(self, leased: LeasedJob) -> None:
        row = self._rows.get(leased.job.job_id)
        if row is not None and row.job.state.is_final and row.token == leased.lease_token:
            row.token = row.lease_until = None

    async def is_held(self, tenant: str, job_id: str) -> bool:
        row = self._rows.get(job_id)
        until = row.lease_until if row is not None and row.job.tenant == tenant else None
        return until is not None and until > self.clock.now()

    async def requeue(self, tenant: str, job_id: str) -> Job | None:
        self.trouble.strike("requeue")
        row = self._rows.get(job_id)
        if row is None or row.job.tenant != tenant or row.job.state is not JobState.FAILED:
            return None
        kept_until, now = row.job.file_kept_until, self.clock.now()
        if kept_until is None or kept_until <= now or await self.find_active(tenant, row.job.document_id):
            return None
        row.job = replace(
            row.job,
            failure_reason="",
            failure_detail="",
            attempt_count=0,
            lost_lease_count=0,
            parsed_page_count=0,
            total_page_count=0,
            file_kept_until=None,
        )
        self._close(row, JobState.QUEUED)
        row.due = now
        return row.job

    async def list_outdated(self, *, limit: int) -> list[Job]:
        now = self.clock.now()
        kept = [
            (row.job.file_kept_until, row.job) for row in self._rows.values() if row.job.file_kept_until is not None
        ]
        return [job for until, job in sorted(kept, key=lambda found: found[0]) if until < now][:limit]

    async def forget_file(self, job_id: str) -> None:
        row = self._rows.get(job_id)
        if row is not None and row.job.state.is_final:
            row.job = replace(row.job, file_kept_until=None)

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

    async def list_newest_first(self, tenant: str, page: PageRequest, *, state: JobState | None = None) -> list[Job]:
        found = [job for job in self._of(tenant) if state is None or job.state is state]
        jobs = sorted(found, key=lambda job: (job.create_time, job.job_id), reverse=True)
        return [job for job in jobs if page.before is None or (job.create_time, job.job_id) < page.before][: page.size]

    async def count_by_state(self, tenant: str) -> Mapping[JobState, int]:
        return Counter(job.state for job in self._of(tenant))

    async def is_reachable(self) -> bool:
        return True


def _due(row: _JobRow) -> datetime:
    return row.due
