"""The query store in memory. It passes the behaviour suite of the real ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from services.sql.audit import MAX_REFUSED_EDITS, AuditEntry, AuditPage, AuditPosition, AuditScope, audit_page
from services.sql.errors import QueryStoreUnavailable
from services.sql.models import Owner, QueryPage, QueryPosition, QueryState, SqlQuery, sql_hash


@dataclass
class FakeQueryStore:
    """Keeps queries and audit rows in lists; its clock can be set."""

    run_lease: timedelta = timedelta(minutes=1)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    queries: dict[str, SqlQuery] = field(default_factory=dict)
    requests: dict[tuple[Owner, str], str] = field(default_factory=dict)
    log: list[AuditEntry] = field(default_factory=list)
    is_down: bool = False

    async def add(self, query: SqlQuery, *, request_id: str, keeps_for: timedelta) -> SqlQuery:
        self._settle()
        if request_id and (query.owner, request_id) in self.requests:
            return self.queries[self.requests[query.owner, request_id]]
        stored = self._add(query, keeps_for)
        if request_id:
            self.requests[query.owner, request_id] = query.id
        return stored

    async def add_begun(self, query: SqlQuery, *, note: str, keeps_for: timedelta) -> SqlQuery:
        self._settle()
        stored = self._add(query, keeps_for)
        now = stored.create_time
        approved = replace(stored, state=QueryState.APPROVED, decide_time=now)
        begun = replace(approved, state=QueryState.EXECUTING, execute_time=now)
        self.queries[query.id] = begun
        self._note("", stored, approved, note, at_time=now)
        self._note(query.owner.subject, approved, begun, "", at_time=now)
        return begun

    def _add(self, query: SqlQuery, keeps_for: timedelta) -> SqlQuery:
        now = self.now()
        # Two queries of one tick are told apart in the order they came.
        if self.queries:
            now = max(now, max(kept.create_time for kept in self.queries.values()) + timedelta(microseconds=1))
        stored = replace(query, state=QueryState.PENDING, create_time=now, expire_time=now + keeps_for)
        self.queries[query.id] = stored
        self._note(query.owner.subject, None, stored, "", at_time=now)
        return stored

    async def find_by_request(self, owner: Owner, request_id: str) -> SqlQuery | None:
        self._settle()
        query_id = self.requests.get((owner, request_id))
        return self.queries[query_id] if query_id else None

    async def get(self, owner: Owner, query_id: str) -> SqlQuery | None:
        self._settle()
        query = self.queries.get(query_id)
        return query if query is not None and query.owner == owner else None

    async def approve(self, owner: Owner, query_id: str, *, sql_hash: str) -> SqlQuery | None:
        return self._move(
            owner,
            query_id,
            {QueryState.PENDING},
            QueryState.APPROVED,
            "",
            sql_hash,
            decide_time=self.now(),
            state_reason="",
        )

    async def reject(self, owner: Owner, query_id: str, *, note: str) -> SqlQuery | None:
        return self._move(
            owner,
            query_id,
            {QueryState.PENDING, QueryState.APPROVED},
            QueryState.REJECTED,
            note,
            decide_time=self.now(),
            state_reason="REJECTED",
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
        return self._move(
            owner,
            query_id,
            {QueryState.PENDING},
            QueryState.PENDING,
            "EDITED",
            old_hash,
            sql=sql,
            sql_hash=sql_hash(sql),
            explanation=explanation,
            tables=tuple(tables),
            plan_cost=plan_cost,
            state_reason="EDITED",
        )

    async def tell_refused_edit(self, owner: Owner, query_id: str, *, sql: str, note: str) -> SqlQuery | None:
        query = await self.get(owner, query_id)
        if query is None or query.state is not QueryState.PENDING or query.refused_edits == MAX_REFUSED_EDITS:
            return None
        moved = self.queries[query_id] = replace(query, refused_edits=query.refused_edits + 1)
        self._note(owner.subject, query, moved, note, refused_sql=sql)
        return moved

    async def begin_run(self, owner: Owner, query_id: str, *, sql_hash: str) -> SqlQuery | None:
        return self._move(
            owner, query_id, {QueryState.APPROVED}, QueryState.EXECUTING, "", sql_hash, execute_time=self.now()
        )

    async def finish_run(self, owner: Owner, query_id: str, *, row_count: int) -> SqlQuery | None:
        return self._move(
            owner, query_id, {QueryState.EXECUTING}, QueryState.EXECUTED, "", settle=False, row_count=row_count
        )

    async def fail_run(self, owner: Owner, query_id: str, *, reason: str) -> SqlQuery | None:
        return self._move(
            owner, query_id, {QueryState.EXECUTING}, QueryState.FAILED, reason, settle=False, state_reason=reason
        )

    async def page(
        self, owner: Owner, *, state: QueryState | None, after: QueryPosition | None, limit: int
    ) -> QueryPage:
        self._settle()
        queries = sorted(
            (
                query
                for query in self.queries.values()
                if query.owner == owner
                and (state is None or query.state is state)
                and (after is None or (query.create_time, query.id) < (after.create_time, after.id))
            ),
            key=lambda query: (query.create_time, query.id),
            reverse=True,
        )
        kept = tuple(queries[:limit])
        more = len(queries) > limit
        return QueryPage(kept, QueryPosition(kept[-1].create_time, kept[-1].id) if more else None)

    async def audit(self, scope: AuditScope, *, after: AuditPosition | None, limit: int) -> AuditPage:
        self._settle()
        place = (after.at_time, after.query_id, after.number) if after else None
        entries = sorted(
            (
                entry
                for entry in self.log
                if entry.owner.tenant == scope.tenant
                and scope.owner in (None, entry.owner.subject)
                and scope.query_id in (None, entry.query_id)
                and (scope.start_time is None or entry.at_time >= scope.start_time)
                and (scope.end_time is None or entry.at_time < scope.end_time)
                and (place is None or (entry.at_time, entry.query_id, entry.number) < place)
            ),
            key=lambda entry: (entry.at_time, entry.query_id, entry.number),
            reverse=True,
        )
        return audit_page(tuple(entries), limit)

    async def count_by_state(self, tenant: str) -> dict[QueryState, int]:
        self._settle()
        states = [query.state for query in self.queries.values() if query.owner.tenant == tenant]
        return {state: states.count(state) for state in dict.fromkeys(states)}

    async def is_reachable(self) -> bool:
        return not self.is_down

    def _move(
        self,
        owner: Owner,
        query_id: str,
        from_states: set[QueryState],
        to_state: QueryState,
        note: str,
        expected_hash: str | None = None,
        *,
        settle: bool = True,
        **changes: object,
    ) -> SqlQuery | None:
        if settle:
            self._settle()
        elif self.is_down:
            raise QueryStoreUnavailable
        query = self.queries.get(query_id)
        if query is None or query.owner != owner or query.state not in from_states:
            return None
        if expected_hash is not None and query.sql_hash != expected_hash:
            return None
        moved = replace(query, state=to_state, **changes)  # type: ignore[arg-type]
        self.queries[query_id] = moved
        at_time = moved.execute_time if to_state is QueryState.EXECUTING else self.now()
        if to_state in (QueryState.APPROVED, QueryState.REJECTED):
            at_time = moved.decide_time
        self._note(owner.subject, query, moved, note, at_time=at_time)
        return moved

    def _settle(self) -> None:
        if self.is_down:
            raise QueryStoreUnavailable
        now = self.now()
        for query in list(self.queries.values()):
            if query.state in (QueryState.PENDING, QueryState.APPROVED) and query.expire_time <= now:
                to_state, reason = QueryState.EXPIRED, "EXPIRED"
            elif query.state is QueryState.EXECUTING and (query.execute_time or now) <= now - self.run_lease:
                to_state, reason = QueryState.FAILED, "OUTCOME_UNKNOWN"
            else:
                continue
            self.queries[query.id] = replace(query, state=to_state, state_reason=reason)
            self._note("", query, self.queries[query.id], reason)

    def _note(
        self,
        subject: str,
        before: SqlQuery | None,
        after: SqlQuery,
        note: str,
        *,
        at_time: datetime | None = None,
        refused_sql: str = "",
    ) -> None:
        brings_text = before is None or before.sql_hash != after.sql_hash
        self.log.append(
            AuditEntry(
                query_id=after.id,
                owner=after.owner,
                number=len(self.log) + 1,
                subject=subject,
                from_state=before.state if before is not None else None,
                to_state=after.state,
                at_time=at_time or self.now(),
                sql_hash=after.sql_hash,
                previous_sql_hash=before.sql_hash if before is not None and brings_text else "",
                sql=after.sql if brings_text else "",
                note=note,
                refused_sql=refused_sql,
            )
        )
