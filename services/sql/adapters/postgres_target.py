"""Runs guarded queries on the user's PostgreSQL so that nothing but reading can come of it, whatever the text says.

Each layer here holds without the guard: the text is only ever sent by the extended protocol, which refuses more than
one statement; it stands behind EXPLAIN and DECLARE CURSOR, which take queries alone; the transaction is READ ONLY and
always rolled back; and DISCARD ALL then takes away what a session could keep (advisory locks outlive a rollback).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import psycopg
from psycopg import AsyncConnection
from psycopg.adapt import AdaptersMap
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from services.sql.adapters.postgres_values import register_array_of, size_bytes, value_adapters
from services.sql.errors import DatabaseUnavailable, QueryFailed, QueryTooCostly, SqlError, StatementTimeout
from services.sql.models import Plan, ResultColumn, ResultTable, SqlValue
from services.storage.idle_check import IdleCheck

logger = logging.getLogger(__name__)

Connection = AsyncConnection[TupleRow]
Pool = AsyncConnectionPool[Connection]

_CURSOR = "diglot"
_ROWS_A_FETCH = 250
_TIME_TO_CANCEL_SECONDS = 2.0
_REACH_SECONDS = 2.0

_SESSION = (
    "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true),"
    " set_config('idle_in_transaction_session_timeout', %s, true), set_config('work_mem', %s, true),"
    " set_config('max_parallel_workers_per_gather', '0', true), set_config('standard_conforming_strings', 'on', true),"
    " set_config('DateStyle', 'ISO, YMD', true), set_config('IntervalStyle', 'postgres', true),"
    " set_config('bytea_output', 'hex', true), set_config('extra_float_digits', '1', true)"
)
_TYPES = "SELECT oid::int8, typname, typelem::int8, typcategory::text, typdelim::text FROM pg_type WHERE oid = ANY(%s)"

# What is told of a failed statement: a fixed text for the class of its SQLSTATE. The driver's own text may hold data.
_CLASS_MESSAGES = {
    "21": "a subquery gave more than one row where one value is needed",
    "22": "a value cannot be computed or converted",
    "25": "the statement would write, and only reading is allowed",
    "42": "the database does not accept the statement",
    "53": "the database has no resources left for the query",
    "54": "the query is too large for the database",
    "0A": "the database does not support the statement",
}
_CONNECTION_CLASSES = ("08", "57", "28", "3D")  # broken, shut down, login refused, no such database


@dataclass(frozen=True)
class RunLimits:
    """What one run may take."""

    statement_seconds: float
    lock_seconds: float
    work_memory_kilobytes: int
    max_plan_cost: float  # in the planner's units; a sequential page read is 1
    max_rows: int
    max_bytes: int


@asynccontextmanager
async def open_target_pool(url: str, *, max_connections: int, checkout_wait_seconds: float) -> AsyncIterator[Pool]:
    """A pool of read-only connections to the user's database; it opens them on demand, so it may be down now."""

    async def prepare(connection: Connection) -> None:
        # Sent as a statement: connection poolers refuse unknown start-up options.
        await connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")

    pool: Pool = AsyncConnectionPool(
        url,
        min_size=0,
        max_size=max_connections,
        open=False,
        configure=prepare,
        check=IdleCheck(),
        timeout=checkout_wait_seconds,
        reconnect_timeout=checkout_wait_seconds,
        name="target",
        kwargs={
            "autocommit": True,  # BEGIN and ROLLBACK are sent by hand, READ ONLY and without a gap.
            "prepare_threshold": None,
            "connect_timeout": 5,
            "application_name": "diglot-sql",
            "client_encoding": "UTF8",
            "context": _Adapters(value_adapters()),
        },
    )
    async with pool:
        yield pool


class _Adapters:
    """Hands psycopg our loaders in place of its own."""

    connection = None

    def __init__(self, adapters: AdaptersMap) -> None:
        self.adapters = adapters


