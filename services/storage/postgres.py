"""A service's own PostgreSQL store: one schema, brought up to date, behind a small pool of checked connections."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from services.storage.errors import MigrationFailed, MigrationRefused, StorageUnreachable, StorageUrlInvalid
from services.storage.idle_check import IdleCheck
from services.storage.migrations import Migration, outstanding, read_migrations

logger = logging.getLogger(__name__)

_SCHEMA_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_FIRST_PAUSE_SECONDS = 0.05

_CREATE_HISTORY = sql.SQL(
    "CREATE TABLE IF NOT EXISTS {schema}.schema_migrations ("
    " version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,"
    " applied_at timestamptz NOT NULL DEFAULT now())"
)
_READ_HISTORY = sql.SQL("SELECT version, checksum FROM {schema}.schema_migrations")
_ADD_TO_HISTORY = sql.SQL("INSERT INTO {schema}.schema_migrations (version, name, checksum) VALUES (%s, %s, %s)")
# Keyed by the schema, so that services sharing one database do not wait for each other.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('diglot.migrations.' || %s, 0))"


@asynccontextmanager
async def open_store(
    url: str,
    *,
    schema: str,
    migrations: Path,
    max_connections: int = 4,
    connect_wait_seconds: float = 10,
    checkout_wait_seconds: float = 5,
) -> AsyncIterator[AsyncConnectionPool[AsyncConnection[TupleRow]]]:
    """Bring `schema` up to date and lend a pool of connections to it.

    The first connection is made here and tried again until `connect_wait_seconds` are over, because a service and its
    store often start together. Afterwards the pool holds no connection that is not used: it opens them on demand and
    checks each when it is taken out, so a store that was restarted, or a process that was frozen, costs no error.

    Connections are in transactions unless the caller says otherwise, and see `schema` first, then `public`.

    Args:
        url: a libpq URL, for instance "postgresql://user:password@host/database".
        schema: name of the schema that is this service's alone; made when it is missing.
        migrations: folder of `NNNN_title.sql` files, each applied once, in order, in a transaction of its own.
        max_connections: most connections open at a time.
        connect_wait_seconds: how long to wait for a store that does not answer yet.
        checkout_wait_seconds: how long a caller waits for a free connection before `psycopg_pool.PoolTimeout`.
    Raises:
        StorageUnreachable: nobody answered in time.
        StorageUrlInvalid: `url` cannot be read.
        MigrationRefused: a migration was changed after it was applied, is misnamed, or failed.
    """
    if not _SCHEMA_NAME.fullmatch(schema):
        raise ValueError(f"{schema!r} is no schema name of lower-case letters, digits and underscores")
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise StorageUrlInvalid(
            "DIGLOT_STORE_URL cannot be read; a right one looks like postgresql://user:password@host:5432/database"
        ) from None
    steps = read_migrations(migrations)

    async with await _connect(url, wait_seconds=connect_wait_seconds) as connection:
        await _migrate(connection, schema, steps)

    async def prepare(connection: AsyncConnection[TupleRow]) -> None:
        # Sent after connecting and not as a start-up option, which connection poolers refuse.
        await connection.execute("SELECT set_config('search_path', %s, false)", (f"{schema}, public",))
        await connection.commit()

    pool = AsyncConnectionPool(
        url,
        min_size=0,
        max_size=max_connections,
        open=False,
        configure=prepare,
        check=IdleCheck(),
        timeout=checkout_wait_seconds,
        name=schema,
        kwargs={"connect_timeout": 5, "application_name": f"diglot-{schema}"},
    )
    async with pool:
        yield pool


async def _connect(url: str, *, wait_seconds: float) -> AsyncConnection[TupleRow]:
    give_up = time.monotonic() + wait_seconds
    pause_seconds = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await AsyncConnection.connect(url, connect_timeout=5, autocommit=True)
        except psycopg.OperationalError as error:
            if time.monotonic() + pause_seconds > give_up:
                raise StorageUnreachable(
                    "the store cannot be reached, or refuses the login; check DIGLOT_STORE_URL and that it runs"
                ) from error
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(2 * pause_seconds, 0.5)


async def _migrate(connection: AsyncConnection[TupleRow], schema: str, steps: list[Migration]) -> None:
    try:
        if await _history_exists(connection, schema) and not outstanding(steps, await _history(connection, schema)):
            return  # The usual start: one look, no lock.
        async with connection.transaction():
            await connection.execute(_LOCK, (schema,))
            # Asked first, because CREATE … IF NOT EXISTS wants the right to create even when there is nothing to do.
            if not await _schema_exists(connection, schema):
                await connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
            if not await _history_exists(connection, schema):
                await connection.execute(_CREATE_HISTORY.format(schema=sql.Identifier(schema)))
        for step in steps:
            await _apply(connection, schema, step)
    except psycopg.OperationalError as error:
        raise StorageUnreachable("the store went away while it was being brought up to date") from error


async def _apply(connection: AsyncConnection[TupleRow], schema: str, step: Migration) -> None:
    """Apply one step unless another process has done so while this one waited for the lock."""
    async with connection.transaction():
        await connection.execute(_LOCK, (schema,))
        if not outstanding([step], await _history(connection, schema)):
            return
        await connection.execute("SELECT set_config('search_path', %s, true)", (f"{schema}, public",))
        try:
            await connection.execute(step.statements.encode())
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            raise MigrationFailed(f"{step.name!r} failed: {error.diag.message_primary}") from error
        if connection.info.transaction_status != TransactionStatus.INTRANS:
            raise MigrationRefused(f"{step.name!r} ends the transaction it runs in; leave out BEGIN and COMMIT")
        await connection.execute(
            _ADD_TO_HISTORY.format(schema=sql.Identifier(schema)), (step.version, step.name, step.checksum)
        )
    logger.info("store.migrated", extra={"schema": schema, "version": step.version})


async def _schema_exists(connection: AsyncConnection[TupleRow], schema: str) -> bool:
    cursor = await connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,))
    return await cursor.fetchone() is not None


async def _history_exists(connection: AsyncConnection[TupleRow], schema: str) -> bool:
    cursor = await connection.execute(
        "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = 'schema_migrations'", (schema,)
    )
    return await cursor.fetchone() is not None


async def _history(connection: AsyncConnection[TupleRow], schema: str) -> dict[int, str]:
    cursor = await connection.execute(_READ_HISTORY.format(schema=sql.Identifier(schema)))
    return dict(await cursor.fetchall())
