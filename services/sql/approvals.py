"""Decisions on queries, and their one run.

PENDING → APPROVED → EXECUTING → EXECUTED or FAILED; PENDING or APPROVED → REJECTED or EXPIRED. The store makes each
step by compare-and-set, so that of all callers in all processes one at most begins a run; here stands what may be
asked in which state, and what a caller is told who comes too late.
"""

from __future__ import annotations

import asyncio
import logging

from services.sql.errors import (
    DatabaseRefused,
    DatabaseUnavailable,
    QueryFailed,
    QueryNotFound,
    QueryStateConflict,
    QueryStoreUnavailable,
    QueryTooCostly,
    SqlError,
    SqlHashMismatch,
    SqlRefused,
    StatementTimeout,
)
from services.sql.knowledge import SchemaKnowledge
from services.sql.learning import Learning
from services.sql.models import Owner, QueryPage, QueryPosition, QueryState, ResultTable, SqlQuery
from services.sql.planning import planned_cost
from services.sql.ports import QueryStore, TargetDatabase
from services.sql.query_guard import QueryGuard, Verdict
from services.sql.shown_text import one_line, shown

logger = logging.getLogger(__name__)

MAX_NOTE_CHARACTERS = 500
MAX_REFUSED_CHARACTERS = 4_000  # of a refused edit, as the audit log tells it
OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
EDIT_REFUSED = "EDIT_REFUSED"  # in the audit log
EDITED = "The text was edited by a person after it was generated."

# What a failed run leaves in `state_reason`.
_RUN_FAILURES: dict[type[SqlError], str] = {
    QueryFailed: "QUERY_FAILED",
    QueryTooCostly: "QUERY_TOO_COSTLY",
    StatementTimeout: "STATEMENT_TIMEOUT",
    DatabaseUnavailable: "DATABASE_UNAVAILABLE",
    DatabaseRefused: "DATABASE_REFUSED",
}


