"""Queries and their audit log in DynamoDB, in the table `{prefix}-queries`.

    QUERY#{tenant}#{query_id} / QUERY              the query
    QUERY#{tenant}#{query_id} / AUDIT#{number}     its transitions, in order, each with the text that it brought
    REQUEST#{tenant}#{subject}#{request_id}        which query the owner's request id stands for
    COUNT#{tenant} / {expires_at}#{shard}          how many queries are in each state, by the day they are forgotten

A transition reads the query, looks whether it stands where the transition starts, and writes the query, its audit row
and the counters in one transaction on condition that the query is as it was read (`revision`). Of any number of callers
one writes; the others read again and find the state gone.

DynamoDB has no clock of its own, so time is that of the process: expiry is as exact as clocks agree, and a run counts
as dead when its lease has run out by the reader's clock, so a lease should exceed the longest run by more than clocks
may differ. What time alone decides is judged at every read of a query, and written with its audit row. Before lists and
counts the tenant's overdue queries are written down, at most SETTLED_AT_ONCE at a time: a larger backlog is listed
rightly but counted as it was. Lists come from an index and may lag behind by a moment; what they show is read again.

A query is forgotten, with its audit rows, `keeps_ended` after its `expire_time`, at the end of that day.

Costs, in write and read units for a query of up to 1 KB, N for one of N KB: add 4N + 2, 2 more with a request id, and 5
for indexes; add_begun 4N + 6 and 9; a transition N/4 reads, 2N + 4 (an edit 4N + 2) and up to 6 for indexes; get N/4
reads; find_by_request 1 more; a page one read for the index and N/4 for each query; a page of the audit log one read
for the index and N/4 for each step; count_by_state one read for each 4 KB of counters, at about 100 bytes each.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta

from services.sql.adapters.dynamodb_audit import steps_of_many, steps_of_query
from services.sql.adapters.dynamodb_query_items import (
    UNDECIDED,
    QueryItems,
    Record,
    Step,
    newest,
    owner_key,
    owner_state,
    query_key,
    read_record,
    request_key,
)
from services.sql.audit import MAX_REFUSED_EDITS, AuditEntry, AuditPage, AuditPosition, AuditScope, audit_page
from services.sql.errors import QueryStoreUnavailable
from services.sql.models import Owner, QueryPage, QueryPosition, QueryState, SqlQuery, WaitReason, sql_hash
from services.storage.dynamodb import ConditionFailed, DynamoTable, first
from services.storage.dynamodb_items import Key, Value, Write, epoch_seconds, key_part, time_text, utc_now

SETTLED_AT_ONCE = 200
_SETTLED_TOGETHER = 8

Guard = Callable[[SqlQuery], bool]
Change = Callable[[SqlQuery, datetime], SqlQuery]


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
        self._items = QueryItems(run_lease=run_lease, keeps_ended=keeps_ended)
        self._now = now

    async def add(self, query: SqlQuery, *, request_id: str, keeps_for: timedelta) -> SqlQuery:
        """See the port."""
        now = self._now()
        added = replace(query, state=QueryState.PENDING, create_time=now, expire_time=now + keeps_for)
        writes = self._items.first_writes(added, [Step(query.owner.subject, "", added, "")], now)
        if not request_id:
            await self._table.transact(writes)
            return added
        request = Write(
            request_key(query.owner, request_id),
            {"query_id": query.id, "expires_at": self._items.forgotten_at(added)},
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
            Step(subject, "", pending, ""),
            Step("", pending.state, approved, note),
            Step(subject, approved.state, begun, ""),
        ]
        await self._table.transact(self._items.first_writes(begun, steps, now))
        return begun

    async def find_by_request(self, owner: Owner, request_id: str) -> SqlQuery | None:
        """See the port."""
        request = await self._table.get(request_key(owner, request_id))
        return await self.get(owner, request["query_id"]) if request is not None else None

    async def get(self, owner: Owner, query_id: str) -> SqlQuery | None:
        """See the port."""
        query = await self._settled(query_key(owner.tenant, query_id))
        return query if query is not None and query.owner == owner else None

    async def approve(self, owner: Owner, query_id: str, *, sql_hash: str) -> SqlQuery | None:
        """See the port."""
        return await self._move(
            owner,
            query_id,
            lambda query: query.state is QueryState.PENDING and query.sql_hash == sql_hash,
            lambda query, now: replace(query, state=QueryState.APPROVED, state_reason="", decide_time=now),
        )

    async def reject(self, owner: Owner, query_id: str, *, note: str) -> SqlQuery | None:
        """See the port."""
        return await self._move(
            owner,
            query_id,
            lambda query: query.state in UNDECIDED,
            lambda query, now: replace(query, state=QueryState.REJECTED, state_reason="REJECTED", decide_time=now),
            note,
        )

    async def edit(
        self,
        owner: Owner,
        query_id: str,
        *,
        old_hash: str,
        sql: str,
        explanation: str,
        tables: Sequence[str],
        plan_cost: float | None = None,
    ) -> SqlQuery | None:
        """See the port."""
        return await self._move(
            owner,
            query_id,
            lambda query: query.state is QueryState.PENDING and query.sql_hash == old_hash,
            lambda query, now: replace(
                query,
                sql=sql,
                sql_hash=sql_hash(sql),
                explanation=explanation,
                tables=tuple(tables),
                plan_cost=plan_cost,
                state_reason=WaitReason.EDITED,
            ),
            WaitReason.EDITED,
        )

    async def tell_refused_edit(self, owner: Owner, query_id: str, *, sql: str, note: str) -> SqlQuery | None:
        """See the port."""
        return await self._move(
            owner,
            query_id,
            lambda query: query.state is QueryState.PENDING and query.refused_edits < MAX_REFUSED_EDITS,
            lambda query, now: replace(query, refused_edits=query.refused_edits + 1),
            note,
            refused_sql=sql,
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
            index, condition, partition = "newest", "#owner_key = :partition", owner_key(owner)
        else:
            index, condition = "newest-by-state", "#owner_state = :partition"
            partition = owner_state(owner, state)
        values: dict[str, Value] = {"partition": partition}
        if after is not None:
            condition += " AND #newest < :after"
            values["after"] = newest(after.create_time, after.id)
        entries = self._table.query(condition, values, index=index, newest_first=True, page_size=limit + 1)
        queries: list[SqlQuery] = []
        async with aclosing(self._table.read_again(entries, batch=limit + 1)) as items:
            async for item in items:
                query = await self._settled_record(read_record(item))
                # The index may show a query in a state that it has left.
                if query is not None and state in (None, query.state):
                    queries.append(query)
                if len(queries) > limit:
                    break
        shown = tuple(queries[:limit])
        return QueryPage(shown, QueryPosition(shown[-1].create_time, shown[-1].id) if len(queries) > limit else None)

    async def audit(self, scope: AuditScope, *, after: AuditPosition | None, limit: int) -> AuditPage:
        """See the port."""
        if scope.query_id is None:
            await self._settle_overdue(scope.tenant)
            entries = steps_of_many(self._table, scope, after, limit)
        else:
            query = await self._settled(query_key(scope.tenant, scope.query_id))
            if query is None or scope.owner not in (None, query.owner.subject):
                return AuditPage((), None)
            entries = steps_of_query(self._table, query, scope, after, limit)
        found: list[AuditEntry] = []
        async with aclosing(entries):
            async for entry in entries:
                found.append(entry)
                if len(found) > limit:
                    break
        return audit_page(tuple(found), limit)

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

    async def _move(
        self, owner: Owner, query_id: str, guard: Guard, change: Change, note: str = "", *, refused_sql: str = ""
    ) -> SqlQuery | None:
        """Make a transition; the query after it, or None when it did not stand where the transition starts."""

        async def attempt() -> SqlQuery | None:
            record = await self._read(query_key(owner.tenant, query_id))
            if record is None or record.query.owner != owner or not guard(record.query):
                return None
            now = self._now()
            if self._items.overdue(record.query, now) is not None:
                return None  # written down by whoever reads it next
            moved = change(record.query, now)
            await self._write(record, moved, now, subject=owner.subject, note=note, refused_sql=refused_sql)
            return moved

        return await self._table.until_it_holds(attempt)

    async def _settled(self, key: Key) -> SqlQuery | None:
        record = await self._read(key)
        return await self._settled_record(record) if record is not None else None

    async def _settled_record(self, record: Record) -> SqlQuery | None:
        """The query after what time alone has decided has been written down."""
        now = self._now()
        settled = self._items.overdue(record.query, now)
        if settled is None:
            return record.query
        try:
            await self._write(record, settled, now, subject="", note=settled.state_reason)
        except ConditionFailed:  # Somebody else has moved it on.
            return await self._settled(query_key(record.query.owner.tenant, record.query.id))
        return settled

    async def _settle_overdue(self, tenant: str) -> None:
        condition = "#unsettled_tenant = :tenant AND #settle_at <= :now"
        values = {"tenant": key_part(tenant), "now": time_text(self._now())}
        entries = self._table.query(condition, values, index="unsettled", page_size=SETTLED_AT_ONCE)
        items = await first(
            self._table.read_again(entries, batch=SETTLED_AT_ONCE),
            SETTLED_AT_ONCE,
            keep=lambda item: "unsettled_tenant" in item,
        )
        records = list(map(read_record, items))
        for start in range(0, len(records), _SETTLED_TOGETHER):
            await asyncio.gather(*map(self._settled_record, records[start : start + _SETTLED_TOGETHER]))

    async def _read(self, key: Key) -> Record | None:
        item = await self._table.get(key)
        return read_record(item) if item is not None else None

    async def _write(
        self, record: Record, moved: SqlQuery, now: datetime, *, subject: str, note: str, refused_sql: str = ""
    ) -> None:
        """Raises: ConditionFailed: the query is no longer as it was read."""
        before = record.query
        replaced_hash = before.sql_hash if moved.sql_hash != before.sql_hash else ""
        step = Step(subject, before.state, moved, note, replaced_hash, refused_sql)
        await self._table.transact(self._items.next_writes(record, step, now))
