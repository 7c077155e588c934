"""Jobs in DynamoDB, in the table `{prefix}-jobs`.

    JOB#{job_id}                        the job; its key is the one that holds no tenant, for `claim` knows none,
                                        and job ids are made at random
    ACTIVE#{tenant}#{document_id}       which job of the document is not final
    REQUEST#{tenant}#{request_id}       which job the request id stands for
    COUNT#{tenant} / {day}#{shard}      how many jobs came to which end, by the day they are forgotten

DynamoDB has no clock of its own, so time is that of the process. `due_at` says when somebody else may take a job up:
the end of its lease, or of its pause. It lies `clock_skew_seconds` behind the end that was asked for: a worker whose
clock is ahead by no more than that takes nothing from a worker that lives. With clocks further apart a job may be
worked on twice, but is recorded once: a change needs the token of the lease, and taking a job up changes that.

Final jobs are forgotten after `keeps_for`, and with them what their request ids stand for. Lists and counts of jobs
that are not final come from an index and may lag behind by a moment; a job listed is read again.

Costs in write units and write units of indexes, for items below 1 KB: create 4 and 3, and 2 more with a request id;
claim, heartbeat 1 and 2; release 1 and 3; advance 1, and 1 where the state changes; an end 6 and 2, and 2 more with a
request id. In read units: claim_due half a one, and a claim where a job is due; cancel 1 and an end; get 1;
find_by_request, find_active 2; a page half a one and one for each job; the counts one for each 4 KB of counters and
half a one for each 4 KB of jobs that are not final, at about 100 bytes each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from services.ingest.errors import LeaseLost
from services.ingest.models import FINAL_STATES, Job, JobState, LeasedJob, NewJob, PageRequest
from services.storage.dynamodb import ConditionFailed, DynamoTable, first, key_of
from services.storage.dynamodb_items import (
    Item,
    Key,
    Value,
    Write,
    assignments,
    epoch_seconds,
    key_part,
    time_from,
    time_text,
    utc_now,
)

_DUE = "due"  # One partition: an order over all tenants. It takes some 300 jobs a second before AWS slows it down.
_DUE_READ_AT_A_TIME = 10
_COUNT_SHARDS = 4  # so that jobs that end at the same time seldom wait for each other
_FREED: Mapping[str, Value] = {"held": 0, "lease_token": None}
_NO_LONGER_ACTIVE: Mapping[str, Value] = {"active_tenant": None, "due_queue": None, "due_at": None}
_IS_ACTIVE = "attribute_exists(#active_tenant)"
# A lease that ran out and that nobody took still is its holder's.
_IS_HELD = f"#lease_token = :held_token AND {_IS_ACTIVE}"
_TAKE = (
    "SET #lost_lease_count = #lost_lease_count + #held, #attempt_count = #attempt_count + :one, #held = :one,"
    " #lease_token = :token, #due_at = :until, #update_time = :now"
)


class DynamoJobs:
    """JobStore in one table of DynamoDB; see the module on costs and clocks."""

    def __init__(
        self,
        table: DynamoTable,
        *,
        keeps_for: timedelta = timedelta(days=90),
        clock_skew_seconds: float = 1.0,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._table = table
        self._keeps_for = keeps_for
        self._clock_skew_seconds = clock_skew_seconds
        self._now = now

    async def create(self, new: NewJob, *, lease_seconds: float) -> LeasedJob | None:
        now, token = self._now(), uuid4().hex
        item: dict[str, Value] = {
            **{name: value for name, value in vars(new).items() if value is not None},
            "job_state": JobState.QUEUED,
            "failure_reason": "",
            "failure_detail": "",
            "attempt_count": 1,
            "lost_lease_count": 0,
            "indexed_chunk_count": 0,
            "total_chunk_count": 0,
            "create_time": time_text(now),
            "update_time": time_text(now),
            "held": 1,
            "lease_token": token,
            "due_queue": _DUE,
            "due_at": self._after(now, lease_seconds),
            "tenant_key": key_part(new.tenant),
            "active_tenant": key_part(new.tenant),
            "newest": f"{time_text(now)}#{new.job_id}",
        }
        writes = [
            Write(_job_key(new.job_id), item, condition="attribute_not_exists(#pk)"),
            Write(
                _active_key(new.tenant, new.document_id),
                {"job_id": new.job_id},
                condition="attribute_not_exists(#pk)",
            ),
        ]
        if new.request_id is not None:
            writes.append(
                Write(
                    _request_key(new.tenant, new.request_id),
                    {"job_id": new.job_id},
                    condition="attribute_not_exists(#pk) OR #expires_at <= :today",
                    values={"today": epoch_seconds(now)},
                )
            )
        try:
            await self._table.transact(writes)
        except ConditionFailed:
            return None
        return LeasedJob(_job(dict(item)), token)

    async def claim(self, job_id: str, *, lease_seconds: float) -> LeasedJob | None:
        return await self._take(job_id, "(#held = :zero OR #due_at <= :now)", {"zero": 0}, lease_seconds=lease_seconds)

    async def claim_due(self, *, lease_seconds: float) -> LeasedJob | None:
        candidates = self._table.query(
            "#due_queue = :queue AND #due_at <= :now",
            {"queue": _DUE, "now": time_text(self._now())},
            index="due",
            page_size=_DUE_READ_AT_A_TIME,
        )
        async with aclosing(candidates):
            async for candidate in candidates:
                job_id = key_of(candidate).partition.removeprefix("JOB#")
                # The index may be behind, and other workers see the same: the condition decides, on the job itself.
                if leased := await self._take(job_id, "#due_at <= :now", {}, lease_seconds=lease_seconds):
                    return leased
        return None

    async def _take(
        self, job_id: str, condition: str, values: Mapping[str, Value], *, lease_seconds: float
    ) -> LeasedJob | None:
        now, token = self._now(), uuid4().hex
        times = {"now": time_text(now), "until": self._after(now, lease_seconds)}
        try:
            item = await self._table.write(
                Write(
                    _job_key(job_id),
                    update=_TAKE,
                    condition=f"{_IS_ACTIVE} AND {condition}",
                    values={"token": token, "one": 1, **times, **values},
                )
            )
        except ConditionFailed as error:
            if error.found is None or error.found.get("lease_token") != token:
                return None
            item = error.found  # It was taken at the first try, of which no answer came.
        return LeasedJob(_job(item), token)

    async def heartbeat(self, leased: LeasedJob, *, lease_seconds: float) -> None:
        await self._change(leased, {"due_at": self._after(self._now(), lease_seconds)})

    async def advance(self, leased: LeasedJob, state: JobState, *, indexed: int = 0, total: int = 0) -> None:
        counts: dict[str, Value] = {"indexed_chunk_count": indexed, "total_chunk_count": total}
        await self._change(leased, {"job_state": state, **counts, "update_time": time_text(self._now())})

    async def finish(self, leased: LeasedJob) -> None:
        await self._end_held(leased, JobState.READY)

    async def fail(self, leased: LeasedJob, *, reason: str, detail: str) -> None:
        await self._end_held(leased, JobState.FAILED, failure_reason=reason, failure_detail=detail)

    async def release(self, leased: LeasedJob, *, pause_seconds: float) -> None:
        now = self._now()
        due_at = time_text(now + timedelta(seconds=pause_seconds))
        await self._change(
            leased, {"job_state": JobState.QUEUED, "due_at": due_at, "update_time": time_text(now), **_FREED}
        )

    async def cancel(self, job_id: str) -> bool:
        item = await self._table.get(_job_key(job_id))
        if item is None:
            return False
        try:
            await self._end(_job(item), JobState.CANCELLED, condition=_IS_ACTIVE, values={})
        except ConditionFailed:
            return False
        return True

    async def _change(self, leased: LeasedJob, changes: Mapping[str, Value]) -> None:
        update, values = assignments(changes)
        values["held_token"] = leased.lease_token
        try:
            await self._table.write(
                Write(_job_key(leased.job.job_id), update=update, condition=_IS_HELD, values=values)
            )
        except ConditionFailed:
            raise LeaseLost("the job belongs to another worker or is final") from None

    async def _end_held(self, leased: LeasedJob, state: JobState, **changes: str) -> None:
        held = {"held_token": leased.lease_token}
        try:
            await self._end(leased.job, state, condition=_IS_HELD, values=held, **changes)
        except ConditionFailed:
            raise LeaseLost("the job belongs to another worker or is final") from None

    async def _end(
        self, job: Job, state: JobState, *, condition: str, values: Mapping[str, Value], **changes: Value
    ) -> None:
        """Make the job final, and let its document and its request id go, in one step. Raises: ConditionFailed."""
        now = self._now()
        forgotten = now + self._keeps_for
        expires_at = epoch_seconds(forgotten)
        update, changed = assignments(
            {
                "job_state": state,
                "update_time": time_text(now),
                "expires_at": expires_at,
                **changes,
                **_FREED,
                **_NO_LONGER_ACTIVE,
            }
        )
        writes = [
            Write(_job_key(job.job_id), update=update, condition=condition, values={**changed, **values}),
            Write(_active_key(job.tenant, job.document_id)),
            Write(
                Key(f"COUNT#{key_part(job.tenant)}", f"{forgotten:%Y-%m-%d}#{ord(job.job_id[-1]) % _COUNT_SHARDS}"),
                update=f"SET #expires_at = :last ADD #{state} :one",
                values={"one": 1, "last": epoch_seconds(forgotten + timedelta(days=1))},
            ),
        ]
        if job.request_id is not None:
            writes.append(
                Write(
                    _request_key(job.tenant, job.request_id),
                    {"job_id": job.job_id, "expires_at": expires_at},
                )
            )
        await self._table.transact(writes)

    async def get(self, tenant: str, job_id: str) -> Job | None:
        item = await self._table.get(_job_key(job_id))
        return _job(item) if item is not None and item["tenant"] == tenant else None

    async def find_by_request(self, tenant: str, request_id: str) -> Job | None:
        request = await self._table.get(_request_key(tenant, request_id))
        return await self.get(tenant, request["job_id"]) if request is not None else None

    async def find_active(self, tenant: str, document_id: str) -> Job | None:
        active = await self._table.get(_active_key(tenant, document_id))
        job = await self.get(tenant, active["job_id"]) if active is not None else None
        return job if job is not None and not job.state.is_final else None

    async def list_newest_first(self, tenant: str, page: PageRequest) -> list[Job]:
        condition, values = "#tenant_key = :tenant", {"tenant": key_part(tenant)}
        if page.before is not None:
            condition += " AND #newest < :before"
            values["before"] = f"{time_text(page.before[0])}#{page.before[1]}"
        entries = self._table.query(condition, values, index="newest", newest_first=True, page_size=page.size)
        items = self._table.read_again(entries, batch=page.size)
        return [_job(item) for item in await first(items, page.size, keep=lambda item: True)]

    async def count_by_state(self, tenant: str) -> Mapping[JobState, int]:
        counts: Counter[JobState] = Counter()
        tenant_key = key_part(tenant)
        async for counter in self._table.query("#pk = :pk", {"pk": f"COUNT#{tenant_key}"}):
            counts.update({state: counter[state] for state in FINAL_STATES if state in counter})
        async for entry in self._table.query("#active_tenant = :tenant", {"tenant": tenant_key}, index="active"):
            counts[JobState(entry["job_state"])] += 1
        return dict(counts)

    async def is_reachable(self) -> bool:
        return await self._table.is_reachable()

    def _after(self, now: datetime, lease_seconds: float) -> str:
        return time_text(now + timedelta(seconds=lease_seconds + self._clock_skew_seconds))


def _job_key(job_id: str) -> Key:
    return Key(f"JOB#{job_id}", "JOB")


def _active_key(tenant: str, document_id: str) -> Key:
    return Key(f"ACTIVE#{key_part(tenant)}#{document_id}", "ACTIVE")


def _request_key(tenant: str, request_id: str) -> Key:
    return Key(f"REQUEST#{key_part(tenant)}#{request_id}", "REQUEST")


_FIELDS = [name for name in Job.__dataclass_fields__ if name not in ("state", "create_time", "update_time")]


def _job(item: Item) -> Job:
    facts: dict[str, Any] = {name: item.get(name) for name in _FIELDS}
    return Job(
        **facts,
        state=JobState(item["job_state"]),
        create_time=time_from(item["create_time"]),
        update_time=time_from(item["update_time"]),
    )
