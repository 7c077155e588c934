"""Reads the user's schema from PostgreSQL's catalogs, as far as the role of the connection may see it.

Names come from the catalogs at once; values from one bounded query for each table, which gives up quietly: a table
that takes too long, or that the role may not read after all, is described without values.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import psycopg

from services.sql.adapters.postgres_failures import failure_of
from services.sql.adapters.postgres_samples import sample_columns
from services.sql.adapters.postgres_session import Connection, Pool, RunLimits, read_only_transaction
from services.sql.errors import DatabaseUnavailable
from services.sql.fingerprints import schema_fingerprint, structure_digest
from services.sql.guard_syntax import FUNCTIONS, SYMBOLS
from services.sql.models import Column, ColumnKind, ForeignKey, Schema, Table, TableKind
from services.sql.visibility import Unmatched, Visibility

logger = logging.getLogger(__name__)

MAX_TABLES = 2_000

# Of a partitioned table its partitions are no tables of their own, unless they are all that the role may read of it.
_VISIBLE = """
    c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND NOT (c.relispartition AND EXISTS (
        SELECT 1 FROM pg_partition_ancestors(c.oid) AS a(relid) JOIN pg_class p ON p.oid = a.relid
        WHERE a.relid <> c.oid AND has_schema_privilege(p.relnamespace, 'USAGE')
        AND has_any_column_privilege(a.relid, 'SELECT')))
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND has_schema_privilege(n.oid, 'USAGE')
    AND has_any_column_privilege(c.oid, 'SELECT')
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND d.deptype = 'e')
"""  # What an extension brings along (deptype e) is not the user's data.
_TABLES = f"""
SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind IN ('v', 'm') AS is_view,
       coalesce(obj_description(c.oid, 'pg_class'), '') AS comment,
       CASE WHEN c.relkind = 'v' THEN -1 WHEN c.relkind <> 'p' OR c.reltuples >= 0 THEN c.reltuples
       ELSE (SELECT CASE WHEN min(leaf.reltuples) >= 0 THEN sum(leaf.reltuples) ELSE -1 END
             FROM pg_partition_tree(c.oid) t JOIN pg_class leaf ON leaf.oid = t.relid WHERE t.isleaf) END::int8
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_VISIBLE}
ORDER BY n.nspname, c.relname LIMIT {MAX_TABLES}
"""  # noqa: S608 - built from constants
# A domain is described by the type that it stands for in the end.
_COLUMNS = """
WITH RECURSIVE domains AS (
    SELECT oid AS domain, typbasetype AS base FROM pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT d.domain, t.typbasetype FROM domains d JOIN pg_type t ON t.oid = d.base WHERE t.typtype = 'd'
), bases AS (
    SELECT d.domain, d.base FROM domains d JOIN pg_type t ON t.oid = d.base WHERE t.typtype <> 'd'
)
SELECT a.attrelid::int8, a.attname::text, b.typname::text, b.typtype::text, b.typcategory::text,
       coalesce(col_description(a.attrelid, a.attnum), '') AS comment, NOT a.attnotnull AS nullable
FROM pg_attribute a LEFT JOIN bases ON bases.domain = a.atttypid
     JOIN pg_type b ON b.oid = coalesce(bases.base, a.atttypid)
