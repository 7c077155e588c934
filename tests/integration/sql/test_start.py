"""How the service starts, and when it must not."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from deploy.local.embedded_postgres import EmbeddedPostgres
from protos.sql.v1 import sql_service_pb2
from services.sql.adapters.postgres_identity import database_key, names_one_database
from services.sql.errors import ConfigurationRefused
from services.sql.wiring import open_sql
from services.transport.identity import acting_as
from tests.integration.sql.databases import own_database
from tests.integration.sql.running_service import ADA, failure_of, running, settings_for

# The service asks for a pause of two seconds, and no caller waits past its own deadline.
_NO_TIME_TO_RETRY_SECONDS = 2.0
NOWHERE = "postgresql://reader:secret@127.0.0.1:1/shop"


async def test_one_database_for_both_is_refused_by_its_address(store_url: str) -> None:
    with pytest.raises(ConfigurationRefused, match="DIGLOT_STORE_URL"):
        async with open_sql(settings_for(store_url, store_url)):
            pass


async def test_one_database_for_both_is_refused_though_the_addresses_differ(
    store_url: str, postgres_server: EmbeddedPostgres
) -> None:
    # The same place under another name: a second user and a default that is spelled out.
    database = store_url.rpartition("/")[2]
    other = postgres_server.url(database)
    disguised = f"{other}{'&' if '?' in other else '?'}port=5432"
    with psycopg.connect(other, autocommit=True) as connection:
        connection.execute("SELECT 1")
    assert names_one_database(store_url, disguised)

    with pytest.raises(ConfigurationRefused, match="DATABASE_URL"):
        async with open_sql(settings_for(disguised, store_url)):
            pass


async def test_a_role_that_may_write_is_refused_in_production_and_warned_of_elsewhere(
    store_url: str, shop_owner_url: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationRefused, match="superuser"):
        async with open_sql(settings_for(shop_owner_url, store_url, ENVIRONMENT="production")):
            pass
    caplog.clear()

    async with running(settings_for(shop_owner_url, store_url), tmp_path) as sql:
        with acting_as(ADA):
            stats = await sql.GetStats(sql_service_pb2.GetStatsRequest())

    (told,) = [record for record in caplog.records if record.message == "target.role_may_write"]
    assert "the role in DATABASE_URL can do more than read: it is a superuser" in told.__dict__["advice"]
    assert stats.parts["target_role"] == "can do more than read; the log says what"


async def test_a_role_that_may_only_read_is_fine_in_production(
    store_url: str, shop_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_sql(settings_for(shop_url, store_url, ENVIRONMENT="production")) as definition:
        assert all([await check() for check in definition.checks.values()])

    assert "target.role_may_write" not in [record.message for record in caplog.records]


async def test_a_role_with_one_right_to_write_is_found(store_url: str, postgres_server: EmbeddedPostgres) -> None:
    script = "CREATE TABLE notes (id int, body text)"
    grants = ("GRANT SELECT ON notes TO {role}", "GRANT UPDATE (body) ON notes TO {role}")
    refused = pytest.raises(ConfigurationRefused, match=r"may change table public\.notes")
    with own_database(postgres_server, script, *grants) as (url, _), refused:
        async with open_sql(settings_for(url, store_url, ENVIRONMENT="production")):
            pass


@pytest.mark.timeout(60)
async def test_a_database_that_is_down_is_told_and_the_rest_keeps_working(store_url: str, tmp_path: Path) -> None:
    settings = settings_for(NOWHERE, store_url, checkout_wait_seconds=0.2)
    async with open_sql(settings) as definition:
        health = {name: await check() for name, check in definition.checks.items()}
    async with running(settings, tmp_path) as sql:
        with acting_as(ADA):
            generate = await failure_of(
                sql.GenerateSql(
                    sql_service_pb2.GenerateSqlRequest(question="How many?"), timeout=_NO_TIME_TO_RETRY_SECONDS
                )
            )
            sync = await failure_of(
                sql.SyncSchema(sql_service_pb2.SyncSchemaRequest(), timeout=_NO_TIME_TO_RETRY_SECONDS)
            )
            stats = await sql.GetStats(sql_service_pb2.GetStatsRequest())
            listed = await sql.ListQueries(sql_service_pb2.ListQueriesRequest())

    assert health == {"": False, "database": False, "query_store": True}
    assert {generate.reason, sync.reason} == {"DATABASE_UNAVAILABLE"}
    assert generate.retry_after_seconds == 2
    assert "secret" not in generate.message
    assert stats.table_count == 0
    assert list(listed.queries) == []


async def test_why_the_database_cannot_be_reached_is_told_to_operators_without_user_or_password(
    store_url: str, shop_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    for url in (NOWHERE, f"{shop_url.rsplit('/', 1)[0]}/no_such_database"):
        async with open_sql(settings_for(url, store_url, checkout_wait_seconds=0.2)):
            pass

    told = [record.__dict__["advice"] for record in caplog.records if record.message == "target.unreachable_at_start"]
    assert told[0].startswith("DATABASE_URL: the database at ")
    assert [advice.rsplit(" ", 3)[-1] for advice in told] == ["listening", "user"]
    assert "secret" not in "".join(told)


async def test_patterns_that_match_nothing_are_told_and_without_a_table_the_reason_is(
    store_url: str, shop_url: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    settings = settings_for(shop_url, store_url, tables="sales.*", hidden_columns="customers.nope")
    async with running(settings, tmp_path) as sql:
        with acting_as(ADA):
            asked = await sql.GenerateSql(sql_service_pb2.GenerateSqlRequest(question="How many customers are there?"))
            stats = await sql.GetStats(sql_service_pb2.GetStatsRequest())

    unmatched = "SQL_TABLES: sales.*; SQL_HIDDEN_COLUMNS: customers.nope"
    assert "SQL_TABLES" in asked.no_answer.reason
    assert stats.parts["patterns_without_match"] == unmatched
    (told,) = [record for record in caplog.records if record.message == "schema.patterns_match_nothing"]
    assert told.__dict__["advice"].endswith(unmatched)


async def test_addresses_are_compared_by_place_and_named_without_passwords() -> None:
    first = "postgresql://a:secret@localhost/shop"

    assert names_one_database(first, "postgres://b@127.0.0.1:5432/shop")
    assert not names_one_database(first, "postgresql://a:secret@localhost:5433/shop")
    assert not names_one_database(first, "postgresql://a:secret@localhost/store")
    assert not names_one_database(first, "postgresql://a:secret@db/shop")
    assert database_key(first) == "a@localhost:5432/shop"
