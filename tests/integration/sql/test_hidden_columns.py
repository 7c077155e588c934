"""What an operator hides stays hidden: in the schema, in samples, and in whatever passes the guard and runs."""

from collections import Counter
from pathlib import Path
from random import Random

import psycopg
import pytest

from deploy.local.embedded_postgres import EmbeddedPostgres
from protos.sql.v1 import sql_service_pb2
from services.sql.adapters.postgres_introspection import PostgresSchemaReader, ReadLimits
from services.sql.adapters.postgres_session import open_target_pool
from services.sql.models import Schema
from services.sql.query_guard import QueryGuard
from services.sql.visibility import Visibility
from services.transport.identity import acting_as
from tests.integration.sql.databases import own_database
from tests.integration.sql.running_service import ADA, failure_of, running, settings_for
from tests.unit.sql.sql_grammar import Grammar

GUARD = QueryGuard(max_rows=1_000)
SECRET = "tops3cret"
SCRIPT = f"""
CREATE TABLE people (password_hash text, id int PRIMARY KEY, name text, boss int);
INSERT INTO people SELECT '{SECRET}' || n, n, 'name' || n, n / 2 FROM generate_series(1, 6) n;
CREATE TABLE visits (visit int PRIMARY KEY, id int REFERENCES people (id), password_hash text, page text);
INSERT INTO visits SELECT n, n, '{SECRET}' || n, 'page' || n FROM generate_series(1, 6) n;
CREATE TABLE vault (id int, content text);
INSERT INTO vault VALUES (1, '{SECRET}');
CREATE VIEW everybody AS SELECT id, name, password_hash FROM people;
CREATE SCHEMA hr;
CREATE TABLE hr.salaries (id int, salary text);
INSERT INTO hr.salaries VALUES (1, '{SECRET}');
"""
VISIBILITY = Visibility.parse("public.people, public.visits, public.everybody", "*.password_hash")
STATEMENTS = 1_500


async def schema_of(url: str) -> Schema:
    async with open_target_pool(url, max_connections=1, checkout_wait_seconds=5) as pool:
        reader = PostgresSchemaReader(pool, ReadLimits(20, 20, 5, 1_000), visibility=VISIBILITY)
        schema = await reader.read()
        assert await reader.structure_digest()
        return schema


async def test_what_is_hidden_is_not_in_the_schema_and_never_sampled(postgres_server: EmbeddedPostgres) -> None:
    with own_database(postgres_server, SCRIPT) as (_, owner_url):
        schema = await schema_of(owner_url)

    assert [table.full_name for table in schema.tables] == ["public.everybody", "public.people", "public.visits"]
    assert SECRET not in repr(schema)
    assert "password_hash" not in repr(schema)
    assert all(table.has_hidden_columns for table in schema.tables)


async def test_no_query_that_passes_shows_what_is_hidden(postgres_server: EmbeddedPostgres) -> None:
    with own_database(postgres_server, SCRIPT) as (_, owner_url):
        schema = await schema_of(owner_url)
        grammar = Grammar(Random(4), schema)
        outcomes: Counter[str] = Counter()
        with psycopg.connect(owner_url, autocommit=True) as connection:
            connection.execute("SET statement_timeout = '2s'")
            for query in [*TRICKS, *(grammar.statement() for _ in range(STATEMENTS))]:
                verdict = GUARD.check(query, schema)
                if verdict.allowed:
                    assert GUARD.check_again(verdict.sql, schema) == verdict, query
                    outcomes[shown_by(connection, verdict.sql, verdict.tables)] += 1

    assert set(outcomes) == {"rows", "error"}
    assert outcomes["rows"] > 100


