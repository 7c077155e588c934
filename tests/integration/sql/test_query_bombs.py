"""Queries that pass the guard and still mean harm: limits end them, and the backend stays small."""

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from services.sql.adapters.postgres_introspection import PostgresSchemaReader, ReadLimits
from services.sql.adapters.postgres_session import Pool, RunLimits, open_target_pool
from services.sql.adapters.postgres_target import PostgresTarget
from services.sql.errors import QueryFailed, QueryTooCostly, SqlError
from services.sql.plan_memory import MAX_GATHERED_BYTES, gathered_bytes
from services.sql.query_guard import QueryGuard

GUARD = QueryGuard(max_rows=1_000)
LIMITS = RunLimits(
    statement_seconds=1.0,
    lock_seconds=0.2,
    work_memory_kilobytes=4_096,
    max_plan_cost=1e7,
    max_rows=1_000,
    max_bytes=4_000_000,
)
MAX_BACKEND_MEGABYTES = 200  # with all that a PostgreSQL backend maps, its share of the buffers too

ENDLESS = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) "
BOMBS = [
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION SELECT n + 1 FROM r) SELECT count(*) FROM r",
    ENDLESS + "SELECT array_agg(n) FROM r",
    ENDLESS + "SELECT string_agg(n::text, ',') FROM r",
    ENDLESS + "SELECT jsonb_agg(n) FROM r",
    ENDLESS + "SELECT 1 WHERE 0 NOT IN (SELECT n FROM r)",
    ENDLESS + "SELECT count(*) FROM r a JOIN r b ON a.n < b.n",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n FROM r, customers) SELECT max(n) FROM r",
    "WITH RECURSIVE r(n, s) AS (SELECT 1, 'x' UNION ALL SELECT n + 1, s || '" + "y" * 9_000 + "' FROM r)"
    " SELECT max(length(s)) FROM r",
    "SELECT count(*) FROM order_items a, order_items b, order_items c, order_items d",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a.customer_id) FROM customers a, customers b, customers c,"
    " customers d",
    "SELECT count(DISTINCT a.name || b.name || c.name) FROM customers a, customers b, customers c",
    "SELECT a.name, sum(1) OVER (ORDER BY a.name, b.name) FROM customers a, customers b, customers c",
    "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b",
    "SELECT count(*) FROM generate_series(1, (SELECT max(order_id) FROM orders)) a, orders b, orders c,"
    " orders d, orders e",
    "SELECT count(*) FROM customers a, customers b WHERE (a.name || b.name) ~ '(.*)(.*)(.*)(.*)\\1\\2z'",
    "SELECT regexp_replace('" + "a" * 3_000 + "', '(a*)*(a*)*(a*)*b', 'x')",
    "SELECT 'x' ~ '" + "(" * 30 + "x" + "{1,9})" * 30 + "'",
    "SELECT 'x' ~ '(((x{255}){255}){255})'",
    "SELECT count(*) FROM regexp_split_to_table('" + "a," * 4_000 + "', ',') a, regexp_split_to_table('"
    + "a," * 4_000 + "', ',') b",
    "SELECT count(*) FROM orders WHERE (9.9 ^ (130000 + order_id)) % 7.77 > 1",
    "SELECT (9.9 ^ 130000) * (9.9 ^ 130000) / (7.7 ^ 130000), factorial(100)",
    "SELECT repeat(name, 1000), lpad(name, 1000), rpad(name, 1000) FROM customers",
    "SELECT repeat(repeat('x', 1000), 1000)",
    "SELECT string_agg(repeat('x', 1000), '') FROM generate_series(1, 1000)",
    "SELECT jsonb_path_query_array('[1, 2, 3]', '$[*] ? (@ > 0)') FROM customers a, customers b, customers c",
    "SELECT array_agg(o.order_id) OVER () FROM orders o, orders p",
    # As much as passes of what nothing interrupts, and of what grows when it is planned.
    "SELECT translate(repeat(repeat('x', 1000), 4), repeat(repeat('y', 1000), 4), 'z')",
    "SELECT strpos(repeat(repeat('a', 1000), 20), 'b' || repeat('a', 1000))",
    "SELECT string_to_array(repeat('a', 1000), NULL) && string_to_array(repeat('b', 1000), NULL)",
    "SELECT x FROM " + "(SELECT x + x AS x FROM " * 11 + "(SELECT customer_id AS x FROM customers) z"
    + "".join(f") q{n}" for n in range(11)),
    "SELECT x FROM " + "(SELECT DISTINCT x + x AS x FROM " * 11 + "(SELECT customer_id AS x FROM customers) z"
    + "".join(f") q{n}" for n in range(11)) + " WHERE x > 1",
    "SELECT " + "(" * 11 + "customer_id" + " BETWEEN 0 AND 1)::int" * 11 + " FROM customers",
    "SELECT count(*) FROM customers c0" + "".join(f" JOIN customers c{n} USING (customer_id)" for n in range(1, 50)),
    "SELECT 1 FROM customers GROUP BY CUBE (" + ", ".join(f"customer_id + {n}" for n in range(10)) + ")",
]  # fmt: skip


