"""The guard on public corpora: right queries pass and mean the same afterwards, attacks do not."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from deploy.local.embedded_postgres import EmbeddedPostgres
from services.sql.adapters.postgres_introspection import PostgresSchemaReader, ReadLimits
from services.sql.adapters.postgres_session import open_target_pool
from services.sql.models import Column, Schema, Table
from services.sql.query_guard import QueryGuard
from tests.integration.sql.databases import own_database
from tests.unit.sql.postgres_reading import reading_of, statements_of

CORPORA = Path(__file__).resolve().parents[4] / "shared" / "eval"
GUARD = QueryGuard(max_rows=1_000)

if not CORPORA.is_dir():
    pytest.skip("the public corpora are not here", allow_module_level=True)


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def databases() -> Iterator[tuple[str, str]]:
    for corpus in ("text2sql_defog", "text2sql_spider_pg"):
        for path in sorted((CORPORA / corpus / "public" / "databases").glob("*.sql")):
            yield corpus, path.stem


def gold_queries(corpus: str, database: str) -> list[str]:
    questions = lines(CORPORA / corpus / "public" / "questions.jsonl")
    return [gold for question in questions if question["db"] == database for gold in question["gold_sql"]]


def rows_of(connection: psycopg.Connection[tuple[object, ...]], query: str) -> list[str]:
    return sorted(map(repr, connection.execute(query.encode()).fetchall()))


@pytest.mark.parametrize(("corpus", "database"), list(databases()))
async def test_every_gold_query_passes_and_gives_the_same_rows(
    corpus: str, database: str, postgres_server: EmbeddedPostgres
) -> None:
    script = (CORPORA / corpus / "public" / "databases" / f"{database}.sql").read_text()
    with own_database(postgres_server, script) as (_, owner_url):
        async with open_target_pool(owner_url, max_connections=1, checkout_wait_seconds=5) as pool:
            schema = await PostgresSchemaReader(pool, ReadLimits(20, 20, 5, 1_000)).read()
        with psycopg.connect(owner_url, autocommit=True) as connection:
            connection.execute(sql.SQL("SET search_path = public"))
            for gold in gold_queries(corpus, database):
                verdict = GUARD.check(gold, schema)
                assert verdict.allowed, (gold, [str(refusal) for refusal in verdict.refusals])
                assert GUARD.check(verdict.sql, schema).sql == verdict.sql
                assert list(map(reading_of, statements_of(verdict.sql))) == list(map(reading_of, statements_of(gold)))
                expected = rows_of(connection, gold)
                if len(expected) <= 1_000:
                    assert rows_of(connection, verdict.sql) == expected, (gold, verdict.sql)


def test_the_public_attacks_are_refused_and_the_harmless_ones_pass() -> None:
    names = ("id", "role", "name", "note", "status", "deleted", "updated_at", "x")
    columns = tuple(Column(name, "text") for name in names)
    schema = Schema(tuple(Table("public", table, columns) for table in ("customers", "orders", "t", "users")))

    for case in lines(CORPORA / "security" / "public" / "sql_guard.jsonl"):
        verdict = GUARD.check(case["sql"], schema)
        assert verdict.allowed == (case["expect"] == "allow"), (case["sql"], [str(r) for r in verdict.refusals])


def test_injection_strings_are_refused_or_harmless_as_sql() -> None:
    schema = Schema(())

    for path in (CORPORA / "security").rglob("sql_injection_strings.jsonl"):
        for case in lines(path):
            text = next(value for key, value in case.items() if key in {"text", "string", "payload", "sql"})
            verdict = GUARD.check(text, schema)
            assert not verdict.allowed or verdict.tables == ()
