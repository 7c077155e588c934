"""What a run may take, how values come back, and what is told when the database is in trouble."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import psycopg
import pytest
from psycopg import sql

from deploy.local.embedded_postgres import EmbeddedPostgres
from services.sql.adapters.postgres_session import Pool, RunLimits, open_target_pool
from services.sql.adapters.postgres_target import PostgresTarget
from services.sql.errors import DatabaseUnavailable, QueryFailed, QueryTooCostly, StatementTimeout
from services.sql.models import JsonText
from tests.integration.sql.databases import own_database

LIMITS = RunLimits(
    statement_seconds=5,
    lock_seconds=0.2,
    work_memory_kilobytes=4_096,
    max_plan_cost=1e7,
    max_rows=1_000,
    max_bytes=4_000_000,
)


def target_on(pool: Pool, limits: RunLimits) -> PostgresTarget:
    return PostgresTarget(pool, limits, max_concurrent_runs=2, wait_seconds=1.5)


@pytest.fixture
async def pool(shop_url: str) -> AsyncIterator[Pool]:
    async with open_target_pool(shop_url, max_connections=3, checkout_wait_seconds=2) as pool:
        yield pool


@pytest.fixture
def target(pool: Pool) -> PostgresTarget:
    return target_on(pool, LIMITS)


async def test_rows_are_cut_at_the_cap_and_told(target: PostgresTarget) -> None:
    cut = await target.run("SELECT n FROM generate_series(1, 1001) AS n")
    whole = await target.run("SELECT n FROM generate_series(1, 1000) AS n")

    assert (len(cut.rows), cut.truncated) == (1_000, True)
    assert cut.rows[-1] == (1_000,)
    assert (len(whole.rows), whole.truncated) == (1_000, False)


async def test_bytes_are_cut_at_the_cap_and_told(pool: Pool) -> None:
    target = target_on(pool, replace(LIMITS, max_bytes=10_000))

    result = await target.run("SELECT repeat('x', 1000) FROM generate_series(1, 50)")

    assert (len(result.rows), result.truncated) == (10, True)


async def test_columns_of_one_name_get_numbers(target: PostgresTarget) -> None:
    result = await target.run("SELECT 1 AS id, 2 AS id, 3 AS id, 4 AS id_2, 5 AS id_3")

    assert [column.name for column in result.columns] == ["id", "id_4", "id_5", "id_2", "id_3"]


async def test_no_rows_still_have_columns(target: PostgresTarget) -> None:
    result = await target.run("SELECT name, customer_id FROM customers WHERE false")

    assert [(column.name, column.type) for column in result.columns] == [("name", "text"), ("customer_id", "int4")]
    assert (result.rows, result.truncated) == ((), False)


@pytest.mark.parametrize(
    ("expression", "value", "type_name"),
    [
        ("NULL::int", None, "int4"),
        ("true", True, "bool"),
        ("1::int2", 1, "int2"),
        ("9223372036854775807", 9223372036854775807, "int8"),
        ("0.1::float8", 0.1, "float8"),
        ("'-Infinity'::float8", "-Infinity", "float8"),
        ("'NaN'::float4", "NaN", "float4"),
        ("1.50", Decimal("1.50"), "numeric"),
        ("123456789012345678901234567890.123456789", Decimal("123456789012345678901234567890.123456789"), "numeric"),
        ("'Infinity'::numeric", "Infinity", "numeric"),
        ("'ü'::text", "ü", "text"),
        ("'x'::char(3)", "x  ", "bpchar"),
        ("'\\x00ff'::bytea", b"\x00\xff", "bytea"),
        ('\'{"b": [1, null], "a": 1}\'::json', JsonText('{"b": [1, null], "a": 1}'), "json"),
        ("'{\"b\":1}'::jsonb", JsonText('{"b": 1}'), "jsonb"),
        ("'2026-01-02'::date", "2026-01-02", "date"),
        ("'0044-03-15 BC'::date", "0044-03-15 BC", "date"),
        ("'infinity'::timestamp", "infinity", "timestamp"),
        ("'2026-01-02 03:04:05.6'::timestamp", "2026-01-02T03:04:05.6", "timestamp"),
        ("'03:04'::time", "03:04:00", "time"),
        ("'1 year 2 days'::interval", "P1Y2D", "interval"),
        ("'6e8bc430-9c3a-11d9-9669-0800200c9a66'::uuid", "6e8bc430-9c3a-11d9-9669-0800200c9a66", "uuid"),
        ("ARRAY[1, NULL, 3]", [1, None, 3], "int4[]"),
        ("ARRAY[['a', 'b'], ['c', 'd']]", [["a", "b"], ["c", "d"]], "text[]"),
        ("ARRAY['2026-01-02'::date]", ["2026-01-02"], "date[]"),
        ("'{}'::int[]", [], "int4[]"),
        ("'10.0.0.0/8'::inet", "10.0.0.0/8", "inet"),
        ("'[1,5)'::int4range", "[1,5)", "int4range"),
        ("(1, 'x')", "(1,x)", "record"),
    ],
)
async def test_values_keep_their_kind_and_precision(
    target: PostgresTarget, expression: str, value: object, type_name: str
) -> None:
    result = await target.run(f"SELECT {expression} AS v")

    assert result.rows == ((value,),)
    assert type(result.rows[0][0]) is type(value)
    assert result.columns[0].type == type_name


async def test_arrays_of_types_that_only_the_database_knows_are_lists(postgres_server: EmbeddedPostgres) -> None:
    with own_database(postgres_server, "CREATE TYPE mood AS ENUM ('sad', 'ok')") as (url, _):
        async with open_target_pool(url, max_connections=1, checkout_wait_seconds=2) as pool:
            target = target_on(pool, LIMITS)

            for _ in range(2):
                result = await target.run("SELECT ARRAY['sad', NULL]::mood[] AS moods, 'ok'::mood AS mood")

    assert result.rows == ((["sad", None], "ok"),)
    assert [column.type for column in result.columns] == ["mood[]", "mood"]


async def test_a_run_past_its_time_is_stopped(pool: Pool) -> None:
    target = target_on(pool, replace(LIMITS, statement_seconds=0.2))
    began = time.monotonic()

    with pytest.raises(StatementTimeout):
        await target.run("SELECT pg_sleep(30)")

    assert time.monotonic() - began < 5
    assert (await target.run("SELECT 1")).rows == ((1,),)


async def test_a_run_that_is_slow_row_by_row_is_stopped_as_well(pool: Pool) -> None:
    target = target_on(pool, replace(LIMITS, statement_seconds=0.5, lock_seconds=0.1))
    began = time.monotonic()

    with pytest.raises(StatementTimeout):
        await target.run("SELECT pg_sleep(0.004) FROM generate_series(1, 100000)")

    assert time.monotonic() - began < 8


async def test_a_plan_above_the_ceiling_is_not_run(pool: Pool) -> None:
    target = target_on(pool, replace(LIMITS, max_plan_cost=100))

    with pytest.raises(QueryTooCostly):
        await target.run("SELECT count(*) FROM order_items a, order_items b")
    assert (await target.run("SELECT count(*) FROM orders")).rows == ((50,),)


async def test_a_locked_table_does_not_hold_a_run_for_long(target: PostgresTarget, shop_owner_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(shop_owner_url) as owner:
        await owner.execute("LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")

        with pytest.raises(StatementTimeout):
            await target.run("SELECT count(*) FROM customers")


@pytest.mark.parametrize(
    ("sql", "sqlstate"),
    [
        ("SELECT 1 / 0", "22012"),
        ("SELECT 'secret value'::int", "22P02"),
        ("SELECT (SELECT name FROM customers)", "21000"),
        ("SELECT nothing FROM customers", "42703"),
        ("SELECT * FROM pg_authid", "42501"),
        ("SELECT 1; SELECT 2", "42601"),
        ("", "42601"),
    ],
)
async def test_a_failure_tells_its_sqlstate_and_no_data(target: PostgresTarget, sql: str, sqlstate: str) -> None:
    with pytest.raises(QueryFailed) as caught:
        await target.run(sql)

    assert caught.value.metadata == {"sqlstate": sqlstate}
    assert "secret" not in str(caught.value)


async def test_a_connection_that_dies_in_a_run_is_told_and_replaced(pool: Pool, shop_owner_url: str) -> None:
    target = target_on(pool, LIMITS)
    run = asyncio.create_task(target.run("SELECT pg_sleep(4)"))
    async with await psycopg.AsyncConnection.connect(shop_owner_url, autocommit=True) as owner:
        killed = 0
        while not killed and not run.done():
            await asyncio.sleep(0.05)
            cursor = await owner.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE application_name = 'diglot-sql' AND state = 'active' AND query LIKE 'FETCH%'"
            )
            killed = (await cursor.fetchone() or (0,))[0]

    with pytest.raises(DatabaseUnavailable):
        await run

    assert (await target.run("SELECT 1")).rows == ((1,),)


async def test_a_run_that_is_called_off_leaves_a_usable_pool(pool: Pool) -> None:
    target = target_on(pool, LIMITS)

    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await target.run("SELECT pg_sleep(30)")

    assert (await target.run("SELECT 1")).rows == ((1,),)


async def test_more_runs_than_places_wait_and_then_give_up_while_health_is_told(pool: Pool) -> None:
    target = target_on(pool, LIMITS)

    served = await asyncio.gather(*(target.run("SELECT pg_sleep(0.05)") for _ in range(8)))
    *outcomes, reachable = await asyncio.gather(
        *(target.run("SELECT pg_sleep(3)") for _ in range(4)), target.is_reachable(), return_exceptions=True
    )

    assert len(served) == 8
    assert reachable is True
    assert sum(isinstance(outcome, DatabaseUnavailable) for outcome in outcomes) == 2


async def test_nothing_of_one_run_is_seen_by_the_next(shop_url: str) -> None:
    async with open_target_pool(shop_url, max_connections=1, checkout_wait_seconds=2) as pool:
        target = target_on(pool, LIMITS)
        await target.run("SELECT set_config('work_mem', '1GB', false), pg_advisory_lock(7)")

        after = await target.run(
            "SELECT current_setting('work_mem'), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
        )

    assert after.rows == (("4MB", 0),)


async def test_a_database_that_comes_back_is_used_again(postgres_server: EmbeddedPostgres) -> None:
    with own_database(postgres_server, "SELECT 1") as (url, owner_url):
        name = owner_url.rpartition("/")[2].partition("?")[0]
        database = sql.Identifier(name)
        async with (
            open_target_pool(url, max_connections=1, checkout_wait_seconds=0.5) as pool,
            await psycopg.AsyncConnection.connect(postgres_server.url("postgres"), autocommit=True) as owner,
        ):
            target = target_on(pool, LIMITS)
            await target.run("SELECT 1")
            await owner.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(database))
            await owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))

            with pytest.raises(DatabaseUnavailable):
                await target.run("SELECT 1")
            was_reachable = await target.is_reachable()
            await owner.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(database))
            came_back = await target.run("SELECT 1")

    assert not was_reachable
    assert came_back.rows == ((1,),)


async def test_bytes_that_are_no_text_fail_the_query_and_not_the_service(postgres_server: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as owner:
        owner.execute("CREATE DATABASE own_without_encoding ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        try:
            url = postgres_server.url("own_without_encoding")
            async with open_target_pool(url, max_connections=1, checkout_wait_seconds=2) as pool:
                with pytest.raises(QueryFailed) as caught:
                    await target_on(pool, LIMITS).run(r"SELECT E'\xff'")
        finally:
            owner.execute("DROP DATABASE own_without_encoding WITH (FORCE)")

    assert caught.value.metadata == {"sqlstate": "22021"}