class Approvals:
    """Reads, decides on, edits and runs the queries of an owner."""

    def __init__(
        self,
        *,
        store: QueryStore,
        target: TargetDatabase,
        guard: QueryGuard,
        knowledge: SchemaKnowledge,
        learning: Learning | None = None,
    ) -> None:
        self._store = store
        self._target = target
        self._guard = guard
        self._knowledge = knowledge
        self._learning = learning

    async def get(self, owner: Owner, query_id: str) -> SqlQuery:
        """The query as it stands now. Raises QueryNotFound, QueryStoreUnavailable."""
        query = await self._store.get(owner, query_id)
        if query is None:
            raise QueryNotFound
        return query

    async def page(
        self, owner: Owner, *, state: QueryState | None, after: QueryPosition | None, limit: int
    ) -> QueryPage:
        """The owner's queries, newest first. Raises QueryStoreUnavailable."""
        return await self._store.page(owner, state=state, after=after, limit=limit)

    async def approve(self, owner: Owner, query_id: str, *, sql_hash: str) -> SqlQuery:
        """Let the query be run once; approving again what is approved changes nothing.

        Raises: QueryNotFound, SqlHashMismatch, QueryStateConflict, SqlRefused, DatabaseUnavailable,
            QueryStoreUnavailable.
        """
        pending = await self.get(owner, query_id)
        if pending.state is QueryState.PENDING and pending.sql_hash == sql_hash:
            # Nobody is asked to decide on what could not be run: see `run`.
            _allowed(await self._guard.judge_again(pending.sql, await self._knowledge.current()))
        approved = await self._store.approve(owner, query_id, sql_hash=sql_hash)
        if approved is not None:
            return approved
        query = await self.get(owner, query_id)
        if query.state not in (QueryState.PENDING, QueryState.APPROVED):
            raise QueryStateConflict(query.state)
        if query.sql_hash != sql_hash:
            raise SqlHashMismatch
        if query.state is not QueryState.APPROVED:
            raise QueryStateConflict(query.state)
        return query

    async def reject(self, owner: Owner, query_id: str, *, reason: str) -> SqlQuery:
        """Refuse the query for good; refusing again changes nothing. A reason past 500 characters is cut.

        Raises: QueryNotFound, QueryStateConflict, QueryStoreUnavailable.
        """
        note = one_line(reason)[:MAX_NOTE_CHARACTERS]
        rejected = await self._store.reject(owner, query_id, note=note)
        if rejected is not None:
            return rejected
        query = await self.get(owner, query_id)
        if query.state is not QueryState.REJECTED:
            raise QueryStateConflict(query.state)
        return query

    async def edit(self, owner: Owner, query_id: str, *, sql: str) -> SqlQuery:
        """Replace the text by another that passes guard and planner; the query waits for a decision as before.

        A text that is refused is told in the audit log before the caller hears of it.

        Raises: QueryNotFound, QueryStateConflict, SqlRefused, QueryFailed, DatabaseUnavailable, QueryStoreUnavailable.
        """
        query = await self.get(owner, query_id)
        if query.state is not QueryState.PENDING:
            raise QueryStateConflict(query.state)
        schema = await self._knowledge.current()
        try:
            verdict = _allowed(await self._guard.judge(sql, schema))
            if verdict.sql == query.sql:
                return query
            plan_cost = await planned_cost(self._target, verdict.sql)
        except (SqlRefused, QueryFailed) as error:
            await self._tell_refused(query, sql, error)
            raise
        explanation = f"{EDITED} It reads {', '.join(verdict.tables) or 'no table'}."
        edited = await self._store.edit(
            owner,
            query_id,
            old_hash=query.sql_hash,
            sql=verdict.sql,
            explanation=explanation,
            tables=verdict.tables,
            plan_cost=plan_cost,
        )
        if edited is None:
            # Decided meanwhile; or edited by another, which is no less a change under the caller's feet.
            raise QueryStateConflict((await self.get(owner, query_id)).state)
        return edited

    async def _tell_refused(self, query: SqlQuery, sql: str, error: SqlRefused | QueryFailed) -> None:
        why = error.metadata.get("refusal") or f"SQLSTATE {error.metadata['sqlstate']}"
        logger.info("edit.refused", extra={"reason": why})
        text = shown(sql[:MAX_REFUSED_CHARACTERS], "\ufffd", kept="\n\t")
        if len(sql) > MAX_REFUSED_CHARACTERS:
            why += f"; of {len(sql)} characters"
        await self._store.tell_refused_edit(query.owner, query.id, sql=text, note=f"{EDIT_REFUSED}; {why}")

    async def run(
        self, owner: Owner, query_id: str, *, sql_hash: str, may_teach: bool = False
    ) -> tuple[SqlQuery, ResultTable]:
        """Run an approved query, once for ever; `may_teach` says whether the owner may decide on training.

        Raises: QueryNotFound, SqlHashMismatch, QueryStateConflict, SqlRefused, QueryFailed, QueryTooCostly,
            StatementTimeout, DatabaseUnavailable, QueryStoreUnavailable.
        """
        query = await self.get(owner, query_id)
        if query.state is not QueryState.APPROVED:
            raise QueryStateConflict(query.state)
        if query.sql_hash != sql_hash:
            raise SqlHashMismatch
        # Looked at again under the schema of now; the text that runs is the approved one, to the letter, and no other.
        _allowed(await self._guard.judge_again(query.sql, await self._knowledge.current()))
        begun = await self._store.begin_run(owner, query_id, sql_hash=sql_hash)
        if begun is None:
            raise QueryStateConflict((await self.get(owner, query_id)).state)
        executed, result = await self.run_begun(begun)
        # What one person wrote over a query is not shown to the model as the answer for all others of the tenant.
        if self._learning is not None and not executed.explanation.startswith(EDITED):
            await self._learning.learn(executed, may_decide=may_teach)
        return executed, result

    async def run_begun(self, query: SqlQuery) -> tuple[SqlQuery, ResultTable]:
        """Run a query that this caller, and nobody else, has put into EXECUTING, and write down how it ended.

        Raises: QueryStateConflict, QueryFailed, QueryTooCostly, StatementTimeout, DatabaseUnavailable,
            QueryStoreUnavailable.
        """
        result = await self._result_of(query)
        finished = await self._store.finish_run(query.owner, query.id, row_count=len(result.rows))
        if finished is None:  # The lease ran out under a process that was frozen: it has been told as FAILED.
            raise QueryStateConflict(QueryState.FAILED)
        logger.info("query.executed", extra={"rows": len(result.rows), "truncated": result.truncated})
        return finished, result

    async def _result_of(self, query: SqlQuery) -> ResultTable:
        schema = self._knowledge.known
        try:
            return await self._target.run(query.sql)
        except SqlError as error:
            if isinstance(error, QueryFailed) and error.may_tell_of_change and schema is not None:
                self._knowledge.compare_behind(schema)
            await self._note_failure(query, _RUN_FAILURES.get(type(error), OUTCOME_UNKNOWN))
            raise
        except BaseException:
            # Called off, or a fault of ours. Shielded: being called off must not keep the note from being written.
            await asyncio.shield(self._note_failure(query, OUTCOME_UNKNOWN))
            raise

    async def _note_failure(self, query: SqlQuery, reason: str) -> None:
        logger.info("query.failed", extra={"reason": reason})
        try:
            await self._store.fail_run(query.owner, query.id, reason=reason)
        except QueryStoreUnavailable:
            # The run lease will say OUTCOME_UNKNOWN; the caller is better served by what went wrong first.
            logger.warning("query.failure_not_stored", extra={"reason": reason})


def _allowed(verdict: Verdict) -> Verdict:
    """The verdict on a text that may be run. Raises SqlRefused."""
    if not verdict.allowed:
        raise SqlRefused(str(verdict.refusals[0]), refusal=verdict.refusals[0].code)
    return verdict
