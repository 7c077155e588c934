"""Queries and their audit log in PostgreSQL.

Every transition is one statement: an UPDATE that names the state it starts from, and the audit row of whatever that
UPDATE changed. Two callers can race for it, but the row lock lets one through and the other then finds the state gone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, TupleRow, dict_row
from psycopg_pool import AsyncConnectionPool

from services.sql.adapters.postgres_audit import read_audit
from services.sql.audit import MAX_REFUSED_EDITS, AuditPage, AuditPosition, AuditScope
from services.sql.errors import QueryStoreUnavailable
from services.sql.models import Owner, QueryPage, QueryPosition, QueryState, SqlQuery, WaitReason, sql_hash

StorePool = AsyncConnectionPool[AsyncConnection[TupleRow]]

_COLUMNS = (
    "id, tenant, owner, question, sql, sql_hash, explanation, confidence, tables, plan_cost, state, state_reason,"
    " row_count, create_time, expire_time, decide_time, execute_time, refused_edits"
)
_INSERT = f"""
WITH added AS (
    INSERT INTO queries (id, tenant, owner, request_id, question, sql, sql_hash, explanation, confidence, tables,
                         plan_cost, state, state_reason, create_time, expire_time)
    SELECT %(id)s, %(tenant)s, %(owner)s, %(request_id)s, %(question)s, %(sql)s, %(sql_hash)s, %(explanation)s,
           %(confidence)s, %(tables)s, %(plan_cost)s, 'PENDING', %(state_reason)s, now, now + %(keeps_for)s
    FROM clock_timestamp() AS now
    ON CONFLICT (tenant, owner, request_id) WHERE request_id IS NOT NULL DO NOTHING
    RETURNING {_COLUMNS}
), audited AS (
    INSERT INTO query_audit (query_id, tenant, owner, subject, from_state, to_state, sql_hash, sql, at_time)
    SELECT id, tenant, owner, owner, '', state, sql_hash, sql, create_time FROM added
)
SELECT {_COLUMNS} FROM added
"""  # noqa: S608 - built from constants
# All three steps at once, of a query that nobody has seen yet: no other caller can stand between them. The approval
# has no subject, because no person decided.
_INSERT_BEGUN = f"""
WITH added AS (
    INSERT INTO queries (id, tenant, owner, question, sql, sql_hash, explanation, confidence, tables,
                         plan_cost, state, create_time, expire_time, decide_time, execute_time)
    SELECT %(id)s, %(tenant)s, %(owner)s, %(question)s, %(sql)s, %(sql_hash)s, %(explanation)s, %(confidence)s,
           %(tables)s, %(plan_cost)s, 'EXECUTING', now, now + %(keeps_for)s, now, now
    FROM clock_timestamp() AS now
    RETURNING {_COLUMNS}
), audited AS (
    INSERT INTO query_audit (query_id, tenant, owner, subject, from_state, to_state, sql_hash, sql, note, at_time)
    SELECT id, tenant, owner, step.subject, step.from_state, step.to_state, sql_hash, step.sql, step.note, create_time
    FROM added, (VALUES (1, %(owner)s, '', 'PENDING', %(sql)s, ''), (2, '', 'PENDING', 'APPROVED', '', %(note)s),
                        (3, %(owner)s, 'APPROVED', 'EXECUTING', '', ''))
                AS step (number, subject, from_state, to_state, sql, note)
    ORDER BY step.number
)
SELECT {_COLUMNS} FROM added
"""  # noqa: S608 - built from constants
_BY_ID = f"SELECT {_COLUMNS} FROM queries WHERE id = %(id)s AND tenant = %(tenant)s AND owner = %(owner)s"  # noqa: S608
_BY_REQUEST = (
    f"SELECT {_COLUMNS} FROM queries"  # noqa: S608
    " WHERE request_id = %(request_id)s AND tenant = %(tenant)s AND owner = %(owner)s"
)
_PAGE = f"""
SELECT {_COLUMNS} FROM queries
WHERE tenant = %(tenant)s AND owner = %(owner)s AND (%(state)s::text IS NULL OR state = %(state)s)
      AND (%(after_time)s::timestamptz IS NULL OR (create_time, id) < (%(after_time)s, %(after_id)s))
