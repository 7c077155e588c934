"""Runs guarded queries on the user's PostgreSQL so that nothing but reading can come of it, whatever the text says.

Each layer here holds without the guard: the text is only ever sent by the extended protocol, which refuses more than
one statement; it stands behind EXPLAIN, and inside a subquery, which take queries alone; and see `postgres_session`.

The database itself counts the bytes of a result and blanks whatever comes after the cap, so that no value, however
large, is sent to us only to be thrown away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg
from psycopg.adapt import AdaptersMap
from psycopg_pool import PoolTimeout

from services.sql.adapters.postgres_bounds import CANCEL_SECONDS
from services.sql.adapters.postgres_failures import CLASS_MESSAGES, failure_of, planning_failure_of
from services.sql.adapters.postgres_role import TargetWatch
from services.sql.adapters.postgres_session import (
    TIME_TO_CANCEL_SECONDS,
    Connection,
    Pool,
    RunLimits,
    read_only_transaction,
)
from services.sql.adapters.postgres_values import register_array_of
from services.sql.errors import DatabaseRefused, DatabaseUnavailable, QueryFailed, QueryTooCostly, StatementTimeout
from services.sql.models import Plan, ResultColumn, ResultTable, SqlValue
from services.sql.plan_memory import MAX_GATHERED_BYTES, gathered_bytes, names_gathering

logger = logging.getLogger(__name__)

_CURSOR = "diglot"
_REACH_SECONDS = 2.0
# Where nobody answered the last time, who comes next is not made to wait as long again for finding that out.
_AWAY_WAIT_SECONDS = 0.5
_BYTES_BESIDES_ROWS = 4_000_000  # plans, names, and the texts of errors

_TYPES = "SELECT oid::int8, typname, typelem::int8, typcategory::text, typdelim::text FROM pg_type WHERE oid = ANY(%s)"


class PostgresTarget:
    """The user's database behind every limit of `RunLimits`."""

    def __init__(
        self,
        pool: Pool,
        limits: RunLimits,
        *,
        max_concurrent_runs: int,
        wait_seconds: float,
        watch: TargetWatch | None = None,
    ) -> None:
        self._pool = pool
        self._limits = limits
        self._watch = watch
        self._wait_seconds = wait_seconds
        self._is_away = False
        # Fewer than the pool has connections, so that health is told while every run is busy.
        self._places = asyncio.Semaphore(max_concurrent_runs)

    async def plan(self, sql: str) -> Plan:
        """See `TargetDatabase.plan`."""
        async with self._connected() as connection:
            try:
                return await explain(connection, sql)
            except psycopg.Error as error:
                raise planning_failure_of(error, sql) from error

    async def run(self, sql: str) -> ResultTable:
        """See `TargetDatabase.run`. With every place taken it waits, and then gives up as if nobody answered."""
        async with self._connected() as connection:
            plan = await explain(connection, sql)
            if plan.cost > self._limits.max_plan_cost or plan.gathered_bytes > MAX_GATHERED_BYTES:
                facts = {
                    "cost": plan.cost,
                    "ceiling": self._limits.max_plan_cost,
                    "gathered_bytes": plan.gathered_bytes,
                }
                logger.info("query.too_costly", extra=facts)
                if plan.cost > self._limits.max_plan_cost:
                    raise QueryTooCostly(cost=plan.cost, ceiling=self._limits.max_plan_cost)
                raise QueryTooCostly
            return await fetch(connection, sql, self._limits)

    async def is_reachable(self) -> bool:
        """See `TargetDatabase.is_reachable`."""
        try:
            async with asyncio.timeout(_REACH_SECONDS), self._pool.connection() as connection:
                await connection.execute("SELECT 1")
                if self._watch is not None:
                    await self._watch.look(connection)
        except (psycopg.Error, TimeoutError, OSError, DatabaseRefused):
            return False
        return True

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        """A connection within every limit of time, when there is a place; what goes wrong on it is translated."""
        try:
            await asyncio.wait_for(self._places.acquire(), self._wait_seconds)
        except TimeoutError as error:
            raise DatabaseUnavailable from error
        limits = self._limits
        try:
            # Each statement has its own time limit in the database; this one is over all of them, and for a database
            # that stops answering.
            async with asyncio.timeout(
                limits.statement_seconds + limits.lock_seconds + TIME_TO_CANCEL_SECONDS
            ) as limit:
                wait_seconds = _AWAY_WAIT_SECONDS if self._is_away else None
                async with read_only_transaction(self._pool, limits, wait_seconds=wait_seconds) as connection:
                    self._is_away = False
                    # The driver asks the database to stop, and waits for that; one that does not stop keeps no place.
                    ends_at = (limit.when() or 0.0) + CANCEL_SECONDS
                    cut = asyncio.get_running_loop().call_at(ends_at, connection.cut)
                    try:
                        if self._watch is not None:
                            await self._watch.look(connection)
                        connection.allow(2 * limits.max_bytes + _BYTES_BESIDES_ROWS)
                        yield connection
                    finally:
                        cut.cancel()
        except TimeoutError as error:
            raise StatementTimeout from error
        except psycopg.Error as error:
            self._is_away = isinstance(error, PoolTimeout)
            raise failure_of(error) from error
        except UnicodeEncodeError as error:
            raise QueryFailed("the statement is no valid text", sqlstate="22021") from error
        except UnicodeDecodeError as error:  # A database without an encoding may hold any bytes as text.
            raise QueryFailed("a value in the result is no valid text", sqlstate="22021") from error
        finally:
            self._places.release()


