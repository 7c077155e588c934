"""From a question to a guarded query that waits for a decision, or to the reason why there is none."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from datetime import timedelta

from services.sql.knowledge import SchemaKnowledge
from services.sql.models import EPOCH, Assessment, NoDraft, Owner, QueryState, SqlQuery, sql_hash
from services.sql.ports import QueryStore, SqlGenerator
from services.sql.query_guard import QueryGuard

logger = logging.getLogger(__name__)

MAX_REASON_CHARACTERS = 500
MAX_ASSESSMENT_REASON_CHARACTERS = 300


class Generating:
    """Asks the generator, passes its draft through the guard, and stores what comes out. It runs nothing."""

    def __init__(
        self,
        *,
        generator: SqlGenerator,
        guard: QueryGuard,
        knowledge: SchemaKnowledge,
        store: QueryStore,
        keeps_for: timedelta,
    ) -> None:
        self._generator = generator
        self._guard = guard
        self._knowledge = knowledge
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
        query = await self._draft(owner, question)
        if isinstance(query, NoDraft):
            return query
        return await self._store.add(query, request_id=request_id, keeps_for=self._keeps_for)

    async def begin(self, owner: Owner, question: str, *, note: str) -> SqlQuery | NoDraft:
        """The query EXECUTING, approved without a person's decision, for the caller to run. The note says by what.

        Raises: DatabaseUnavailable, QueryStoreUnavailable.
        """
        query = await self._draft(owner, question)
        if isinstance(query, NoDraft):
            return query
        return await self._store.add_begun(query, note=note, keeps_for=self._keeps_for)

    async def _draft(self, owner: Owner, question: str) -> SqlQuery | NoDraft:
        """A query that has passed the guard and is not stored yet."""
        schema = await self._knowledge.current()
        draft = await self._generator.generate(question, schema)
        if isinstance(draft, NoDraft):
            return NoDraft(draft.reason[:MAX_REASON_CHARACTERS], draft.unmatched_words)
        verdict = self._guard.check(draft.sql, schema)
        if not verdict.allowed:
            # A fault of the generator, not of the asker; the text itself is not logged.
            codes = [refusal.code.value for refusal in verdict.refusals]
            logger.warning("draft.refused", extra={"generator": self._generator.name, "refusals": codes})
            return NoDraft("No query that is safe to run could be written for this question.")
        return SqlQuery(
            id=secrets.token_hex(16),
            owner=owner,
            question=question,
            sql=verdict.sql,
            sql_hash=sql_hash(verdict.sql),
            explanation=draft.explanation,
            state=QueryState.PENDING,
            confidence=min(1.0, max(0.0, draft.confidence)),
            tables=verdict.tables,
            create_time=EPOCH,  # The store sets both times by its own clock.
            expire_time=EPOCH,
        )

    async def assess(self, question: str, parts: Sequence[str]) -> tuple[Assessment, list[Assessment]]:
        """How well the database answers the whole and each part. Raises DatabaseUnavailable, QueryStoreUnavailable."""
        schema = await self._knowledge.current()
        whole, *rest = await self._generator.assess([question, *parts], schema)
        return _bounded(whole), [_bounded(assessment) for assessment in rest]


def _bounded(assessment: Assessment) -> Assessment:
    score = min(1.0, max(0.0, assessment.score))
    tables = tuple(sorted(set(assessment.tables)))
    return Assessment(score, assessment.reason[:MAX_ASSESSMENT_REASON_CHARACTERS], tables)
