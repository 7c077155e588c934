"""Queries and their audit log in DynamoDB, in the table `{prefix}-queries`.

    QUERY#{tenant}#{query_id} / QUERY              the query
    QUERY#{tenant}#{query_id} / AUDIT#{number}     its transitions, in order
    REQUEST#{tenant}#{subject}#{request_id}        which query the owner's request id stands for
    COUNT#{tenant} / {day}#{shard}                 how many queries are in each state, by the day they are forgotten

A transition reads the query, looks whether it stands where the transition starts, and writes the query, its audit row
and the counters in one transaction on condition that the query is as it was read (`revision`). Of any number of callers
one writes; the others read again and find the state gone.

DynamoDB has no clock of its own, so time is that of the process: expiry is as exact as clocks agree, and a run counts
as dead when its lease has run out by the reader's clock, so a lease should exceed the longest run by more than clocks
may differ. What time alone decides is judged at every read of a query, and written with its audit row. Before lists and
counts the tenant's overdue queries are written down, at most SETTLED_AT_ONCE at a time: a larger backlog is listed
rightly but counted as it was. Lists come from an index and may lag behind by a moment; what they show is read again.

A query is forgotten, with its audit rows, `keeps_ended` after its `expire_time`, at the end of that day.

Costs, in write and read units for a query of up to 1 KB, N for one of N KB: add 2N + 4, 2 more with a request id, and 3
for indexes; add_begun 2N + 8 and 3; a transition N/4 reads, 2N + 4 and up to 4 for indexes; get N/4 reads;
find_by_request 1 more; a page one read for the index and N/4 for each query; count_by_state one read for each 4 KB of
counters, at about 100 bytes each.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from services.sql.errors import QueryStoreUnavailable
from services.sql.models import Owner, QueryPage, QueryPosition, QueryState, SqlQuery, sql_hash
from services.storage.dynamodb import ConditionFailed, DynamoTable
from services.storage.dynamodb_items import (
    Item,
    Key,
    Value,
    Write,
    epoch_seconds,
    key_part,
    time_from,
    time_text,
    utc_now,
)

SETTLED_AT_ONCE = 200
_SETTLED_TOGETHER = 8
_COUNT_SHARDS = 4  # so that queries that move at the same time seldom wait for each other
_UNDECIDED = (QueryState.PENDING, QueryState.APPROVED)

Guard = Callable[[SqlQuery], bool]
Change = Callable[[SqlQuery, datetime], SqlQuery]


@dataclass(frozen=True)
class _Record:
    """A query as it is kept: with the number of its audit rows, and a `revision` that each write renews."""

    query: SqlQuery
    audit_count: int
    revision: str


@dataclass(frozen=True)
class _Step:
    """A transition for the audit log. `subject` is empty where time made it."""

    subject: str
    before: str
    after: SqlQuery
    note: str


class DynamoQueryStore:
    """QueryStore in one table of DynamoDB. A run that has not ended after `run_lease` is taken for dead."""

    def __init__(
        self,
        table: DynamoTable,
        *,
        run_lease: timedelta,
        keeps_ended: timedelta = timedelta(days=90),
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._table = table
        self._run_lease = run_lease
        self._keeps_ended = keeps_ended
        self._now = now

    async def add(self, query: SqlQuery, *, request_id: str, keeps_for: timedelta) -> SqlQuery:
        """See the port."""
        now = self._now()
        added = replace(query, state=QueryState.PENDING, create_time=now, expire_time=now + keeps_for)
        writes = self._first_writes(added, [_Step(query.owner.subject, "", added, "")], now)
        if not request_id:
            await self._table.transact(writes)
            return added
        request = Write(
            _request_key(query.owner, request_id),
            {"query_id": query.id, "expires_at": self._forgotten_at(added)},
            condition="attribute_not_exists(#pk) OR #expires_at <= :today",
            values={"today": epoch_seconds(now)},
        )
        try:
            await self._table.transact([*writes, request])
        except ConditionFailed:
            earlier = await self.find_by_request(query.owner, request_id)
            if earlier is None:  # Forgotten between the two calls.
                raise QueryStoreUnavailable from None
            return earlier
        return added

    async def add_begun(self, query: SqlQuery, *, note: str, keeps_for: timedelta) -> SqlQuery:
        """See the port."""
        now, subject = self._now(), query.owner.subject
        pending = replace(query, state=QueryState.PENDING, create_time=now, expire_time=now + keeps_for)
        approved = replace(pending, state=QueryState.APPROVED, decide_time=now)
        begun = replace(approved, state=QueryState.EXECUTING, execute_time=now)
        steps = [
            _Step(subject, "", pending, ""),
            _Step(subject, pending.state, approved, note),
            _Step(subject, approved.state, begun, ""),
        ]
        await self._table.transact(self._first_writes(begun, steps, now))
        return begun

    async def find_by_request(self, owner: Owner, request_id: str) -> SqlQuery | None:
        """See the port."""
        request = await self._table.get(_request_key(owner, request_id))
        return await self.get(owner, request["query_id"]) if request is not None else None

    async def get(self, owner: Owner, query_id: str) -> SqlQuery | None:
        """See the port."""
        query = await self._settled(_query_key(owner.tenant, query_id))
        return query if query is not None and query.owner == owner else None

    async def approve(self, owner: Owner, query_id: str, *, sql_hash: str, note: str) -> SqlQuery | None:
        """See the port."""
        return await self._move(
            owner,
            query_id,
            lambda query: query.state is QueryState.PENDING and query.sql_hash == sql_hash,
            lambda query, now: replace(query, state=QueryState.APPROVED, decide_time=now),
            note,
        )

    async def reject(self, owner: Owner, query_id: str, *, note: str) -> SqlQuery | None:
        """See the port."""
        return await self._move(
            owner,
            query_id,
            lambda query: query.state in _UNDECIDED,
            lambda query, now: replace(query, state=QueryState.REJECTED, state_reason="REJECTED", decide_time=now),
            note,
        )

    async def edit(
        self, owner: Owner, query_id: str, *, old_hash: str, sql: str, explanation: str, tables: Sequence[str]
    ) -> SqlQuery | None:
        """See the port."""
        return await self._move(
            owner,
            query_id,
            lambda query: query.state is QueryState.PENDING and query.sql_hash == old_hash,
            lambda query, now: replace(
                query, sql=sql, sql_hash=sql_hash(sql), explanation=explanation, tables=tuple(tables)
            ),
            "EDITED",
        )

    async def begin_run(self, owner: Owner, query_id: str, *, sql_hash: str) -> SqlQuery | None:
        """See the port."""
        return await self._move(
            owner,
            query_id,
            lambda query: query.state is QueryState.APPROVED and query.sql_hash == sql_hash,
            lambda query, now: replace(query, state=QueryState.EXECUTING, execute_time=now),
        )

    async def finish_run(self, owner: Owner, query_id: str, *, row_count: int) -> SqlQuery | None:
        """See the port."""
        return await self._move(
            owner,
            query_id,
            lambda query: query.state is QueryState.EXECUTING,
            lambda query, now: replace(query, state=QueryState.EXECUTED, row_count=row_count),
        )

    async def fail_run(self, owner: Owner, query_id: str, *, reason: str) -> SqlQuery | None:
        """See the port."""
        return await self._move(
            owner,
            query_id,
            lambda query: query.state is QueryState.EXECUTING,
            lambda query, now: replace(query, state=QueryState.FAILED, state_reason=reason),
            reason,
        )

    async def page(
        self, owner: Owner, *, state: QueryState | None, after: QueryPosition | None, limit: int
    ) -> QueryPage:
        """See the port."""
        await self._settle_overdue(owner.tenant)
        if state is None:
            index, condition, partition = "newest", "#owner_key = :partition", _owner_key(owner)
        else:
            index, condition = "newest-by-state", "#owner_state = :partition"
            partition = _owner_state(owner, state)
        values: dict[str, Value] = {"partition": partition}
        if after is not None:
            condition += " AND #newest < :after"
            values["after"] = _newest(after.create_time, after.id)
        entries = self._table.query(condition, values, index=index, newest_first=True, page_size=limit + 1)
        queries: list[SqlQuery] = []
        async with aclosing(self._table.read_again(entries, limit=limit + 1)) as items:
            async for item in items:
                query = await self._settled_record(_record(item))
                if query is not None and state in (None, query.state):
                    queries.append(query)
        # What the index showed in a state it has left is not in the page, which is shorter then.
        shown = tuple(queries[:limit])
        return QueryPage(shown, QueryPosition(shown[-1].create_time, shown[-1].id) if len(queries) > limit else None)

    async def count_by_state(self, tenant: str) -> dict[QueryState, int]:
        """See the port."""
        await self._settle_overdue(tenant)
        counts: Counter[QueryState] = Counter()
        async for counter in self._table.query("#pk = :pk", {"pk": f"COUNT#{key_part(tenant)}"}):
            counts.update({state: counter.get(state, 0) for state in QueryState})
        return dict(+counts)

    async def is_reachable(self) -> bool:
        """See the port."""
        return await self._table.is_reachable()

    async def _move(self, owner: Owner, query_id: str, guard: Guard, change: Change, note: str = "") -> SqlQuery | None:
        """Make a transition; the query after it, or None when it did not stand where the transition starts."""

        async def attempt() -> SqlQuery | None:
            record = await self._read(_query_key(owner.tenant, query_id))
            if record is None or record.query.owner != owner or not guard(record.query):
                return None
            if self._overdue(record.query) is not None:
                return None  # written down by whoever reads it next
            moved = change(record.query, self._now())
            await self._write(record, moved, subject=owner.subject, note=note)
            return moved

        return await self._table.until_it_holds(attempt)

    async def _settled(self, key: Key) -> SqlQuery | None:
        record = await self._read(key)
        return await self._settled_record(record) if record is not None else None

    async def _settled_record(self, record: _Record) -> SqlQuery | None:
        """The query after what time alone has decided has been written down."""
        settled = self._overdue(record.query)
        if settled is None:
            return record.query
        try:
            await self._write(record, settled, subject="", note=settled.state_reason)
        except ConditionFailed:  # Somebody else has moved it on.
            return await self._settled(_query_key(record.query.owner.tenant, record.query.id))
        return settled

    async def _settle_overdue(self, tenant: str) -> None:
        condition = "#unsettled_tenant = :tenant AND #settle_at <= :now"
        values = {"tenant": key_part(tenant), "now": time_text(self._now())}
        entries = self._table.query(condition, values, index="unsettled", page_size=SETTLED_AT_ONCE)
        records = [_record(item) async for item in self._table.read_again(entries, limit=SETTLED_AT_ONCE)]
        for start in range(0, len(records), _SETTLED_TOGETHER):
            await asyncio.gather(*map(self._settled_record, records[start : start + _SETTLED_TOGETHER]))

    def _overdue(self, query: SqlQuery) -> SqlQuery | None:
        """What time has made of the query; None when it is in time."""
        now = self._now()
        if query.state in _UNDECIDED and query.expire_time <= now:
            return replace(query, state=QueryState.EXPIRED, state_reason="EXPIRED")
        if query.state is QueryState.EXECUTING and _begun(query) + self._run_lease <= now:
            return replace(query, state=QueryState.FAILED, state_reason="OUTCOME_UNKNOWN")
        return None

    async def _read(self, key: Key) -> _Record | None:
        item = await self._table.get(key)
        return _record(item) if item is not None else None

    async def _write(self, record: _Record, moved: SqlQuery, *, subject: str, note: str) -> None:
        """Raises: ConditionFailed: the query is no longer as it was read."""
        before = record.query
        step = _Step(subject, before.state, moved, note)
        writes = [
            Write(
                _query_key(moved.owner.tenant, moved.id),
                self._item(moved, record.audit_count + 1),
                condition="#revision = :revision",
                values={"revision": record.revision},
            ),
            self._audit(step, record.audit_count + 1, self._now()),
        ]
        if before.state is not moved.state:
            writes.append(self._counted(moved, {before.state: -1, moved.state: 1}))
        await self._table.transact(writes)

    def _first_writes(self, query: SqlQuery, steps: Sequence[_Step], now: datetime) -> list[Write]:
        key = _query_key(query.owner.tenant, query.id)
        return [
            Write(key, self._item(query, len(steps)), condition="attribute_not_exists(#pk)"),
            *(self._audit(step, number, now) for number, step in enumerate(steps, start=1)),
            self._counted(query, {query.state: 1}),
        ]

    def _audit(self, step: _Step, number: int, now: datetime) -> Write:
        query = step.after
        row: dict[str, Value] = {
            "query_id": query.id,
            "tenant": query.owner.tenant,
            "subject": step.subject,
            "from_state": step.before,
            "to_state": query.state,
            "sql_hash": query.sql_hash,
            "note": step.note,
            "at_time": time_text(now),
            "expires_at": self._forgotten_at(query),
        }
        # Numbered after the query's revision, so it cannot be there: a row of the log is never written over.
        key = Key(_query_key(query.owner.tenant, query.id).partition, f"AUDIT#{number:06}")
        return Write(key, row, condition="attribute_not_exists(#pk)")

    def _counted(self, query: SqlQuery, changes: Mapping[QueryState, int]) -> Write:
        day = f"{self._last_day(query):%Y-%m-%d}"
        return Write(
            Key(f"COUNT#{key_part(query.owner.tenant)}", f"{day}#{ord(query.id[-1]) % _COUNT_SHARDS}"),
            update="SET #expires_at = :expires_at ADD " + ", ".join(f"#{state} :{state}" for state in changes),
            values={"expires_at": self._forgotten_at(query), **{str(state): by for state, by in changes.items()}},
        )

    def _item(self, query: SqlQuery, audit_count: int) -> dict[str, Value]:
        item: dict[str, Value] = {
            "query_id": query.id,
            "tenant": query.owner.tenant,
            "owner_subject": query.owner.subject,
            **{name: getattr(query, name) for name in _FIELDS},
            "tables": list(query.tables),
            "query_state": query.state,
            **{name: time_text(time) for name in _TIMES if (time := getattr(query, name)) is not None},
            "audit_count": audit_count,
            "revision": uuid4().hex,
            "expires_at": self._forgotten_at(query),
            "owner_key": _owner_key(query.owner),
            "owner_state": _owner_state(query.owner, query.state),
            "newest": _newest(query.create_time, query.id),
        }
        settle_time = query.expire_time if query.state in _UNDECIDED else None
        if query.state is QueryState.EXECUTING:
            settle_time = _begun(query) + self._run_lease
        if settle_time is not None:
            item["unsettled_tenant"] = key_part(query.owner.tenant)
            item["settle_at"] = time_text(settle_time)
        return item

    def _last_day(self, query: SqlQuery) -> datetime:
        return query.expire_time + self._keeps_ended

    def _forgotten_at(self, query: SqlQuery) -> int:
        """The end of the last day, when the day's counters go too: what is counted is there."""
        last_day = self._last_day(query).replace(hour=0, minute=0, second=0, microsecond=0)
        return epoch_seconds(last_day + timedelta(days=1))


