"""What the sql service speaks of: the schema of a database, drafts, queries on their way to a run, and rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ColumnKind(StrEnum):
    """What a column's values are like, whatever PostgreSQL calls their type."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"  # numeric, real, double precision, money
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"  # with or without time zone
    TIME = "time"
    INTERVAL = "interval"
    JSON = "json"
    BINARY = "binary"
    ARRAY = "array"
    OTHER = "other"


class TableKind(StrEnum):
    """A partitioned table counts as a table, a materialized view as a view."""

    TABLE = "table"
    VIEW = "view"


@dataclass(frozen=True)
class Column:
    """One column that questions can reach.

    `type` is PostgreSQL's name of the type ("int4", "numeric", "text", "timestamptz", an enum's name).
    `sample_values` are for people: the most frequent first, at most 20. `values` are for linking words to data:
    distinct texts of text and enum columns of low or medium cardinality, at most 1,000 of at most 100 characters each,
    sorted; `values_complete` says that no other value occurred when they were read. `distinct_estimate` is None where
    the database has no estimate. `min_value` and `max_value` are set for numbers, dates and times, as text.
    """

    name: str
    type: str
    kind: ColumnKind = ColumnKind.OTHER
    comment: str = ""
    nullable: bool = True
    sample_values: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    values_complete: bool = False
    distinct_estimate: int | None = None
    min_value: str | None = None
    max_value: str | None = None


@dataclass(frozen=True)
class ForeignKey:
    """Columns of one table that point to columns of another, pairwise in order."""

    columns: tuple[str, ...]
    referenced_schema: str
    referenced_table: str
    referenced_columns: tuple[str, ...]

    @property
    def referenced_name(self) -> str:
        """The other table, `schema.table`."""
        return f"{self.referenced_schema}.{self.referenced_table}"


@dataclass(frozen=True)
class Table:
    """One table or view that questions can reach; its columns in the database's order."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    comment: str = ""
    kind: TableKind = TableKind.TABLE
    estimated_row_count: int = -1  # -1: the database has no estimate
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    has_hidden_columns: bool = False  # whether it has, or could get, columns that are not among `columns`

    @property
    def full_name(self) -> str:
        """`schema.table`, unquoted: a name for people and for keys, not for SQL."""
        return f"{self.schema}.{self.name}"

    def column(self, name: str) -> Column | None:
        """The column of exactly this name."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True)
class Schema:
    """Everything known of one database, its tables sorted by full name.

    `search_path` lists the schemas in which an unqualified table name is looked up, in order.
    `fingerprint` is 64 lower-case hexadecimal digits over structure and values; see `fingerprints.py`.
    `own_functions` are names of functions in the search path that are neither PostgreSQL's nor an extension's, and of
    operators among PostgreSQL's own types: a call of such a name may run what someone wrote there.
    """

    tables: tuple[Table, ...]
    fingerprint: str = ""
    read_time: datetime = EPOCH
    search_path: tuple[str, ...] = ("public",)
    own_functions: frozenset[str] = frozenset()

    def table(self, schema: str, name: str) -> Table | None:
        """The table of exactly this schema and name."""
        return self._by_name.get((schema, name))

    @cached_property
    def column_types(self) -> frozenset[str]:
        """PostgreSQL's names of the types that columns have."""
        return frozenset(column.type for table in self.tables for column in table.columns)

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, str], Table]:
        return {(table.schema, table.name): table for table in self.tables}


@dataclass(frozen=True)
class SqlDraft:
    """SQL as a generator proposes it, not yet guarded.

    `explanation` says in plain words what the SQL does and by which links between question and schema; `confidence`
    is from 0 to 1, higher is surer; `tables` are full names, sorted. `uses_examples` is False where approved examples,
    though they were at hand, surely had no part in it.
    """

    sql: str
    explanation: str
    confidence: float
    tables: tuple[str, ...]
    uses_examples: bool = True


@dataclass(frozen=True)
class Plan:
    """How the database would run a statement. `cost` is the planner's estimate; a sequential page read costs 1.

    `gathered_bytes` is what it expects to keep in memory without a limit; see `plan_memory.py`.
    """

    cost: float
    gathered_bytes: float = 0.0


@dataclass(frozen=True)
class NoDraft:
    """The schema cannot answer: one sentence of at most 500 characters, and the words that nothing stands for."""

    reason: str
    unmatched_words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Assessment:
    """How well the database can answer one text: 0 (nothing bears on it) to 1 (all of it is linked)."""

    score: float
    reason: str
    tables: tuple[str, ...] = ()


class QueryState(StrEnum):
    """Where a query stands. REJECTED, EXPIRED, EXECUTED and FAILED are final."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    EXECUTING = "EXECUTING"
    EXECUTED = "EXECUTED"
    FAILED = "FAILED"


class WaitReason(StrEnum):
    """Why a PENDING query waits for a person: what its `state_reason` says."""

    NOT_ASKED = "NOT_ASKED"  # nobody asked for it to run at once
    POLICY_NEVER = "POLICY_NEVER"
    COST_ABOVE_POLICY = "COST_ABOVE_POLICY"
    PLAN_UNKNOWN = "PLAN_UNKNOWN"  # the policy goes by cost, and the planner could not be asked
    EDITED = "EDITED"  # a person has written over it


@dataclass(frozen=True)
class Owner:
    """Whose query it is: a subject within a tenant."""

    tenant: str
    subject: str


@dataclass(frozen=True)
class SqlQuery:
    """One guarded query from generation to its one run, bound to its text, owner and tenant."""

    id: str
    owner: Owner
    question: str
    sql: str
    sql_hash: str
    explanation: str
    state: QueryState
    confidence: float
    tables: tuple[str, ...]
    create_time: datetime
    expire_time: datetime
    decide_time: datetime | None = None
    execute_time: datetime | None = None
    state_reason: str = ""
    row_count: int | None = None
    plan_cost: float | None = None  # None where it was not planned
    refused_edits: int = 0  # that the audit log tells


@dataclass(frozen=True)
class QueryPage:
    """Queries newest first, and where the next page begins; None when this is the last."""

    queries: tuple[SqlQuery, ...]
    next_after: QueryPosition | None


@dataclass(frozen=True)
class QueryPosition:
    """The place of one query in the order newest first."""

    create_time: datetime
    id: str


@dataclass(frozen=True)
class JsonText:
    """A json or jsonb value, as the text the database gave."""

    text: str


# A Decimal is a `numeric`, an int one of the integer types; everything that has only a text form is a str.
SqlValue = None | bool | int | float | Decimal | str | bytes | JsonText | Sequence["SqlValue"]


@dataclass(frozen=True)
class ResultColumn:
    """One column of a result; names are unique within it."""

    name: str
    type: str


@dataclass(frozen=True)
class ResultTable:
    """Rows of one run. `truncated` says that the query had more than are kept."""

    columns: tuple[ResultColumn, ...]
    rows: tuple[tuple[SqlValue, ...], ...] = field(default=())
    truncated: bool = False


def sql_hash(sql: str) -> str:
    """SHA-256 of the text in UTF-8, 64 lower-case hexadecimal digits: what a decision is bound to."""
    return hashlib.sha256(sql.encode()).hexdigest()