TRICKS = [
    "SELECT * FROM people",
    "TABLE people",
    "SELECT p.* FROM people p",
    "SELECT p.a, p.b, p.c FROM people p(a, b, c)",
    "SELECT to_jsonb(p.*) FROM people p",
    "SELECT json_agg(p.*) FROM people p",
    "SELECT row(p.*) FROM people p",
    "SELECT array_agg(p.*) FROM people p",
    "SELECT concat(p.*), count(p.*) FROM people p GROUP BY p.id, p.name, p.boss",
    "SELECT * FROM people NATURAL JOIN visits",
    "SELECT * FROM people JOIN visits USING (id)",
    "SELECT x.* FROM (people JOIN visits USING (id)) AS x",
    "SELECT x.* FROM (people p JOIN visits v ON true) AS x(a, b, c, d, e, f)",
    "SELECT * FROM everybody",
    "WITH q AS (TABLE people) SELECT * FROM q",
    "SELECT * FROM people p, LATERAL (SELECT p.*) l",
    "SELECT ARRAY(SELECT p.* FROM people p)",
    "SELECT (SELECT p.* FROM people p LIMIT 1)",
    "SELECT * FROM people UNION SELECT visit, page, id FROM visits",
    "WITH RECURSIVE r AS (SELECT * FROM people UNION SELECT p.* FROM people p JOIN r ON p.boss = r.id) SELECT * FROM r",
    "SELECT max(p.*::text) FROM people p",
    "SELECT DISTINCT ON (p.id) p.* FROM people p",
    "SELECT (SELECT q.password_hash FROM (SELECT password_hash FROM people) q LIMIT 1) FROM visits",
    "SELECT (SELECT q.boss FROM (SELECT boss FROM visits) q LIMIT 1) FROM people",
    "SELECT q.name FROM (SELECT name FROM people) q",
    "SELECT first_value(p.*) OVER (ORDER BY id) FROM people p",
]


def shown_by(connection: psycopg.Connection[tuple[object, ...]], query: str, tables: tuple[str, ...]) -> str:
    """What came of running it: rows, an error, or what must not be."""
    try:
        plan = connection.execute(b"EXPLAIN (VERBOSE, FORMAT JSON) " + query.encode()).fetchone()
        rows = connection.execute(query.encode()).fetchall()
    except psycopg.Error as error:
        return f"secret in the error of {query}" if SECRET in str(error) else "error"
    if SECRET in repr(rows):
        return f"secret shown by {query}"
    read = relations_of(plan)
    # Row estimates apart, the plan says which tables PostgreSQL itself finds in it: a view counts as what it reads.
    return "rows" if read <= {*tables, "public.people"} else f"{read - {*tables}} read by {query}"


def relations_of(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {f"{node['Schema']}.{node['Relation Name']}"} if "Relation Name" in node else set()
        return own.union(*map(relations_of, node.values()))
    if isinstance(node, list | tuple):
        return set().union(*map(relations_of, node))
    return set()


@pytest.mark.parametrize("table", ["vault", "hr.salaries", "salaries"])
async def test_a_table_that_is_not_listed_is_unknown(table: str, postgres_server: EmbeddedPostgres) -> None:
    with own_database(postgres_server, SCRIPT) as (_, owner_url):
        schema = await schema_of(owner_url)

    assert not GUARD.check(f"SELECT * FROM {table}", schema).allowed


async def test_a_query_from_before_a_column_was_hidden_is_neither_approved_nor_run_after_a_restart(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    async with running(settings_for(shop_url, store_url), tmp_path) as service:
        with acting_as(ADA):
            queries = []
            for _ in range(2):
                asked = sql_service_pb2.GenerateSqlRequest(question="How many customers are there?")
                generated = (await service.GenerateSql(asked)).query
                whole = sql_service_pb2.EditQueryRequest(name=generated.name, sql="SELECT * FROM customers")
                queries.append((await service.EditQuery(whole)).query)
            decided = sql_service_pb2.ApproveQueryRequest(name=queries[0].name, sql_hash=queries[0].sql_hash)
            await service.ApproveQuery(decided)

    async with running(settings_for(shop_url, store_url, hidden_columns="*.segment"), tmp_path) as service:
        with acting_as(ADA):
            run = sql_service_pb2.RunQueryRequest(name=queries[0].name, sql_hash=queries[0].sql_hash)
            refused = [await failure_of(service.RunQuery(run))]
            pending = sql_service_pb2.ApproveQueryRequest(name=queries[1].name, sql_hash=queries[1].sql_hash)
            refused.append(await failure_of(service.ApproveQuery(pending)))

    assert [each.reason for each in refused] == ["SQL_REFUSED"] * 2
    assert all("ask again" in each.message for each in refused)