async def explain(connection: Connection, sql: str) -> Plan:
    """How the query would be run. Raises QueryFailed where the text is no query, psycopg.Error for all else."""
    # A binary result makes psycopg use the extended protocol, which takes one statement and no more.
    # Of itself VERBOSE would also tell what constants come to, however large.
    form = b"EXPLAIN (FORMAT JSON, VERBOSE) " if names_gathering(sql) else b"EXPLAIN (FORMAT JSON) "
    cursor = await connection.execute(form + sql.encode(), binary=True)
    match await cursor.fetchone():
        case ([{"Plan": {"Total Cost": cost} as plan}],):
            return Plan(float(cost), gathered_bytes(plan, sql))
        case _:  # PostgreSQL explains some statements, like REFRESH, but plans nothing for them.
            raise QueryFailed(CLASS_MESSAGES["42"], sqlstate="42601")


async def fetch(connection: Connection, sql: str, limits: RunLimits) -> ResultTable:
    """Rows of a query in a transaction, as many as the limits let through. Raises QueryFailed, psycopg.Error."""
    cursor = connection.cursor()
    await cursor.execute(_described(sql), binary=True)
    description = cursor.description or []
    if not description:
        raise QueryFailed("the query has no columns", sqlstate="42601")
    types = await _type_names(connection, cursor.adapters, [column.type_code for column in description])
    columns = tuple(
        ResultColumn(name, types.get(column.type_code, "unknown"))
        for name, column in zip(_unique([column.name for column in description]), description, strict=True)
    )
    await cursor.execute(_declared(sql, len(columns), limits), binary=True)
    await cursor.execute(f"FETCH {limits.max_rows + 1} FROM {_CURSOR}".encode(), binary=False)
    rows: list[tuple[SqlValue, ...]] = []
    async for *values, sent_bytes in cursor:
        if len(rows) == limits.max_rows or sent_bytes > limits.max_bytes:
            if not rows:
                raise QueryFailed(
                    f"a single row of the result is larger than {limits.max_bytes} bytes; ask for less of it",
                    sqlstate="54000",
                )
            return ResultTable(columns, tuple(rows), truncated=True)
        rows.append(tuple(values))
    return ResultTable(columns, tuple(rows))


def _described(sql: str) -> bytes:
    """A statement that has the columns of the query, and no rows."""
    return f"SELECT * FROM ({sql}\n) AS query LIMIT 0".encode()  # noqa: S608 - the text is what is run


def _declared(sql: str, width: int, limits: RunLimits) -> bytes:
    """A cursor for the query's rows, blank from where they pass the cap, each with the bytes sent up to it.

    EXPLAIN has taken the text for a whole statement, so that it cannot end the parenthesis that it is put into.
    """
    names = [f"c{number}" for number in range(width)]
    kept = ", ".join(f"CASE WHEN sent <= {limits.max_bytes} THEN {name} END" for name in names)
    # The length of its text is what a value takes on the wire.
    sizes = " + ".join(f"coalesce(octet_length({name}::text), 0)::int8" for name in names)
    rows = f"SELECT * FROM ({sql}\n) AS query ({', '.join(names)}) LIMIT {limits.max_rows + 1}"  # noqa: S608 - see above
    measured = f"SELECT *, sum({sizes}) OVER (ROWS UNBOUNDED PRECEDING) AS sent FROM ({rows}) AS first_rows"  # noqa: S608
    query = f"SELECT {kept}, sent::int8 FROM ({measured}) AS measured"  # noqa: S608
    return f"DECLARE {_CURSOR} NO SCROLL CURSOR FOR {query}".encode()


async def _type_names(connection: Connection, adapters: AdaptersMap, oids: Sequence[int]) -> dict[int, str]:
    """Names of types; arrays of types that only this database knows are taught to `adapters` on the way."""
    cursor = await connection.execute(_TYPES, (list(set(oids)),))
    facts = await cursor.fetchall()
    for oid, _, element_oid, category, delimiter in facts:
        if category == "A" and element_oid:
            register_array_of(adapters, element_oid, oid, delimiter)
    return {oid: f"{name[1:]}[]" if category == "A" else name for oid, name, _, category, _ in facts}


def _unique(names: Sequence[str]) -> list[str]:
    """The names, where a second `id` becomes `id_2`, and `id_3` when the query has an `id_2` of its own."""
    taken: set[str] = set()
    unique = []
    for name in names:
        candidate, number = name, 1
        while candidate in taken or (number > 1 and candidate in names):
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate)
        unique.append(candidate)
    return unique