class PostgresTarget:
    """The user's database behind every limit of `RunLimits`."""

    def __init__(self, pool: Pool, limits: RunLimits, *, max_concurrent_runs: int, wait_seconds: float) -> None:
        self._pool = pool
        self._limits = limits
        self._wait_seconds = wait_seconds
        # Fewer than the pool has connections, so that health is told while every run is busy.
        self._places = asyncio.Semaphore(max_concurrent_runs)

    async def run(self, sql: str) -> ResultTable:
        """See `TargetDatabase.run`. With every place taken it waits, and then gives up as if nobody answered."""
        try:
            await asyncio.wait_for(self._places.acquire(), self._wait_seconds)
        except TimeoutError as error:
            raise DatabaseUnavailable from error
        try:
            return await self._run_now(sql)
        finally:
            self._places.release()

    async def _run_now(self, sql: str) -> ResultTable:
        limits = self._limits
        try:
            # Each statement has its own time limit in the database; this one is over all of them, and for a database
            # that stops answering.
            async with asyncio.timeout(limits.statement_seconds + limits.lock_seconds + _TIME_TO_CANCEL_SECONDS):
                async with read_only_transaction(self._pool, limits) as connection:
                    await self._refuse_if_costly(connection, sql)
                    return await self._fetch(connection, sql)
        except TimeoutError as error:
            raise StatementTimeout from error
        except psycopg.Error as error:
            raise failure_of(error) from error
        except UnicodeDecodeError as error:  # A database without an encoding may hold any bytes as text.
            raise QueryFailed("a value in the result is no valid text", sqlstate="22021") from error

    async def plan(self, sql: str) -> Plan:
        """See `TargetDatabase.plan`."""
        limits = self._limits
        try:
            async with asyncio.timeout(limits.statement_seconds + limits.lock_seconds + _TIME_TO_CANCEL_SECONDS):
                async with read_only_transaction(self._pool, limits) as connection:
                    return await self._plan(connection, sql)
        except TimeoutError as error:
            raise StatementTimeout from error
        except psycopg.Error as error:
            raise failure_of(error) from error

    async def is_reachable(self) -> bool:
        """See `TargetDatabase.is_reachable`."""
        try:
            async with asyncio.timeout(_REACH_SECONDS), self._pool.connection() as connection:
                await connection.execute("SELECT 1")
        except (psycopg.Error, TimeoutError, OSError):
            return False
        return True

    async def _refuse_if_costly(self, connection: Connection, sql: str) -> None:
        cost = (await self._plan(connection, sql)).cost
        if cost > self._limits.max_plan_cost:
            logger.info("query.too_costly", extra={"cost": cost, "ceiling": self._limits.max_plan_cost})
            raise QueryTooCostly

    async def _plan(self, connection: Connection, sql: str) -> Plan:
        # A binary result makes psycopg use the extended protocol, which takes one statement and no more.
        cursor = await connection.execute(b"EXPLAIN (FORMAT JSON) " + sql.encode(), binary=True)
        match await cursor.fetchone():
            case ([{"Plan": {"Total Cost": cost}}],):
                return Plan(float(cost))
            case _:  # PostgreSQL explains some statements, like REFRESH, but plans nothing for them.
                raise QueryFailed(_CLASS_MESSAGES["42"], sqlstate="42601")

    async def _fetch(self, connection: Connection, sql: str) -> ResultTable:
        async with connection.cursor(_CURSOR, scrollable=False) as cursor:
            await cursor.execute(sql.encode())
            description = cursor.description or []
            types = await _type_names(connection, cursor.adapters, [column.type_code for column in description])
            columns = tuple(
                ResultColumn(name, types.get(column.type_code, "unknown"))
                for name, column in zip(_unique([column.name for column in description]), description, strict=True)
            )
            rows: list[tuple[SqlValue, ...]] = []
            total_bytes = 0
            while batch := cast("list[tuple[SqlValue, ...]]", await cursor.fetchmany(_ROWS_A_FETCH)):
                for row in batch:
                    total_bytes += sum(size_bytes(value) for value in row)
                    if len(rows) == self._limits.max_rows or total_bytes > self._limits.max_bytes:
                        return ResultTable(columns, tuple(rows), truncated=True)
                    rows.append(row)
            return ResultTable(columns, tuple(rows))


@asynccontextmanager
async def read_only_transaction(pool: Pool, limits: RunLimits) -> AsyncIterator[Connection]:
    """A connection in a READ ONLY transaction under `limits`; nothing of it outlives the block."""
    milliseconds = f"{int(limits.statement_seconds * 1000)}ms"
    async with pool.connection() as connection:
        try:
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            values = (
                milliseconds,
                f"{int(limits.lock_seconds * 1000)}ms",
                milliseconds,
                f"{limits.work_memory_kilobytes}kB",
            )
            await connection.execute(_SESSION, values)
            yield connection
        finally:
            await _leave_nothing(connection)


async def _leave_nothing(connection: Connection) -> None:
    """Roll back and forget; a connection for which that fails is closed, and the pool replaces it."""
    try:
        async with asyncio.timeout(_TIME_TO_CANCEL_SECONDS):
            await connection.execute("ROLLBACK")
            await connection.execute("DISCARD ALL")
            await connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    except (psycopg.Error, TimeoutError, OSError, asyncio.CancelledError) as error:
        await connection.close()
        if isinstance(error, asyncio.CancelledError):
            raise


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


def failure_of(error: psycopg.Error) -> SqlError:
    """What a driver's error means to callers; its text stays behind, because it may hold data."""
    sqlstate = error.sqlstate
    if sqlstate is None or isinstance(error, PoolTimeout):
        return DatabaseUnavailable()
    if sqlstate in {"57014", "55P03", "25P03"}:  # stopped by a time limit: statement, lock, idle
        return StatementTimeout()
    if sqlstate.startswith(_CONNECTION_CLASSES) or sqlstate == "53300":  # too many connections
        return DatabaseUnavailable()
    if sqlstate == "42501":
        return QueryFailed("the database role may not read this", sqlstate=sqlstate)
    message = _CLASS_MESSAGES.get(sqlstate[:2], "the database could not run the statement")
    return QueryFailed(message, sqlstate=sqlstate)
