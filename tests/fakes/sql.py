"""In-memory stand-ins for sql's ports. They pass the behaviour suites of the real adapters."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.sql.errors import DatabaseUnavailable, QueryStoreUnavailable, SqlError
from services.sql.fingerprints import schema_fingerprint, structure_digest
from services.sql.guidance import NO_GUIDANCE, Guidance
from services.sql.models import (
    Assessment,
    Column,
    ColumnKind,
    ForeignKey,
    NoDraft,
    Plan,
    ResultColumn,
    ResultTable,
    Schema,
    SqlDraft,
    Table,
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
