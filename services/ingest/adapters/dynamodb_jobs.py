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
claim, heartbeat 1 and 2; release 1 and 3; advance 1, and 1 where the state changes; join, let_go, forget_file 1; an end
6 and 2, and 2 more with a request id; requeue 6 and 3, and 2 more with a request id. In read units: claim_due half a
one, and a claim where a job is due; cancel 1 and an end; get, is_held 1; find_by_request, find_active 2; requeue 4; a
page half a one and one for each job, of one state also for each job that is in another; list_outdated and
take_images_due half a one; the
counts one for each 4 KB of counters and half a one for each 4 KB of jobs that are not final, at about 100 bytes each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from services.ingest.adapters.dynamodb_ended_jobs import IMAGES, KEPT, EndedJobs
from services.ingest.adapters.dynamodb_job_items import active_key, job_key, job_of, new_item, request_key
from services.ingest.errors import LeaseLost
from services.ingest.models import (
    FINAL_STATES,
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
from services.storage.dynamodb import ConditionFailed, DynamoTable, first, key_of
from services.storage.dynamodb_items import (
    Key,
    Value,
    Write,
    assignments,
    epoch_seconds,
    key_part,
    time_text,
    utc_now,
)

_DUE = "due"  # One partition: an order over all tenants. It takes some 300 jobs a second before AWS slows it down.
_DUE_READ_AT_A_TIME = 10
_COUNT_SHARDS = 4  # so that jobs that end at the same time seldom wait for each other
_FREED: Mapping[str, Value] = {"held": 0, "risked": 0, "lease_token": None}
_NO_LONGER_ACTIVE: Mapping[str, Value] = {"active_tenant": None, "due_queue": None, "due_at": None}
_IS_ACTIVE = "attribute_exists(#active_tenant)"
# A lease that ran out and that nobody took still is its holder's.
_IS_HELD = f"#lease_token = :held_token AND {_IS_ACTIVE}"
# `risked` is 1 while a lost lease would count: the holder has begun to work.
_TAKE = (
    "SET #lost_lease_count = #lost_lease_count + if_not_exists(#risked, :zero), #held = :one, #risked = :zero,"
    " #attempt_count = #attempt_count + :one, #job_state = :queued, #lease_token = :token, #due_at = :until,"
    " #update_time = :now"
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
        self._ended = EndedJobs(table, now)

    async def create(self, new: NewJob, *, lease_seconds: float) -> LeasedJob | None:
        now, token = self._now(), uuid4().hex
        item = new_item(new, now)
        item |= {"lease_token": token, "due_queue": _DUE, "due_at": self._after(now, lease_seconds)}
        writes = [
            Write(job_key(new.job_id), item, condition="attribute_not_exists(#pk)"),
            Write(
                active_key(new.tenant, new.document_id),
                {"job_id": new.job_id},
                condition="attribute_not_exists(#pk)",
            ),
        ]
        if new.request_id is not None:
            writes.append(
                Write(
                    request_key(new.tenant, new.request_id),
                    {"job_id": new.job_id},
                    condition="attribute_not_exists(#pk) OR #expires_at <= :today",
                    values={"today": epoch_seconds(now)},
                )
            )
        try:
            await self._table.transact(writes)
        except ConditionFailed:
            return None
        return LeasedJob(job_of(item), token)

    async def claim(self, job_id: str, *, lease_seconds: float) -> LeasedJob | None:
        return await self._take(job_id, "(#held = :zero OR #due_at <= :now)", lease_seconds=lease_seconds)

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
                if leased := await self._take(job_id, "#due_at <= :now", lease_seconds=lease_seconds):
                    return leased
        return None

    async def _take(self, job_id: str, condition: str, *, lease_seconds: float) -> LeasedJob | None:
        now, token = self._now(), uuid4().hex
        times = {"now": time_text(now), "until": self._after(now, lease_seconds)}
        try:
            item = await self._table.write(
                Write(
                    job_key(job_id),
                    update=_TAKE,
                    condition=f"{_IS_ACTIVE} AND {condition}",
                    values={"token": token, "zero": 0, "one": 1, "queued": JobState.QUEUED, **times},
                )
            )
        except ConditionFailed as error:
            if error.found is None or error.found.get("lease_token") != token:
                return None
            item = error.found  # It was taken at the first try, of which no answer came.
        return LeasedJob(job_of(item), token)

    async def heartbeat(self, leased: LeasedJob, *, lease_seconds: float) -> None:
        await self._change(leased, {"due_at": self._after(self._now(), lease_seconds)})

    async def advance(self, leased: LeasedJob, state: JobState, progress: Progress = NO_PROGRESS) -> None:
        now = time_text(self._now())
        await self._change(leased, {"job_state": state, "risked": 1, **vars(progress), "update_time": now})

    async def finish(
        self,
        leased: LeasedJob,
        *,
        progress: Progress = NO_PROGRESS,
        page_notes: Sequence[PageNote] = (),
        joined: Sequence[str] = (),
        images_due: bool = False,
    ) -> bool:
        facts: dict[str, Value] = {**vars(progress), "page_notes": [asdict(note) for note in page_notes]}
        if images_due:
            facts |= {"due_queue": IMAGES, "due_at": time_text(self._now())}
        held = {"held_token": leased.lease_token, "joined": list(joined)}
        condition = f"{_IS_HELD} AND (#joined_filenames = :joined OR attribute_not_exists(#joined_filenames))"
        try:
            await self._end(leased.job, JobState.READY, condition=condition, values=held, changes=facts)
        except ConditionFailed:
            now = await self._table.get(job_key(leased.job.job_id))
            if now is None or now.get("lease_token") != leased.lease_token or "active_tenant" not in now:
                raise LeaseLost("the job belongs to another worker or is final") from None
            return False
        return True

    async def take_images_due(self, *, after_seconds: float) -> Job | None:
        return await self._ended.take_images_due(after_seconds=after_seconds)

    async def settle_images(self, job_id: str) -> None:
        await self._ended.settle_images(job_id)

    async def list_outdated(self, *, limit: int) -> list[Job]:
        return await self._ended.list_outdated(limit=limit)

    async def forget_file(self, job_id: str) -> None:
        await self._ended.forget_file(job_id)

    async def fail(self, leased: LeasedJob, *, reason: str, detail: str, keep_file_seconds: float = 0) -> None:
        facts: dict[str, Value] = {"failure_reason": reason, "failure_detail": detail}
        if keep_file_seconds > 0:
            kept_until = time_text(self._now() + timedelta(seconds=keep_file_seconds))
            facts |= {"file_kept_until": kept_until, "due_queue": KEPT, "due_at": kept_until}
        held = {"held_token": leased.lease_token}
        try:
            await self._end(leased.job, JobState.FAILED, condition=_IS_HELD, values=held, changes=facts)
        except ConditionFailed:
            raise LeaseLost("the job belongs to another worker or is final") from None

    async def release(self, leased: LeasedJob, *, pause_seconds: float) -> None:
        now = self._now()
        due_at = time_text(now + timedelta(seconds=pause_seconds))
        await self._change(
            leased, {"job_state": JobState.QUEUED, "due_at": due_at, "update_time": time_text(now), **_FREED}
        )

    async def join(self, job_id: str, filename: str) -> bool:
        write = Write(
            job_key(job_id),
            update="SET #joined_filenames = list_append(if_not_exists(#joined_filenames, :none), :new)",
            condition=f"{_IS_ACTIVE} AND #filename <> :name AND (attribute_not_exists(#joined_filenames) OR"
            " (NOT contains(#joined_filenames, :name) AND size(#joined_filenames) < :most))",
            values={"new": [filename], "none": [], "name": filename, "most": MAX_JOINED_FILENAMES},
        )
        try:
            await self._table.write(write)
        except ConditionFailed as error:
            found = error.found or {}
            names = [found.get("filename"), *found.get("joined_filenames", ())]
            return "active_tenant" in found and filename in names
        return True

    async def cancel(self, job_id: str) -> bool:
        async def attempt() -> bool:
            item = await self._table.get(job_key(job_id))
            if item is None or "active_tenant" not in item:
                return False
            held = item.get("lease_token") if item["held"] else None
            # Who holds it may go on for as long as its lease lasts, which it can renew no longer.
            kept: dict[str, Value] = {"held_until": item["due_at"], "lease_token": held} if held else {}
            condition = f"{_IS_ACTIVE} AND #due_at = :due_before"
            values = {"due_before": item["due_at"]}
            await self._end(job_of(item), JobState.CANCELLED, condition=condition, values=values, changes=kept)
            return True

        return await self._table.until_it_holds(attempt)

    async def let_go(self, leased: LeasedJob) -> None:
        update, _ = assignments({"held_until": None, "lease_token": None})
        condition = "#lease_token = :held_token AND attribute_exists(#held_until)"
        values = {"held_token": leased.lease_token}
        with suppress(ConditionFailed):
            await self._table.write(
                Write(job_key(leased.job.job_id), update=update, condition=condition, values=values)
            )

    async def is_held(self, tenant: str, job_id: str) -> bool:
        item = await self._table.get(job_key(job_id))
        if item is None or item["tenant"] != tenant:
            return False
        held_until = item.get("held_until") or (item["due_at"] if item["held"] and "due_at" in item else "")
        return bool(held_until > time_text(self._now()))

    async def requeue(self, tenant: str, job_id: str) -> Job | None:
        async def attempt() -> Job | None:
            now = self._now()
            item = await self._table.get(job_key(job_id))
            kept_until = item.get("file_kept_until", "") if item is not None and item["tenant"] == tenant else ""
            if item is None or kept_until <= time_text(now) or item["job_state"] != JobState.FAILED:
                return None
            if await self.find_active(tenant, item["document_id"]) is not None:
                return None
            changes: dict[str, Value] = {
                "job_state": JobState.QUEUED,
                "failure_reason": "",
                "failure_detail": "",
                "attempt_count": 0,
                "lost_lease_count": 0,
                "parsed_page_count": 0,
                "total_page_count": 0,
                "file_kept_until": None,
                "expires_at": None,
                "active_tenant": key_part(tenant),
                "due_queue": _DUE,
                "due_at": time_text(now),
                "update_time": time_text(now),
            }
            update, values = assignments(changes)
            condition = "#job_state = :failed AND #file_kept_until = :kept_until"
            values |= {"failed": JobState.FAILED, "kept_until": kept_until}
            active = active_key(tenant, item["document_id"])
            writes = [
                Write(job_key(job_id), update=update, condition=condition, values=values),
                Write(active, {"job_id": job_id}, condition="attribute_not_exists(#pk)"),
                self._counted(job_of(item), JobState.FAILED, datetime.fromtimestamp(item["expires_at"], UTC), -1),
            ]
            if item.get("request_id") is not None:
                writes.append(Write(request_key(tenant, item["request_id"]), {"job_id": job_id}))
            await self._table.transact(writes)
            return await self.get(tenant, job_id)

        return await self._table.until_it_holds(attempt)

    async def _change(self, leased: LeasedJob, changes: Mapping[str, Value]) -> None:
        update, values = assignments(changes)
        values["held_token"] = leased.lease_token
        try:
            await self._table.write(Write(job_key(leased.job.job_id), update=update, condition=_IS_HELD, values=values))
        except ConditionFailed:
            raise LeaseLost("the job belongs to another worker or is final") from None

    async def _end(
        self,
        job: Job,
        state: JobState,
        *,
        condition: str,
        values: Mapping[str, Value],
        changes: Mapping[str, Value],
    ) -> None:
        """Make the job final, and let its document and its request id go, in one step. Raises: ConditionFailed."""
        now = self._now()
        forgotten = now + self._keeps_for
        expires_at = epoch_seconds(forgotten)
        ended: dict[str, Value] = {"job_state": state, "update_time": time_text(now), "expires_at": expires_at}
        update, changed = assignments({**_FREED, **_NO_LONGER_ACTIVE, **ended, **changes})
        writes = [
            Write(job_key(job.job_id), update=update, condition=condition, values={**changed, **values}),
            Write(active_key(job.tenant, job.document_id)),
            self._counted(job, state, forgotten, 1),
        ]
        if job.request_id is not None:
            writes.append(
                Write(
                    request_key(job.tenant, job.request_id),
                    {"job_id": job.job_id, "expires_at": expires_at},
                )
            )
        await self._table.transact(writes)

    def _counted(self, job: Job, state: JobState, forgotten: datetime, by: int) -> Write:
        return Write(
            Key(f"COUNT#{key_part(job.tenant)}", f"{forgotten:%Y-%m-%d}#{ord(job.job_id[-1]) % _COUNT_SHARDS}"),
            update=f"SET #expires_at = :last ADD #{state} :one",
            values={"one": by, "last": epoch_seconds(forgotten + timedelta(days=1))},
        )

    async def get(self, tenant: str, job_id: str) -> Job | None:
        item = await self._table.get(job_key(job_id))
        return job_of(item) if item is not None and item["tenant"] == tenant else None

    async def find_by_request(self, tenant: str, request_id: str) -> Job | None:
        request = await self._table.get(request_key(tenant, request_id))
        return await self.get(tenant, request["job_id"]) if request is not None else None

    async def find_active(self, tenant: str, document_id: str) -> Job | None:
        active = await self._table.get(active_key(tenant, document_id))
        job = await self.get(tenant, active["job_id"]) if active is not None else None
        return job if job is not None and not job.state.is_final else None

    async def list_newest_first(self, tenant: str, page: PageRequest, *, state: JobState | None = None) -> list[Job]:
        condition, values = "#tenant_key = :tenant", {"tenant": key_part(tenant)}
        if page.before is not None:
            condition += " AND #newest < :before"
            values["before"] = f"{time_text(page.before[0])}#{page.before[1]}"
        entries = self._table.query(condition, values, index="newest", newest_first=True, page_size=page.size)
        items = self._table.read_again(entries, batch=page.size)
        found = await first(items, page.size, keep=lambda item: state is None or item["job_state"] == state)
        return [job_of(item) for item in found]

    async def count_by_state(self, tenant: str) -> Mapping[JobState, int]:
        counts: Counter[JobState] = Counter()
        tenant_key = key_part(tenant)
        async for counter in self._table.query("#pk = :pk", {"pk": f"COUNT#{tenant_key}"}):
            counts.update({state: counter[state] for state in FINAL_STATES if state in counter})
        async for entry in self._table.query("#active_tenant = :tenant", {"tenant": tenant_key}, index="active"):
            counts[JobState(entry["job_state"])] += 1
        return {state: count for state, count in counts.items() if count}

    async def is_reachable(self) -> bool:
        return await self._table.is_reachable()

    def _after(self, now: datetime, lease_seconds: float) -> str:
        return time_text(now + timedelta(seconds=lease_seconds + self._clock_skew_seconds))
