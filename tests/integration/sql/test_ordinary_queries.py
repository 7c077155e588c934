"""Ordinary queries to the sample shop pass the guard and give the same rows as written."""

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from services.sql.adapters.postgres_introspection import PostgresSchemaReader, ReadLimits
from services.sql.adapters.postgres_session import open_target_pool
from services.sql.models import Schema
from services.sql.query_guard import QueryGuard
from services.sql.visibility import Visibility

GUARD = QueryGuard(max_rows=1_000)
QUERIES = [
    line
    for line in Path(__file__).with_name("ordinary_queries.sql").read_text().splitlines()
    if not line.startswith("--")
]


async def schema_of(url: str) -> Schema:
    async with open_target_pool(url, max_connections=1, checkout_wait_seconds=5) as pool:
        return await PostgresSchemaReader(pool, ReadLimits(20, 20, 5, 1_000)).read()


def rows_of(connection: psycopg.Connection[tuple[object, ...]], query: str) -> list[str]:
    # In one transaction the clock stands still.
    connection.execute("SET TRANSACTION READ ONLY")
    return sorted(map(repr, connection.execute(query.encode()).fetchall()))


async def test_ordinary_queries_pass_and_give_the_same_rows(shop_url: str) -> None:
    schema = await schema_of(shop_url)

    with psycopg.connect(shop_url) as connection:
        for query in QUERIES:
            verdict = GUARD.check(query, schema)
            assert verdict.allowed, (query, [str(refusal) for refusal in verdict.refusals])
            expected = rows_of(connection, query)
            assert len(expected) <= 1_000
            assert rows_of(connection, verdict.sql) == expected, (query, verdict.sql)
            assert GUARD.check_again(verdict.sql, schema) == verdict


async def test_what_is_written_where_every_table_may_get_hidden_columns_is_written_the_same_again(
    shop_url: str,
) -> None:
    schema = await schema_of(shop_url)
    partial = replace(schema, tables=tuple(Visibility.parse("", "*.ssn").shown(schema.tables)))

    for query in QUERIES:
        verdict = GUARD.check(query, partial)
        assert verdict.allowed, query
        assert GUARD.check_again(verdict.sql, partial) == verdict


def test_there_are_many_of_them() -> None:
    assert len(set(QUERIES)) >= 250


@pytest.mark.parametrize("table", ["customers", "orders", "order_items", "products"])
async def test_a_table_read_as_a_whole_gives_every_column(table: str, shop_url: str) -> None:
    schema = await schema_of(shop_url)
    verdict = GUARD.check(f"TABLE {table}", schema)

    with psycopg.connect(shop_url) as connection:
        names = [column.name for column in connection.execute(verdict.sql.encode()).description or ()]

    described = schema.table("public", table)
    assert described is not None
    assert names == [column.name for column in described.columns]
