"""Connections to the user's PostgreSQL on which nothing but reading can be done, and of which nothing is left behind.

The transaction is READ ONLY and always rolled back; DISCARD ALL then takes away what a session could keep (advisory
locks outlive a rollback).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
from psycopg.adapt import AdaptersMap
from psycopg_pool import AsyncConnectionPool

from services.sql.adapters.postgres_bounds import BoundedConnection
from services.sql.adapters.postgres_values import value_adapters
from services.storage.idle_check import IdleCheck

Connection = BoundedConnection
Pool = AsyncConnectionPool[Connection]

TIME_TO_CANCEL_SECONDS = 2.0

_SESSION = (
    "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true),"
    " set_config('idle_in_transaction_session_timeout', %s, true), set_config('work_mem', %s, true),"
    " set_config('max_parallel_workers_per_gather', '0', true), set_config('jit', 'off', true),"
    " set_config('standard_conforming_strings', 'on', true),"
    " set_config('cursor_tuple_fraction', '1', true), set_config('client_min_messages', 'error', true),"
    " set_config('DateStyle', 'ISO, YMD', true), set_config('IntervalStyle', 'iso_8601', true),"
    " set_config('bytea_output', 'hex', true), set_config('extra_float_digits', '1', true)"
)


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
        connection.bound()

    pool: Pool = AsyncConnectionPool(
        url,
        connection_class=BoundedConnection,
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


@asynccontextmanager
async def read_only_transaction(
    pool: Pool, limits: RunLimits, *, wait_seconds: float | None = None
) -> AsyncIterator[Connection]:
    """A connection in a READ ONLY transaction under `limits`; nothing of it outlives the block.

    It is waited for as long as the pool does, where nothing else is said.
    """
    milliseconds = f"{int(limits.statement_seconds * 1000)}ms"
    async with pool.connection(timeout=wait_seconds) as connection:
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
    connection.allow(None)
    cut = asyncio.get_running_loop().call_later(TIME_TO_CANCEL_SECONDS, connection.cut)
    try:
        async with asyncio.timeout(TIME_TO_CANCEL_SECONDS):
            await connection.execute("ROLLBACK")
            await connection.execute("DISCARD ALL")
            await connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    except (psycopg.Error, TimeoutError, OSError, asyncio.CancelledError) as error:
        await connection.close()
        if isinstance(error, asyncio.CancelledError):
            raise
    finally:
        cut.cancel()