ORDER BY create_time DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608
_COUNT = "SELECT state, count(*) AS number FROM queries WHERE tenant = %(tenant)s GROUP BY state"

# Audit rows of a transition come from the rows as they were (`before`) and as they are (`after`), and have its one time
# (`step`, read when the row was waited for). A text that the transition brought is kept there, with the hash of the one
# that it took the place of.
_TRANSITION = """
WITH before AS (
    SELECT id, state, sql_hash FROM queries
    WHERE id = %(id)s AND tenant = %(tenant)s AND owner = %(owner)s AND {guard}
    FOR UPDATE
), step AS MATERIALIZED (
    SELECT *, clock_timestamp() AS now FROM before
), after AS (
    UPDATE queries q SET {change} FROM step WHERE q.id = step.id
    RETURNING q.*, step.state AS from_state, step.sql_hash AS old_hash, step.now
), audited AS (
    INSERT INTO query_audit (query_id, tenant, owner, subject, from_state, to_state, sql_hash, previous_sql_hash, sql,
                             note, refused_sql, at_time)
    SELECT id, tenant, owner, %(subject)s, from_state, state, sql_hash,
           CASE WHEN sql_hash <> old_hash THEN old_hash ELSE '' END,
           CASE WHEN sql_hash <> old_hash THEN sql ELSE '' END, %(note)s, %(refused_sql)s, now
    FROM after
)
SELECT {columns} FROM after
"""
_IN_TIME = "expire_time > clock_timestamp()"
_APPROVE = (
    f"state = 'PENDING' AND sql_hash = %(sql_hash)s AND {_IN_TIME}",
    "state = 'APPROVED', state_reason = '', decide_time = now",
)
_REJECT = (
    f"state IN ('PENDING', 'APPROVED') AND {_IN_TIME}",
    "state = 'REJECTED', state_reason = 'REJECTED', decide_time = now",
)
_EDIT = (
    f"state = 'PENDING' AND sql_hash = %(old_hash)s AND {_IN_TIME}",
    "sql = %(sql)s, sql_hash = %(sql_hash)s, explanation = %(explanation)s, tables = %(tables)s,"
    " plan_cost = %(plan_cost)s, state_reason = %(note)s",
)
_TELL_REFUSED = (
    f"state = 'PENDING' AND refused_edits < {MAX_REFUSED_EDITS} AND {_IN_TIME}",
    "refused_edits = refused_edits + 1",
)
_BEGIN = (
    f"state = 'APPROVED' AND sql_hash = %(sql_hash)s AND {_IN_TIME}",
    "state = 'EXECUTING', execute_time = now",
)
_FINISH = ("state = 'EXECUTING'", "state = 'EXECUTED', row_count = %(row_count)s")
_FAIL = ("state = 'EXECUTING'", "state = 'FAILED', state_reason = %(note)s")

# Rows that somebody else is moving on at this moment are left to them.
_SETTLE = """
WITH before AS (
    SELECT id, state FROM queries
    WHERE tenant = %(tenant)s AND (%(id)s::text IS NULL OR id = %(id)s) AND (
        (state IN ('PENDING', 'APPROVED') AND expire_time <= clock_timestamp())
        OR (state = 'EXECUTING' AND execute_time <= clock_timestamp() - %(run_lease)s))
    ORDER BY id FOR UPDATE SKIP LOCKED
), after AS (
    UPDATE queries q
    SET state = CASE WHEN before.state = 'EXECUTING' THEN 'FAILED' ELSE 'EXPIRED' END,
        state_reason = CASE WHEN before.state = 'EXECUTING' THEN 'OUTCOME_UNKNOWN' ELSE 'EXPIRED' END
    FROM before WHERE q.id = before.id
    RETURNING q.id, q.tenant, q.owner, before.state AS from_state, q.state, q.sql_hash, q.state_reason
)
INSERT INTO query_audit (query_id, tenant, owner, subject, from_state, to_state, sql_hash, note, at_time)
SELECT id, tenant, owner, '', from_state, state, sql_hash, state_reason, clock_timestamp() FROM after
"""


