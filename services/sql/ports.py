"""What the sql service needs from outside, each as small as its use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from services.sql.guidance import NO_GUIDANCE, Guidance
from services.sql.models import (
    Assessment,
    Example,
    NoDraft,
    Owner,
    Plan,
    QueryPage,
    QueryPosition,
    QueryState,
    ResultTable,
    Schema,
    SqlDraft,
    SqlQuery,
)


class SqlGenerator(Protocol):
    """Turns questions into SQL. It sees the schema and nothing else: it has no way to run what it writes."""

    @property
    def name(self) -> str:
        """What statistics call it, "grounded" for one."""
        ...

    @property
    def can_repair(self) -> bool:
        """Whether asking again with an objection can give another draft."""
        ...

    async def generate(self, question: str, schema: Schema, guidance: Guidance = NO_GUIDANCE) -> SqlDraft | NoDraft:
        """One SELECT in PostgreSQL's dialect, or why there is none. The question is trimmed and 1 to 4,000 characters.

        A question that neither schema nor guidance can answer is a NoDraft, never an error and never a guess. With
        objections in the guidance the draft is another one than those objected to.
        """
        ...

    async def assess(
        self, questions: Sequence[str], schema: Schema, guidance: Guidance = NO_GUIDANCE
    ) -> list[Assessment]:
        """How well the database answers each text, in the order given; reasons of at most 300 characters.

        The guidance was gathered for the first of them.
        """
        ...


class Briefing(Protocol):
    """Gathers what is known for one question."""

    async def brief(self, tenant: str, question: str, schema: Schema) -> Guidance:
        """What may help, bounded in number, length and time. Never raises: a source that is away is left out."""
        ...


class ExampleStore(Protocol):
    """Approved examples of many tenants for one database, found by what their questions mean.

    Every method raises ExamplesUnavailable. An example that was just added may be found a little later.
    """

    @property
    def kind(self) -> str:
        """Name of the technology, for statistics."""
        ...

    async def add(self, tenant: str, example: Example) -> None:
        """Keep it; the same question again replaces its query."""
        ...

    async def similar(self, tenant: str, question: str, *, limit: int) -> list[Example]:
        """The tenant's examples whose questions mean most nearly the same, nearest first."""
        ...


class QuestionEmbedder(Protocol):
    """Turns questions into vectors of length 1. Raises ExamplesUnavailable when its model cannot be reached."""

    async def embed(self, question: str) -> Sequence[float]: ...


class TargetDatabase(Protocol):
    """The user's database, read-only."""

    async def plan(self, sql: str) -> Plan:
        """How one guarded SELECT would be run, within the limits of time; runs nothing.

        Raises DatabaseUnavailable, QueryFailed, StatementTimeout. The text of QueryFailed is the database's own word on
        the statement in one line of at most 300 characters: nothing is read yet, so that it holds no data.
        """
        ...

    async def run(self, sql: str) -> ResultTable:
        """Run one guarded SELECT within the limits of time, cost, rows and bytes; nothing it did outlives the call.

        Raises DatabaseUnavailable, QueryFailed, QueryTooCostly, StatementTimeout.
        """
        ...

    async def is_reachable(self) -> bool:
        """Whether a trivial statement can be run now; never raises."""
        ...


class SchemaReader(Protocol):
    """Reads what the role of the connection may see of the user's database."""

    async def read(self) -> Schema:
        """Tables, columns, keys, estimates and bounded samples, with the fingerprint. Raises DatabaseUnavailable."""
        ...

    async def structure_digest(self) -> str:
        """A cheap digest of tables, columns and keys, equal while no DDL changed them. Raises DatabaseUnavailable."""
        ...


class SchemaStore(Protocol):
    """Remembers the last schema read from each database, across restarts and processes."""

    async def load(self, database: str) -> Schema | None:
        """The schema last saved for this database key, None before the first. Raises QueryStoreUnavailable."""
        ...

    async def save(self, database: str, schema: Schema) -> bool:
        """Keep it; True when its fingerprint is the first or differs from the last. Raises QueryStoreUnavailable."""
        ...


class QueryStore(Protocol):
    """Keeps queries and the audit log of their transitions.

    Each transition is one compare-and-set with its audit row in the same transaction: of any number of concurrent
    callers, in whatever process, exactly one sees it succeed. Expiry is judged on every read and write against the
    store's own clock: an undecided or unused query past its `expire_time` is EXPIRED. A query EXECUTING for longer than
    the run lease is FAILED with state_reason OUTCOME_UNKNOWN: its process died. Both are written with an audit row.
    Queries of another owner do not exist for the caller. A transition gives the query as it stands afterwards, or None
    when it did not stand where the transition starts. Every method raises QueryStoreUnavailable.
    """

    async def add(self, query: SqlQuery, *, request_id: str, keeps_for: timedelta) -> SqlQuery:
        """Store a PENDING query; its times are set by the store's clock, expiry `keeps_for` later.

        With a `request_id` the owner has used before, nothing is stored and the query of that time is returned.
        """
        ...

    async def add_begun(self, query: SqlQuery, *, note: str, keeps_for: timedelta) -> SqlQuery:
        """Store a query EXECUTING, decided by policy: what `add`, `approve` and `begin_run` do, in one transaction.

        All three transitions are in the audit log, the note with the approval. Only the caller may run the query.
        """
        ...

    async def find_by_request(self, owner: Owner, request_id: str) -> SqlQuery | None:
        """The query stored under this request id."""
        ...

    async def get(self, owner: Owner, query_id: str) -> SqlQuery | None:
        """The query as it stands now."""
        ...

    async def approve(self, owner: Owner, query_id: str, *, sql_hash: str, note: str) -> SqlQuery | None:
        """PENDING with this hash → APPROVED; the note goes to the audit log."""
        ...

    async def reject(self, owner: Owner, query_id: str, *, note: str) -> SqlQuery | None:
        """PENDING or APPROVED → REJECTED; the note goes to the audit log."""
        ...

    async def edit(
        self, owner: Owner, query_id: str, *, old_hash: str, sql: str, explanation: str, tables: Sequence[str]
    ) -> SqlQuery | None:
        """PENDING with the old hash → PENDING with the new text and its hash."""
        ...

    async def begin_run(self, owner: Owner, query_id: str, *, sql_hash: str) -> SqlQuery | None:
        """APPROVED with this hash → EXECUTING. Who gets the query, and nobody else, ever, may run it."""
        ...

    async def finish_run(self, owner: Owner, query_id: str, *, row_count: int) -> SqlQuery | None:
        """EXECUTING → EXECUTED. None when it is EXECUTING no longer: its lease ran out."""
        ...

    async def fail_run(self, owner: Owner, query_id: str, *, reason: str) -> SqlQuery | None:
        """EXECUTING → FAILED for this machine-readable reason. None when it is EXECUTING no longer."""
        ...

    async def page(
        self, owner: Owner, *, state: QueryState | None, after: QueryPosition | None, limit: int
    ) -> QueryPage:
        """Queries newest first, from behind `after`."""
        ...

    async def count_by_state(self, tenant: str) -> dict[QueryState, int]:
        """Number of the tenant's queries in each state that occurs."""
        ...

    async def is_reachable(self) -> bool:
        """Whether the store answers now; never raises."""
        ...
