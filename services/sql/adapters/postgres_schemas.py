"""The last schema read from each database, in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg import AsyncCursor
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from services.sql.adapters.postgres_queries import StorePool
from services.sql.adapters.schema_content import schema_content, schema_from
from services.sql.errors import QueryStoreUnavailable
from services.sql.models import Schema

_LOAD = "SELECT content, fingerprint, read_time FROM schemas WHERE database = %s"
_SAVE = """
WITH before AS (SELECT fingerprint FROM schemas WHERE database = %(database)s)
INSERT INTO schemas (database, fingerprint, content, read_time)
VALUES (%(database)s, %(fingerprint)s, %(content)s, %(read_time)s)
ON CONFLICT (database) DO UPDATE
SET fingerprint = excluded.fingerprint, content = excluded.content, read_time = excluded.read_time
RETURNING fingerprint IS DISTINCT FROM (SELECT fingerprint FROM before)
"""


class PostgresSchemaStore:
    """See `SchemaStore`."""

    def __init__(self, pool: StorePool) -> None:
        self._pool = pool

    async def load(self, database: str) -> Schema | None:
        """See the port."""
        async with self._cursor() as cursor:
            row = await (await cursor.execute(_LOAD, (database,))).fetchone()
        return schema_from(*row) if row else None

    async def save(self, database: str, schema: Schema) -> bool:
        """See the port."""
        values = {
            "database": database,
            "fingerprint": schema.fingerprint,
            "content": Jsonb(schema_content(schema)),
            "read_time": schema.read_time,
        }
        async with self._cursor() as cursor:
            row = await (await cursor.execute(_SAVE, values)).fetchone()
        return bool(row and row[0])

    @asynccontextmanager
    async def _cursor(self) -> AsyncIterator[AsyncCursor[TupleRow]]:
        try:
            async with self._pool.connection() as connection:
                await connection.set_autocommit(True)
                async with connection.cursor() as cursor:
                    yield cursor
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise QueryStoreUnavailable from error
