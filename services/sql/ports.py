"""What the sql service needs from outside, each as small as its use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from services.sql.audit import AuditPage, AuditPosition, AuditScope
from services.sql.guidance import NO_GUIDANCE, Guidance
from services.sql.models import (
    Assessment,
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
from services.sql.training_models import (
    Embeddings,
    HeldVector,
    Nearness,
    Passage,
    TrainingCensus,
    TrainingItem,
    TrainingKind,
    TrainingPage,
    TrainingPosition,
    TrainingScope,
    TrainingState,
    TrainingVector,
    Vector,
)


class SqlGenerator(Protocol):
    """Turns questions into SQL. It sees schema and guidance and nothing else: it has no way to run what it writes."""

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


class TrainingStore(Protocol):
    """Keeps what the service is taught. What stands here is the truth; an index of vectors only helps to find it.

    Items of another scope do not exist for the caller. Every method raises QueryStoreUnavailable.
    """

    async def add(self, scope: TrainingScope, item: TrainingItem, *, most: int) -> tuple[TrainingItem, bool] | None:
        """Store it, with `create_time` by the store's clock, and `decide_time` too where it comes approved.

        Where there is one of its id, nothing is stored, and that one is returned with False. None where the scope has
        `most` items already.
        """
        ...

    async def get_many(self, scope: TrainingScope, ids: Sequence[str]) -> list[TrainingItem]:
        """The items there are of these ids, in their order."""
        ...

    async def approve(self, scope: TrainingScope, item_id: str, *, by: str) -> TrainingItem | None:
        """PENDING → APPROVED; the item as it stands afterwards, also where it was approved before. None: unknown."""
        ...

    async def delete(self, scope: TrainingScope, item_id: str) -> bool:
        """Forget it; whether it was there."""
        ...

    async def page(
        self,
        scope: TrainingScope,
        *,
        kind: TrainingKind | None,
        state: TrainingState | None,
        after: TrainingPosition | None,
        limit: int,
    ) -> TrainingPage:
        """Items newest first, from behind `after`."""
        ...

    async def approved(self, scope: TrainingScope) -> list[TrainingItem]:
        """All approved items, the one decided last first."""
        ...

    async def approved_ids(self, scope: TrainingScope) -> list[str]:
        """Ids of all approved items, in no order; carries no texts."""
        ...

    async def census(self, scope: TrainingScope) -> TrainingCensus:
        """How much is approved; cheap, asked at every question."""
        ...


class TrainingIndex(Protocol):
    """Vectors of approved items. It may lag behind, and may hold what the store no longer has.

    Every method raises KnowledgeUnavailable.
    """

    @property
    def kind(self) -> str:
        """Name of the technology, for statistics."""
        ...

    async def put(self, scope: TrainingScope, vectors: Sequence[TrainingVector], *, model: str) -> None:
        """Hold these, in place of any of the same id and model."""
        ...

    async def remove(self, scope: TrainingScope, held: Sequence[HeldVector]) -> None:
        """Hold these no more; those that are not held are passed over."""
        ...

    async def held(self, scope: TrainingScope) -> list[HeldVector]:
        """All that is held, of whatever model."""
        ...

    async def nearest(
        self, scope: TrainingScope, vector: Vector, *, model: str, kinds: Sequence[TrainingKind], limit: int
    ) -> list[Nearness]:
        """The items of these kinds nearest to a vector of this model, nearest first; those of others are left out."""
        ...


class QuestionEmbedder(Protocol):
    """Turns texts into vectors of length 1, by the one model that the rag service has."""

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """One vector for each text, none of them blank, at most 256, in order.

        Raises: KnowledgeUnavailable: the model cannot be reached. TextTooLong: one is longer than the model reads.
        """
        ...


class DocumentSearch(Protocol):
    """Finds passages in the documents that the caller's tenant has uploaded."""

    async def has_any(self) -> bool:
        """Whether there is a document at all; cheaper than a search. Raises KnowledgeUnavailable."""
        ...

    async def passages(self, question: str, *, limit: int) -> list[Passage]:
        """What bears on the question, best first. Raises KnowledgeUnavailable."""
        ...


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

    Each transition is one compare-and-set with its audit row in the same transaction, which holds the text where the
    transition brought one, so that the log tells what was approved after an edit too. Of any number of concurrent
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

        All three transitions are in the audit log, the note with the approval, which has no subject: no person decided.
        Only the caller may run the query.
        """
        ...

    async def find_by_request(self, owner: Owner, request_id: str) -> SqlQuery | None:
        """The query stored under this request id."""
        ...

    async def get(self, owner: Owner, query_id: str) -> SqlQuery | None:
        """The query as it stands now."""
        ...

    async def approve(self, owner: Owner, query_id: str, *, sql_hash: str) -> SqlQuery | None:
        """PENDING with this hash → APPROVED, its state_reason gone."""
        ...

    async def reject(self, owner: Owner, query_id: str, *, note: str) -> SqlQuery | None:
        """PENDING or APPROVED → REJECTED; the note goes to the audit log."""
        ...

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
        """PENDING with the old hash → PENDING with the new text, its hash and cost, and state_reason EDITED."""
        ...

    async def tell_refused_edit(self, owner: Owner, query_id: str, *, sql: str, note: str) -> SqlQuery | None:
        """PENDING → PENDING as it was; the refused text and the note go to the audit log, MAX_REFUSED_EDITS at most."""
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

    async def audit(self, scope: AuditScope, *, after: AuditPosition | None, limit: int) -> AuditPage:
        """Steps of queries newest first, from behind `after`. Those of one query are in the order they were made."""
        ...

    async def count_by_state(self, tenant: str) -> dict[QueryState, int]:
        """Number of the tenant's queries in each state that occurs."""
        ...

    async def is_reachable(self) -> bool:
        """Whether the store answers now; never raises."""
        ...
