"""From a question to a guarded query that waits for a decision, or to the reason why there is none."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from services.sql.errors import QueryFailed
from services.sql.guidance import Guidance, Objection
from services.sql.knowledge import SchemaKnowledge
from services.sql.models import (
    EPOCH,
    Assessment,
    NoDraft,
    Owner,
    QueryState,
    Schema,
    SqlDraft,
    SqlQuery,
    WaitReason,
    sql_hash,
)
from services.sql.planning import planned_cost
from services.sql.ports import Briefing, QueryStore, SqlGenerator, TargetDatabase
from services.sql.provenance import with_provenance
from services.sql.query_guard import QueryGuard
from services.sql.training_ddl import with_declared_keys

logger = logging.getLogger(__name__)

MAX_REASON_CHARACTERS = 500
MAX_ASSESSMENT_REASON_CHARACTERS = 300
REPAIR_ROUNDS = 2
_NO_TABLE = "There is no table to ask: the database role may read none, or the setting SQL_TABLES leaves none."
_READINGS_OF_SCHEMA = 2  # tries of one question, of which the second is of a schema that was read again


class _SchemaChanged(Exception):
    """What was drafted from is no longer so; what the database is like now has been read."""


@dataclass(frozen=True)
class Drafted:
    """A query that is not stored yet, and what was objected to on the way to it."""

    query: SqlQuery
    objections: tuple[Objection, ...] = ()


class Generating:
    """Asks the generator, passes its draft through guard and planner, and stores what comes out. It runs nothing.

    A draft that one of the two refuses goes back to the generator with the reason, a few times.
    """

    def __init__(
        self,
        *,
        generator: SqlGenerator,
        guard: QueryGuard,
        knowledge: SchemaKnowledge,
        briefing: Briefing,
        target: TargetDatabase,
        store: QueryStore,
        keeps_for: timedelta,
    ) -> None:
        self._generator = generator
        self._guard = guard
        self._knowledge = knowledge
        self._briefing = briefing
        self._target = target
        self._store = store
        self._keeps_for = keeps_for

    @property
    def generator_name(self) -> str:
        """What statistics call the generator."""
        return self._generator.name

    async def generate(self, owner: Owner, question: str, *, request_id: str = "") -> SqlQuery | NoDraft:
        """The pending query; with a `request_id` used before, the query of that time as it stands now.

        Raises: DatabaseUnavailable, QueryStoreUnavailable.
        """
        if request_id:
            earlier = await self._store.find_by_request(owner, request_id)
            if earlier is not None:
                return earlier
        drafted = await self.draft(owner, question)
        if isinstance(drafted, NoDraft):
            return drafted
        return await self.keep(drafted.query, WaitReason.NOT_ASKED, request_id=request_id)

    async def draft(self, owner: Owner, question: str, *, objections: tuple[Objection, ...] = ()) -> Drafted | NoDraft:
        """A query that has passed guard and planner and is not stored yet, another one than those objected to.

        Where the database lacks what its schema told of, the schema is read again and the question tried once more.

        Raises: DatabaseUnavailable, QueryStoreUnavailable.
        """
        for _ in range(_READINGS_OF_SCHEMA):
            try:
                return await self._draft(owner, question, objections)
            except _SchemaChanged:
                logger.info("schema.changed_meanwhile")
        return NoDraft("The database is being changed at the moment. Ask again when that is done.")

    async def _draft(self, owner: Owner, question: str, objections: tuple[Objection, ...]) -> Drafted | NoDraft:
        schema = await self._knowledge.current()
        if not schema.tables:
            return NoDraft(_NO_TABLE)
        guidance = replace(await self._briefing.brief(owner.tenant, question, schema), objections=objections)
        told = with_declared_keys(schema, guidance.keys)  # the guard knows the real one alone
        while True:
            draft = await self._generator.generate(question, told, guidance)
            if isinstance(draft, NoDraft):
                return NoDraft(draft.reason[:MAX_REASON_CHARACTERS], draft.unmatched_words)
            checked = await self._check(owner, question, draft, schema, guidance)
            if isinstance(checked, SqlQuery):
                return Drafted(checked, guidance.objections)
            if not self.may_repair(guidance.objections):
                return NoDraft("No query that is safe to run could be written for this question.")
            guidance = replace(guidance, objections=(*guidance.objections, checked))

    def may_repair(self, objections: Sequence[Objection]) -> bool:
        """Whether the generator may be asked once more after these objections and a new one, whoever makes it."""
        return self._generator.can_repair and len(objections) < REPAIR_ROUNDS

    async def keep(self, query: SqlQuery, reason: WaitReason, *, request_id: str = "") -> SqlQuery:
        """The drafted query PENDING, for the reason told in its `state_reason`. Raises QueryStoreUnavailable."""
        waiting = replace(query, state_reason=reason)
        return await self._store.add(waiting, request_id=request_id, keeps_for=self._keeps_for)

    async def begin(self, query: SqlQuery, *, note: str) -> SqlQuery:
        """The drafted query EXECUTING, approved without a person's decision, for the caller to run.

        The note says by what. Raises QueryStoreUnavailable.
        """
        return await self._store.add_begun(query, note=note, keeps_for=self._keeps_for)

    async def _check(
        self, owner: Owner, question: str, draft: SqlDraft, schema: Schema, guidance: Guidance
    ) -> SqlQuery | Objection:
        verdict = await self._guard.judge(draft.sql, schema)
        if not verdict.allowed:
            # A fault of the generator, not of the asker; the text itself is not logged.
            codes = [refusal.code.value for refusal in verdict.refusals]
            logger.warning("draft.refused", extra={"generator": self._generator.name, "refusals": codes})
            return Objection(draft.sql, str(verdict.refusals[0]))
        try:
            cost = await planned_cost(self._target, verdict.sql)
        except QueryFailed as error:
            facts = {"generator": self._generator.name, **error.metadata}
            logger.warning("draft.not_planned", extra=facts)
            if error.may_tell_of_change and await self._knowledge.differs_from(schema):
                raise _SchemaChanged from error
            return Objection(draft.sql, str(error))
        return SqlQuery(
            id=secrets.token_hex(16),
            owner=owner,
            question=question,
            sql=verdict.sql,
            sql_hash=sql_hash(verdict.sql),
            explanation=with_provenance(draft, guidance),
            state=QueryState.PENDING,
            confidence=min(1.0, max(0.0, draft.confidence)),
            tables=verdict.tables,
            create_time=EPOCH,  # The store sets both times by its own clock.
            expire_time=EPOCH,
            plan_cost=cost,
        )

    async def assess(self, tenant: str, question: str, parts: Sequence[str]) -> tuple[Assessment, list[Assessment]]:
        """How well the database answers the whole and each part. Raises DatabaseUnavailable, QueryStoreUnavailable."""
        schema = await self._knowledge.current()
        guidance = await self._briefing.brief(tenant, question, schema)
        told = with_declared_keys(schema, guidance.keys)
        whole, *rest = await self._generator.assess([question, *parts], told, guidance)
        return _bounded(whole), [_bounded(assessment) for assessment in rest]


def _bounded(assessment: Assessment) -> Assessment:
    score = min(1.0, max(0.0, assessment.score))
    tables = tuple(sorted(set(assessment.tables)))
    return Assessment(score, assessment.reason[:MAX_ASSESSMENT_REASON_CHARACTERS], tables)
