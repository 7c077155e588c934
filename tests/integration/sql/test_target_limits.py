"""What a run may take, and what is told when the database is in trouble."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from deploy.local.embedded_postgres import EmbeddedPostgres
from services.sql.adapters.postgres_session import Pool, RunLimits, open_target_pool
from services.sql.adapters.postgres_target import PostgresTarget
from services.sql.errors import DatabaseUnavailable, QueryFailed, QueryTooCostly, StatementTimeout
from tests.integration.sql.databases import own_database

_GREEDY = """
import asyncio, os, resource
from services.sql.adapters.postgres_session import RunLimits, open_target_pool
from services.sql.adapters.postgres_target import PostgresTarget
from services.sql.errors import QueryFailed

def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

async def main():
    limits = RunLimits(60, 1, 16_384, 1e7, 1_000, 4_000_000)
    async with open_target_pool(os.environ["TARGET"], max_connections=1, checkout_wait_seconds=5) as pool:
        target = PostgresTarget(pool, limits, max_concurrent_runs=1, wait_seconds=5)
        await target.run("SELECT repeat('x', 3900000)")
        before = megabytes()
        for use in (target.plan, target.run):
            try:
                await use("SELECT " + os.environ["VALUE"])
            except QueryFailed as error:
                told = error
        print(told, megabytes() - before)