WHERE a.attrelid = ANY(%s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
      AND has_column_privilege(a.attrelid, a.attnum, 'SELECT')
ORDER BY a.attrelid, a.attnum
"""
_KEYS = """
SELECT k.conrelid::int8, k.contype::text, k.confrelid::int8,
       (SELECT array_agg(a.attname::text ORDER BY u.place) FROM unnest(k.conkey) WITH ORDINALITY u(attnum, place)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum),
       (SELECT array_agg(a.attname::text ORDER BY u.place) FROM unnest(k.confkey) WITH ORDINALITY u(attnum, place)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum)
FROM pg_constraint k
WHERE k.contype IN ('p', 'f') AND k.conparentid = 0 AND k.conrelid = ANY(%s::oid[])
ORDER BY k.conrelid, k.conname
"""
_DISTINCT = """
SELECT schemaname::text, tablename::text, attname::text, n_distinct::float8 FROM pg_stats
WHERE schemaname = ANY(%s::text[]) AND n_distinct <> 0
"""
_SEARCH_PATH = "SELECT name::text FROM unnest(current_schemas(false)) AS name"
_OWN_FUNCTIONS = """
SELECT DISTINCT p.proname::text
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = ANY(current_schemas(false)) AND n.nspname <> 'pg_catalog' AND p.proname::text = ANY(%s::text[])
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION
SELECT o.oprname::text
FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
WHERE n.nspname = ANY(current_schemas(false)) AND n.nspname <> 'pg_catalog' AND o.oprname::text = ANY(%s::text[])
      AND NOT EXISTS (SELECT FROM pg_type t WHERE t.oid IN (o.oprleft, o.oprright)
                      AND t.typnamespace <> 'pg_catalog'::regnamespace)
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e')
"""

_KINDS_BY_NAME = {
    "int2": ColumnKind.INTEGER, "int4": ColumnKind.INTEGER, "int8": ColumnKind.INTEGER, "numeric": ColumnKind.NUMBER,
    "float4": ColumnKind.NUMBER, "float8": ColumnKind.NUMBER, "money": ColumnKind.NUMBER, "bool": ColumnKind.BOOLEAN,
    "date": ColumnKind.DATE, "timestamp": ColumnKind.TIMESTAMP, "timestamptz": ColumnKind.TIMESTAMP,
    "time": ColumnKind.TIME, "timetz": ColumnKind.TIME, "interval": ColumnKind.INTERVAL, "json": ColumnKind.JSON,
    "jsonb": ColumnKind.JSON, "bytea": ColumnKind.BINARY,
}  # fmt: skip


@dataclass(frozen=True)
class ReadLimits:
    """What reading the schema may take."""

    structure_seconds: float
    sample_seconds: float  # all tables together; those that are left are described without values
    sample_table_seconds: float
    sample_rows: int


@dataclass(frozen=True)
class _Structure:
    """What is read of a schema besides values."""

    tables: list[Table]
    search_path: tuple[str, ...]
    own_functions: frozenset[str]


class PostgresSchemaReader:
    """Reads schema and samples through the same read-only connections that queries run on."""

    def __init__(self, pool: Pool, limits: ReadLimits, *, visibility: Visibility | None = None) -> None:
        self._pool = pool
        self._limits = limits
        self._visibility = visibility or Visibility()
        self._unmatched = Unmatched()

    @property
    def unmatched(self) -> Unmatched:
        """Patterns that stood for nothing when the structure was read last."""
        return self._unmatched

    async def read(self) -> Schema:
        """See `SchemaReader.read`."""
        structure = await self._structure()
        tables = structure.tables
        give_up = time.monotonic() + self._limits.sample_seconds
        described = {(table.schema, table.name): table for table in tables}
        # The small ones first, so that the time is enough for many; views may be anything, so they come last.
        for table in sorted(tables, key=_effort):
            if time.monotonic() >= give_up:
                logger.warning("schema.not_all_sampled", extra={"tables": len(tables)})
                break
            described[table.schema, table.name] = await self._sampled(table)
        sampled = tuple(described.values())
        logger.info("schema.read", extra={"tables": len(sampled), "columns": sum(len(t.columns) for t in sampled)})
        fingerprint = schema_fingerprint(sampled, structure.own_functions)
        return Schema(sampled, fingerprint, datetime.now(UTC), structure.search_path, structure.own_functions)

    async def structure_digest(self) -> str:
        """See `SchemaReader.structure_digest`."""
        structure = await self._structure()
        return structure_digest(structure.tables, structure.own_functions)

    async def _structure(self) -> _Structure:
        try:
            async with asyncio.timeout(self._limits.structure_seconds):
                async with read_only_transaction(self._pool, _session(self._limits.structure_seconds)) as connection:
                    structure = await _read_structure(connection)
                    self._look_at_patterns(structure.tables)
                    return replace(structure, tables=self._visibility.shown(structure.tables))
        except (psycopg.Error, TimeoutError) as error:
            raise DatabaseUnavailable from error

    def _look_at_patterns(self, tables: list[Table]) -> None:
        unmatched = self._visibility.unmatched(tables)
        if unmatched != self._unmatched and str(unmatched):
            advice = f"patterns that match nothing the database role may read: {unmatched}"
            logger.warning("schema.patterns_match_nothing", extra={"advice": advice})
        self._unmatched = unmatched

    async def _sampled(self, table: Table) -> Table:
        seconds = self._limits.sample_table_seconds
        try:
            async with asyncio.timeout(seconds + 1), read_only_transaction(self._pool, _session(seconds)) as connection:
                return await sample_columns(connection, table, max_rows=self._limits.sample_rows)
        except psycopg.Error as error:
            failure = failure_of(error)
            if isinstance(failure, DatabaseUnavailable):
                raise failure from error
            logger.warning("schema.table_not_sampled", extra={"sqlstate": error.sqlstate})
        except TimeoutError:
            logger.warning("schema.table_not_sampled", extra={"sqlstate": "57014"})
        return table


def _effort(table: Table) -> tuple[bool, bool, int]:
    """What sampling the table may take: less comes first."""
    rows = table.estimated_row_count
    return table.kind is TableKind.VIEW, rows < 0, rows


def _session(seconds: float) -> RunLimits:
    return RunLimits(seconds, min(seconds, 1.0), 16 * 1024, 0, 0, 0)  # Only the times and the memory count here.


async def _read_structure(connection: Connection) -> _Structure:
    rows = await (await connection.execute(_TABLES)).fetchall()
    if len(rows) == MAX_TABLES:
        logger.warning("schema.tables_left_out", extra={"most": MAX_TABLES})
    oids = [row[0] for row in rows]
    columns: dict[int, list[Column]] = {oid: [] for oid in oids}
    for oid, name, type_name, type_type, category, comment, nullable in await (
        await connection.execute(_COLUMNS, (oids,))
    ).fetchall():
        shown_type = f"{type_name[1:]}[]" if category == "A" and type_name.startswith("_") else type_name
        kind = _kind(type_name, type_type, category)
        columns[oid].append(Column(name, shown_type, kind, comment=comment, nullable=nullable))
    tables = {
        oid: Table(
            schema,
            name,
            tuple(columns[oid]),
            comment,
            TableKind.VIEW if is_view else TableKind.TABLE,
            max(-1, estimate),
        )
        for oid, schema, name, is_view, comment, estimate in rows
    }
    await _add_keys(connection, tables)
    await _add_distinct_estimates(connection, tables)
    search_path = tuple(name for (name,) in await (await connection.execute(_SEARCH_PATH)).fetchall())
    names = (sorted(FUNCTIONS), sorted(frozenset().union(*SYMBOLS.values())))
    functions = await (await connection.execute(_OWN_FUNCTIONS, names)).fetchall()
    in_order = sorted(tables.values(), key=lambda table: table.full_name)
    return _Structure(in_order, search_path, frozenset(name for (name,) in functions))


async def _add_keys(connection: Connection, tables: dict[int, Table]) -> None:
    """Keys whose columns, here and there, can all be seen."""
    for oid, kind, other_oid, columns, other_columns in await (
        await connection.execute(_KEYS, (list(tables),))
    ).fetchall():
        table, other = tables[oid], tables.get(other_oid)
        if any(table.column(name) is None for name in columns):
            continue
        if kind == "p":
            tables[oid] = replace(table, primary_key=tuple(columns))
        elif other is not None and all(other.column(name) is not None for name in other_columns):
            key = ForeignKey(tuple(columns), other.schema, other.name, tuple(other_columns))
            tables[oid] = replace(table, foreign_keys=(*table.foreign_keys, key))


async def _add_distinct_estimates(connection: Connection, tables: dict[int, Table]) -> None:
    schemas = sorted({table.schema for table in tables.values()})
    rows = await (await connection.execute(_DISTINCT, (schemas,))).fetchall()
    distinct = {(schema, table, column): number for schema, table, column, number in rows}
    for oid, table in tables.items():
        columns = tuple(
            replace(column, distinct_estimate=_distinct_count(number, table.estimated_row_count))
            if (number := distinct.get((table.schema, table.name, column.name))) is not None
            else column
            for column in table.columns
        )
        tables[oid] = replace(table, columns=columns)


def _distinct_count(number: float, rows: int) -> int | None:
    """pg_stats tells either a count, or minus the share of rows that are distinct."""
    if number > 0:
        return round(number)
    return round(-number * rows) if rows >= 0 else None


def _kind(type_name: str, type_type: str, category: str) -> ColumnKind:
    if category == "A":
        return ColumnKind.ARRAY
    if type_name in _KINDS_BY_NAME:
        return _KINDS_BY_NAME[type_name]
    return ColumnKind.TEXT if category == "S" or type_type == "e" or type_name == "citext" else ColumnKind.OTHER