class PostgresQueryStore:
    """See `QueryStore`. A run that has not ended after `run_lease` is taken for dead."""

    def __init__(self, pool: StorePool, *, run_lease: timedelta) -> None:
        self._pool = pool
        self._run_lease = run_lease

    async def add(self, query: SqlQuery, *, request_id: str, keeps_for: timedelta) -> SqlQuery:
        """See the port."""
        values = {**_values_of(query), "request_id": request_id or None, "keeps_for": keeps_for}
        async with self._cursor() as cursor:
            row = await (await cursor.execute(_INSERT.encode(), values)).fetchone()
        if row is not None:
            return _query(row)
        earlier = await self.find_by_request(query.owner, request_id)
        if earlier is None:  # Removed between the two statements: nothing in this service does that.
            raise QueryStoreUnavailable
        return earlier

    async def add_begun(self, query: SqlQuery, *, note: str, keeps_for: timedelta) -> SqlQuery:
        """See the port."""
        values = {**_values_of(query), "note": note, "keeps_for": keeps_for}
        async with self._cursor() as cursor:
            row = await (await cursor.execute(_INSERT_BEGUN.encode(), values)).fetchone()
        assert row is not None
        return _query(row)

    async def find_by_request(self, owner: Owner, request_id: str) -> SqlQuery | None:
        """See the port."""
        async with self._settled(owner.tenant) as cursor:
            values = {"request_id": request_id, **_whose(owner)}
            row = await (await cursor.execute(_BY_REQUEST.encode(), values)).fetchone()
        return _query(row) if row else None

    async def get(self, owner: Owner, query_id: str) -> SqlQuery | None:
        """See the port."""
        async with self._settled(owner.tenant, query_id) as cursor:
            row = await (await cursor.execute(_BY_ID.encode(), {"id": query_id, **_whose(owner)})).fetchone()
        return _query(row) if row else None

    async def approve(self, owner: Owner, query_id: str, *, sql_hash: str) -> SqlQuery | None:
        """See the port."""
        return await self._move(_APPROVE, owner, query_id, {"sql_hash": sql_hash})

    async def reject(self, owner: Owner, query_id: str, *, note: str) -> SqlQuery | None:
        """See the port."""
        return await self._move(_REJECT, owner, query_id, {"note": note})

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
        values = {
            "old_hash": old_hash,
            "sql": sql,
            "sql_hash": sql_hash(sql),
            "explanation": explanation,
            "tables": list(tables),
            "plan_cost": plan_cost,
            "note": WaitReason.EDITED,
        }
        return await self._move(_EDIT, owner, query_id, values)

    async def tell_refused_edit(self, owner: Owner, query_id: str, *, sql: str, note: str) -> SqlQuery | None:
        """See the port."""
        return await self._move(_TELL_REFUSED, owner, query_id, {"refused_sql": sql, "note": note})

    async def begin_run(self, owner: Owner, query_id: str, *, sql_hash: str) -> SqlQuery | None:
        """See the port."""
        return await self._move(_BEGIN, owner, query_id, {"sql_hash": sql_hash})

    async def finish_run(self, owner: Owner, query_id: str, *, row_count: int) -> SqlQuery | None:
        """See the port."""
        return await self._move(_FINISH, owner, query_id, {"row_count": row_count})

    async def fail_run(self, owner: Owner, query_id: str, *, reason: str) -> SqlQuery | None:
        """See the port."""
        return await self._move(_FAIL, owner, query_id, {"note": reason})

    async def page(
        self, owner: Owner, *, state: QueryState | None, after: QueryPosition | None, limit: int
    ) -> QueryPage:
        """See the port."""
        values = {
            "state": state,
            "after_time": after.create_time if after else None,
            "after_id": after.id if after else None,
            "limit": limit + 1,
            **_whose(owner),
        }
        async with self._settled(owner.tenant) as cursor:
            rows = await (await cursor.execute(_PAGE.encode(), values)).fetchall()
        queries = tuple(map(_query, rows[:limit]))
        last = QueryPosition(queries[-1].create_time, queries[-1].id) if len(rows) > limit else None
        return QueryPage(queries, last)

    async def audit(self, scope: AuditScope, *, after: AuditPosition | None, limit: int) -> AuditPage:
        """See the port."""
        async with self._settled(scope.tenant, scope.query_id) as cursor:
            return await read_audit(cursor, scope, after=after, limit=limit)

    async def count_by_state(self, tenant: str) -> dict[QueryState, int]:
        """See the port."""
        async with self._settled(tenant) as cursor:
            rows = await (await cursor.execute(_COUNT.encode(), {"tenant": tenant})).fetchall()
        return {QueryState(row["state"]): row["number"] for row in rows}

    async def is_reachable(self) -> bool:
        """See the port."""
        try:
            async with self._pool.connection(timeout=2) as connection:
                await connection.execute("SELECT 1")
        except (psycopg.Error, OSError):
            return False
        return True

    async def _move(
        self, transition: tuple[str, str], owner: Owner, query_id: str, values: Mapping[str, object]
    ) -> SqlQuery | None:
        """Make a transition; the query after it, or None when it did not stand where the transition starts."""
        guard, change = transition
        statement = _TRANSITION.format(guard=guard, change=change, columns=_COLUMNS)
        known = {"id": query_id, "subject": owner.subject, "note": "", "refused_sql": "", **_whose(owner), **values}
        async with self._cursor() as cursor:
            row = await (await cursor.execute(statement.encode(), known)).fetchone()
        return _query(row) if row else None

    @asynccontextmanager
    async def _cursor(self) -> AsyncIterator[AsyncCursor[DictRow]]:
        try:
            async with self._pool.connection() as connection:
                # Each statement here is whole in itself; a transaction around it would cost two more round trips.
                await connection.set_autocommit(True)
                async with connection.cursor(row_factory=dict_row) as cursor:
                    yield cursor
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:  # PoolTimeout is operational too
            raise QueryStoreUnavailable from error

    @asynccontextmanager
    async def _settled(self, tenant: str, query_id: str | None = None) -> AsyncIterator[AsyncCursor[DictRow]]:
        """A cursor, after what time alone has decided has been written down."""
        async with self._cursor() as cursor:
            values = {"tenant": tenant, "id": query_id, "run_lease": self._run_lease}
            await cursor.execute(_SETTLE, values)
            yield cursor


def _whose(owner: Owner) -> dict[str, str]:
    return {"tenant": owner.tenant, "owner": owner.subject}


def _values_of(query: SqlQuery) -> dict[str, object]:
    return {
        "id": query.id,
        "question": query.question,
        "sql": query.sql,
        "sql_hash": query.sql_hash,
        "explanation": query.explanation,
        "confidence": query.confidence,
        "tables": list(query.tables),
        "plan_cost": query.plan_cost,
        "state_reason": query.state_reason,
        **_whose(query.owner),
    }


def _query(row: DictRow) -> SqlQuery:
    return SqlQuery(
        id=row["id"],
        owner=Owner(row["tenant"], row["owner"]),
        question=row["question"],
        sql=row["sql"],
        sql_hash=row["sql_hash"],
        explanation=row["explanation"],
        state=QueryState(row["state"]),
        confidence=row["confidence"],
        tables=tuple(row["tables"]),
        create_time=row["create_time"],
        expire_time=row["expire_time"],
        decide_time=row["decide_time"],
        execute_time=row["execute_time"],
        state_reason=row["state_reason"],
        row_count=row["row_count"],
        plan_cost=row["plan_cost"],
        refused_edits=row["refused_edits"],
    )
