"""The last schema read from each database, in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

import psycopg
from psycopg import AsyncCursor
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from services.sql.adapters.postgres_queries import StorePool
from services.sql.errors import QueryStoreUnavailable
from services.sql.models import Column, ColumnKind, ForeignKey, Schema, Table, TableKind

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
        return _schema(*row) if row else None

    async def save(self, database: str, schema: Schema) -> bool:
        """See the port."""
        content = {"search_path": list(schema.search_path), "tables": [asdict(table) for table in schema.tables]}
        values = {
            "database": database,
            "fingerprint": schema.fingerprint,
            "content": Jsonb(content),
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


def _schema(content: dict[str, Any], fingerprint: str, read_time: datetime) -> Schema:
    return Schema(tuple(map(_table, content["tables"])), fingerprint, read_time, tuple(content["search_path"]))


def _table(facts: dict[str, Any]) -> Table:
    return Table(
        **{
            **facts,
            "columns": tuple(map(_column, facts["columns"])),
            "kind": TableKind(facts["kind"]),
            "primary_key": tuple(facts["primary_key"]),
            "foreign_keys": tuple(
                ForeignKey(
                    tuple(key["columns"]),
                    key["referenced_schema"],
                    key["referenced_table"],
                    tuple(key["referenced_columns"]),
                )
                for key in facts["foreign_keys"]
            ),
        }
    )


def _column(facts: dict[str, Any]) -> Column:
    lists = {name: tuple(facts[name]) for name in ("sample_values", "values")}
    return Column(**{**facts, **lists, "kind": ColumnKind(facts["kind"])})