def _begun(query: SqlQuery) -> datetime:
    return query.execute_time or query.create_time


def _query_key(tenant: str, query_id: str) -> Key:
    return Key(f"QUERY#{key_part(tenant)}#{query_id}", "QUERY")


def _request_key(owner: Owner, request_id: str) -> Key:
    return Key(f"REQUEST#{_owner_key(owner)}#{request_id}", "REQUEST")


def _owner_key(owner: Owner) -> str:
    return f"{key_part(owner.tenant)}#{key_part(owner.subject)}"


def _owner_state(owner: Owner, state: QueryState) -> str:
    return f"{_owner_key(owner)}#{state}"


def _newest(create_time: datetime, query_id: str) -> str:
    return f"{time_text(create_time)}#{query_id}"


_FIELDS = ("question", "sql", "sql_hash", "explanation", "confidence", "state_reason", "row_count")
_TIMES = ("create_time", "expire_time", "decide_time", "execute_time")


def _record(item: Item) -> _Record:
    facts: dict[str, Any] = {name: item[name] for name in _FIELDS}
    times: dict[str, Any] = {name: time_from(item[name]) for name in _TIMES if name in item}
    query = SqlQuery(
        id=item["query_id"],
        owner=Owner(item["tenant"], item["owner_subject"]),
        state=QueryState(item["query_state"]),
        tables=tuple(item["tables"]),
        **{**facts, "confidence": float(item["confidence"])},
        **times,
    )
    return _Record(query, item["audit_count"], item["revision"])
