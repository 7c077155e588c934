"""In-memory stand-ins for sql's ports. They pass the behaviour suites of the real adapters."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from services.sql.errors import DatabaseUnavailable, ExamplesUnavailable, QueryStoreUnavailable, SqlError
from services.sql.fingerprints import schema_fingerprint, structure_digest
from services.sql.guidance import NO_GUIDANCE, Guidance
from services.sql.models import (
    Assessment,
    Column,
    ColumnKind,
    Example,
    ForeignKey,
    NoDraft,
    Owner,
    Plan,
    QueryPage,
    QueryPosition,
    QueryState,
    ResultColumn,
    ResultTable,
    Schema,
    SqlDraft,
    SqlQuery,
    Table,
    sql_hash,
)


def shop_schema() -> Schema:
    """A small shop: customers, orders, and a table whose names need quotes."""
    tables = (
        Table(
            "public",
            "Odd Names",
            (Column("Id", "int4", ColumnKind.INTEGER), Column("select", "text", ColumnKind.TEXT)),
        ),
        Table(
            "public",
            "customers",
            (
                Column("customer_id", "int4", ColumnKind.INTEGER, nullable=False),
                Column("name", "text", ColumnKind.TEXT, values=("Ada", "Bo"), values_complete=True),
                Column("segment", "text", ColumnKind.TEXT, values=("Basic", "Premium"), values_complete=True),
                Column("joined_on", "date", ColumnKind.DATE),
                Column("profile", "jsonb", ColumnKind.JSON),
            ),
            estimated_row_count=2,
            primary_key=("customer_id",),
        ),
        Table(
            "public",
            "orders",
            (
                Column("order_id", "int4", ColumnKind.INTEGER, nullable=False),
                Column("customer_id", "int4", ColumnKind.INTEGER),
                Column("status", "order_status", ColumnKind.TEXT),
                Column("total_amount", "numeric", ColumnKind.NUMBER),
                Column("placed_at", "timestamptz", ColumnKind.TIMESTAMP),
                Column("tags", "text[]", ColumnKind.ARRAY),
            ),
            primary_key=("order_id",),
            foreign_keys=(ForeignKey(("customer_id",), "public", "customers", ("customer_id",)),),
        ),
        Table("sales", "targets", (Column("year", "int4", ColumnKind.INTEGER), Column("goal", "numeric"))),
    )
    return Schema(tables, schema_fingerprint(tables), datetime(2026, 1, 2, tzinfo=UTC))


@dataclass
class FakeGenerator:
    """Gives what it was told to give, and remembers what it was asked.

    `repairs` are given in order where there are objections.
    """

    outcome: SqlDraft | NoDraft = field(
        default_factory=lambda: SqlDraft(
            "SELECT count(*) FROM customers", "Counts all customers.", 0.9, ("public.customers",)
        )
    )
    assessment: Assessment = field(default_factory=lambda: Assessment(0.8, "customers", ("public.customers",)))
    repairs: list[SqlDraft | NoDraft] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    guided: list[Guidance] = field(default_factory=list)
    name: str = "fake"
    can_repair: bool = True

    async def generate(self, question: str, schema: Schema, guidance: Guidance = NO_GUIDANCE) -> SqlDraft | NoDraft:
        self.asked.append(question)
        self.guided.append(guidance)
        return self.repairs.pop(0) if guidance.objections and self.repairs else self.outcome

    async def assess(
        self, questions: Sequence[str], schema: Schema, guidance: Guidance = NO_GUIDANCE
    ) -> list[Assessment]:
        self.asked.extend(questions)
        return [self.assessment for _ in questions]


@dataclass
class FakeExamples:
    """Examples in memory; nearness is the share of words that two questions have in common."""

    away: bool = False
    fault: Exception | None = None
    """Raised by every call: what no store should."""
    kept: dict[tuple[str, str], str] = field(default_factory=dict)
    kind: str = "memory"

    async def add(self, tenant: str, example: Example) -> None:
        self._refuse_when_away()
        self.kept[tenant, example.question] = example.sql

    async def similar(self, tenant: str, question: str, *, limit: int) -> list[Example]:
        self._refuse_when_away()
        words = set(question.lower().split())

        def nearness(known: str) -> float:
            others = set(known.lower().split())
            return len(words & others) / len(words | others)

        own = [Example(known, sql) for (of, known), sql in self.kept.items() if of == tenant]
        return sorted(own, key=lambda example: -nearness(example.question))[:limit]

    def _refuse_when_away(self) -> None:
        if self.fault is not None:
            raise self.fault
        if self.away:
            raise ExamplesUnavailable("approved examples cannot be reached")


@dataclass
class FakeBriefing:
    """Gives the same guidance for every question of a tenant."""

    guidance: dict[str, Guidance] = field(default_factory=dict)

    async def brief(self, tenant: str, question: str, schema: Schema) -> Guidance:
        return self.guidance.get(tenant, NO_GUIDANCE)


@dataclass
class FakeTarget:
    """Gives one row to every query, or raises; remembers what it ran and planned.

    `plan_errors` are raised in order by the first plans. `started` tells that a run has begun; `gate`, when there is
    one, holds it back until it is set.
    """

    result: ResultTable = field(default_factory=lambda: ResultTable((ResultColumn("count", "int8"),), ((2,),)))
    error: BaseException | None = None
    ran: list[str] = field(default_factory=list)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event | None = None
    cost: float = 10.0
    plan_errors: list[Exception] = field(default_factory=list)
    planned: list[str] = field(default_factory=list)

    async def plan(self, sql: str) -> Plan:
        self.planned.append(sql)
        if self.plan_errors:
            raise self.plan_errors.pop(0)
        if isinstance(self.error, DatabaseUnavailable):
            raise self.error
        return Plan(self.cost)

    async def run(self, sql: str) -> ResultTable:
        self.ran.append(sql)
        self.started.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.result

    async def is_reachable(self) -> bool:
        return not isinstance(self.error, DatabaseUnavailable)


@dataclass
class FakeSchemaReader:
    """Reads the schema it holds; counts what it was asked."""

    schema: Schema = field(default_factory=shop_schema)
    error: SqlError | None = None
    reads: int = 0
    digests: int = 0

    async def read(self) -> Schema:
        self.reads += 1
        if self.error is not None:
            raise self.error
        return self.schema

    async def structure_digest(self) -> str:
        self.digests += 1
        if self.error is not None:
            raise self.error
        return structure_digest(self.schema.tables)


@dataclass
class FakeSchemaStore:
    """Keeps schemas in a dictionary."""

    schemas: dict[str, Schema] = field(default_factory=dict)
    is_down: bool = False

    async def load(self, database: str) -> Schema | None:
        self._refuse_when_down()
        return self.schemas.get(database)

    async def save(self, database: str, schema: Schema) -> bool:
        self._refuse_when_down()
        before = self.schemas.get(database)
        self.schemas[database] = schema
        return before is None or before.fingerprint != schema.fingerprint

    def _refuse_when_down(self) -> None:
        if self.is_down:
            raise QueryStoreUnavailable


@dataclass
class FakeQueryStore:
    """Keeps queries and audit rows in lists; its clock can be set."""

    run_lease: timedelta = timedelta(minutes=1)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    queries: dict[str, SqlQuery] = field(default_factory=dict)
    requests: dict[tuple[Owner, str], str] = field(default_factory=dict)
    audit: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Query id, state before, state after, note."""
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
        begun = replace(stored, state=QueryState.EXECUTING, decide_time=now, execute_time=now)
        self.queries[query.id] = begun
        self.audit.append((query.id, QueryState.PENDING, QueryState.APPROVED, note))
        self.audit.append((query.id, QueryState.APPROVED, QueryState.EXECUTING, ""))
        return begun

    def _add(self, query: SqlQuery, keeps_for: timedelta) -> SqlQuery:
        now = self.now()
        # Two queries of one tick are told apart in the order they came.
        if self.queries:
            now = max(now, max(kept.create_time for kept in self.queries.values()) + timedelta(microseconds=1))
        stored = replace(query, state=QueryState.PENDING, create_time=now, expire_time=now + keeps_for)
        self.queries[query.id] = stored
        self.audit.append((query.id, "", QueryState.PENDING, ""))
        return stored

    async def find_by_request(self, owner: Owner, request_id: str) -> SqlQuery | None:
        self._settle()
        query_id = self.requests.get((owner, request_id))
        return self.queries[query_id] if query_id else None

    async def get(self, owner: Owner, query_id: str) -> SqlQuery | None:
        self._settle()
        query = self.queries.get(query_id)
        return query if query is not None and query.owner == owner else None

    async def approve(self, owner: Owner, query_id: str, *, sql_hash: str, note: str) -> SqlQuery | None:
        return self._move(
            owner, query_id, {QueryState.PENDING}, QueryState.APPROVED, note, sql_hash, decide_time=self.now()
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
        self, owner: Owner, query_id: str, *, old_hash: str, sql: str, explanation: str, tables: Sequence[str]
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
        )

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
        self.queries[query_id] = replace(query, state=to_state, **changes)  # type: ignore[arg-type]
        self.audit.append((query_id, query.state, to_state, note))
        return self.queries[query_id]

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
            self.audit.append((query.id, query.state, to_state, reason))