asyncio.run(main())
"""

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


async def test_rows_before_one_that_is_too_large_are_given(pool: Pool) -> None:
    target = target_on(pool, replace(LIMITS, max_bytes=1_000))

    result = await target.run("SELECT n, repeat('x', 100 * n * n) FROM generate_series(1, 9) AS n ORDER BY n")

    assert ([row[0] for row in result.rows], result.truncated) == ([1, 2], True)


async def test_one_row_that_is_too_large_is_refused_in_plain_words(pool: Pool) -> None:
    target = target_on(pool, replace(LIMITS, max_bytes=1_000))

    with pytest.raises(QueryFailed, match="a single row of the result is larger than 1000 bytes; ask for less"):
        await target.run("SELECT ARRAY[repeat('x', 1001)], 1")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("repeat('x', 60000000)", "a single row of the result is larger than 4000000 bytes; ask for less of it"),
        # The text of an error quotes the value; and a plan its conditions.
        ("repeat('x', 60000000)::int", "the database's answer is larger than is taken; ask for less"),
        ("1 FROM orders WHERE status = repeat('x', 60000000)", "the database's answer is larger than is taken"),
    ],
)
async def test_a_huge_value_never_comes_into_our_memory(shop_url: str, value: str, told: str) -> None:
    """In a process of its own, whose memory nothing else has filled."""
    process = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _GREEDY],
        env={**os.environ, "TARGET": shop_url, "VALUE": value},
        capture_output=True,
        text=True,
        check=True,
    )

    outcome, grown_megabytes = process.stdout.rsplit(maxsplit=1)
    assert outcome.startswith(told)
    assert float(grown_megabytes) < 20


async def test_columns_of_one_name_get_numbers(target: PostgresTarget) -> None:
    result = await target.run("SELECT 1 AS id, 2 AS id, 3 AS id, 4 AS id_2, 5 AS id_3")

    assert [column.name for column in result.columns] == ["id", "id_4", "id_5", "id_2", "id_3"]


async def test_no_rows_still_have_columns(target: PostgresTarget) -> None:
    result = await target.run("SELECT name, customer_id FROM customers WHERE false")

    assert [(column.name, column.type) for column in result.columns] == [("name", "text"), ("customer_id", "int4")]
    assert (result.rows, result.truncated) == ((), False)


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

    with pytest.raises(QueryTooCostly) as caught:
        await target.run("SELECT count(*) FROM order_items a, order_items b")
    assert caught.value.metadata["max_plan_cost"] == "100"
    assert float(caught.value.metadata["plan_cost"]) > 100
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


@pytest.mark.parametrize(
    ("sql", "sqlstate", "told"),
    [
        ("SELECT o.totl FROM orders o", "42703", "column o.totl does not exist"),
        ("SELECT * FROM ordres", "42P01", 'relation "ordres" does not exist'),
        ("SELECT name > 1 FROM customers", "42883", "operator does not exist: text > integer"),
        ("SELECT name, count(*) FROM customers", "42803", 'column "customers.name" must appear in the GROUP BY clause'),
        ("SELECT * FROM orders WHERE order_date > 'soon'", "22007", 'invalid input syntax for type date: "soon"'),
        ("SELECT count(*) FORM orders", "42601", 'syntax error at or near "orders"'),
        ("SELECT 1; SELECT 2", "42601", "cannot insert multiple commands into a prepared statement"),
        ("SELECT * FROM pg_authid", "42501", "the database role may not read this"),
        # Evaluated for the plan, with a value that the statement does not hold.
        (
            "SELECT * FROM orders WHERE order_id = current_setting('search_path')::int",
            "22P02",
            "a value cannot be computed or converted",
        ),
        (f"SELECT {'x' * 50}.{'y' * 900}", "42P01", "missing FROM-clause entry"),
    ],
)
async def test_a_plan_tells_what_is_wrong_with_the_statement_in_one_short_line(
    target: PostgresTarget, sql: str, sqlstate: str, told: str
) -> None:
    with pytest.raises(QueryFailed) as caught:
        await target.plan(sql)

    assert caught.value.metadata == {"sqlstate": sqlstate}
    assert str(caught.value).startswith(told)
    assert len(str(caught.value)) <= 300
    assert "\n" not in str(caught.value)


async def test_a_plan_keeps_back_what_a_function_of_the_user_says(postgres_server: EmbeddedPostgres) -> None:
    script = """
    CREATE TABLE people (id int, name text);
    INSERT INTO people VALUES (1, 'Ada Lovelace');
    CREATE FUNCTION tell() RETURNS int LANGUAGE plpgsql STABLE AS
      $$ BEGIN RAISE EXCEPTION '%', (SELECT name FROM people) USING ERRCODE = '42703'; END $$;
    """
    with own_database(postgres_server, script, "GRANT SELECT ON people TO {role}") as (url, _):
        async with open_target_pool(url, max_connections=1, checkout_wait_seconds=2) as pool:
            with pytest.raises(QueryFailed) as caught:
                await target_on(pool, LIMITS).plan("SELECT * FROM people WHERE id = tell()")

    assert str(caught.value) == "the database does not accept the statement"


async def test_a_plan_of_what_would_never_end_is_made_at_once_and_runs_nothing(target: PostgresTarget) -> None:
    plan = await target.plan(
        "SELECT pg_sleep(60) FROM order_items a, order_items b, order_items c, order_items d, orders"
    )

    assert plan.cost > LIMITS.max_plan_cost


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


@pytest.mark.timeout(60)
async def test_a_database_process_that_does_not_stop_keeps_no_place(pool: Pool, shop_owner_url: str) -> None:
    target = target_on(pool, replace(LIMITS, statement_seconds=0.5))
    run = asyncio.create_task(target.run("SELECT pg_sleep(20)"))
    pid = 0
    async with await psycopg.AsyncConnection.connect(shop_owner_url, autocommit=True) as owner:
        while not pid:
            cursor = await owner.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'diglot-sql' AND wait_event = 'PgSleep'"
            )
            pid = ((await cursor.fetchone()) or (0,))[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(0.5 + LIMITS.lock_seconds + 2 + 1 + 2):  # of itself the driver waits 5 seconds
                with pytest.raises(StatementTimeout):
                    await run
            assert (await target.run("SELECT 1 AS one")).rows == ((1,),)
        finally:
            os.kill(pid, signal.SIGCONT)


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


async def test_no_run_compiles_its_expressions_which_no_time_limit_would_end(shop_url: str) -> None:
    async with open_target_pool(shop_url, max_connections=1, checkout_wait_seconds=2) as pool:
        told = await target_on(pool, LIMITS).run("SELECT current_setting('jit')")

    assert told.rows == (("off",),)


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


async def test_whoever_comes_after_one_that_found_nobody_is_not_made_to_wait_as_long() -> None:
    nobody = "postgresql://reader:x@127.0.0.1:1/shop"
    async with open_target_pool(nobody, max_connections=1, checkout_wait_seconds=3) as pool:
        target = target_on(pool, LIMITS)
        with pytest.raises(DatabaseUnavailable):
            await target.plan("SELECT 1")

        async with asyncio.timeout(2.5):
            with pytest.raises(DatabaseUnavailable):
                await target.run("SELECT 1")


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