@pytest.fixture
async def pool(shop_url: str) -> AsyncIterator[Pool]:
    async with open_target_pool(shop_url, max_connections=1, checkout_wait_seconds=5) as pool:
        yield pool


async def state_after(target: PostgresTarget, query: str) -> str:
    """The SQLSTATE that a run fails with; empty where it does not, or is stopped at a limit of ours."""
    try:
        assert len((await target.run(query)).rows) <= LIMITS.max_rows
    except QueryFailed as error:
        return error.metadata["sqlstate"]
    except SqlError:
        pass
    return ""


async def peak_megabytes(target: PostgresTarget) -> int:
    """The most that the one backend of the pool has ever had in memory."""
    (row,) = (await target.run("SELECT pg_backend_pid()")).rows
    return megabytes_of(int(str(row[0])))


def megabytes_of(pid: int) -> int:
    """Peak of the memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM"))


async def test_no_query_that_passes_the_guard_makes_the_backend_large(pool: Pool) -> None:
    schema = await PostgresSchemaReader(pool, ReadLimits(20, 20, 5, 1_000)).read()
    target = PostgresTarget(pool, LIMITS, max_concurrent_runs=1, wait_seconds=5)

    for bomb in BOMBS:
        verdict = GUARD.check(bomb, schema)
        assert verdict.allowed, (bomb, [str(refusal) for refusal in verdict.refusals])
        state = await state_after(target, verdict.sql)
        assert state[:2] in {"", "22", "53", "54"}, (bomb, state)
        assert await peak_megabytes(target) < MAX_BACKEND_MEGABYTES, bomb


async def test_what_the_plan_would_gather_without_measure_is_not_run(pool: Pool) -> None:
    target = PostgresTarget(pool, LIMITS, max_concurrent_runs=1, wait_seconds=5)

    with pytest.raises(QueryTooCostly):
        await target.run(f"SELECT string_agg(a.name, ',') FROM {CROSSED}")
    assert len((await target.run("SELECT city, array_agg(name) FROM customers GROUP BY city")).rows) > 1


def gathered_by(query: str, url: str) -> float:
    with psycopg.connect(url) as connection:
        row = connection.execute(b"EXPLAIN (FORMAT JSON, VERBOSE) " + query.encode()).fetchone()
    assert row is not None
    return gathered_bytes(row[0][0]["Plan"], query)


CROSSED = "customers a, customers b, customers c, customers d"


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT string_agg(a.name, ',') FROM {CROSSED}",
        f"SELECT array_agg(a.name) FROM {CROSSED}",
        f"SELECT jsonb_agg(a.name) FILTER (WHERE true) FROM {CROSSED}",
        f"SELECT json_object_agg(a.name, 1) || '' FROM {CROSSED}",
        f"SELECT ARRAY(SELECT a.name FROM {CROSSED})",
        f"SELECT array_agg(a.name) OVER () FROM {CROSSED}",
        f"SELECT names FROM (SELECT string_agg(DISTINCT a.name, ',') AS names FROM {CROSSED} GROUP BY b.city) q",
        f"WITH q AS MATERIALIZED (SELECT array_agg(a.name) AS names FROM {CROSSED}) SELECT names FROM q",
        # Fewer rows, of which each makes much.
        "SELECT array_agg(lpad(a.name, 1000)) FROM customers a, customers b, customers c",
        "SELECT array_agg(s) FROM (SELECT repeat(a.name, 100) AS s FROM customers a, customers b, customers c) q",
        f"SELECT array_agg('{'z' * 4_000}' || a.name) FROM customers a, customers b, customers c",
        f"SELECT array_agg({' || '.join(['a.name'] * 100)}) FROM customers a, customers b, customers c",
        "SELECT 1 FROM customers WHERE name NOT IN (SELECT lpad(a.name, 1000) FROM customers a, orders b, orders c)",
    ],
)
def test_what_would_be_gathered_without_measure_shows_in_the_plan(query: str, shop_url: str) -> None:
    assert gathered_by(query, shop_url) > MAX_GATHERED_BYTES


@pytest.mark.parametrize(
    "query",
    [
        "SELECT string_agg(name, ',') FROM customers",
        "SELECT city, array_agg(name) FROM customers GROUP BY city",
        f"SELECT count(*), max(a.name) FROM {CROSSED}",
        f"WITH q AS MATERIALIZED (SELECT 1 FROM {CROSSED}) SELECT count(*) FROM q",
        "SELECT (SELECT max(name) FROM customers), ARRAY(SELECT name FROM customers)",
        "SELECT 1 FROM customers WHERE customer_id NOT IN (SELECT customer_id FROM orders)",
        f"SELECT a.name FROM {CROSSED} ORDER BY a.name",
        "SELECT string_agg(lpad(name, 20), ',') FROM customers",
        f"SELECT count(*), max(lpad(a.name, 1000)) FROM {CROSSED}",
    ],
)
def test_what_is_small_or_goes_to_disk_does_not(query: str, shop_url: str) -> None:
    assert gathered_by(query, shop_url) < 1_000_000
