"""Each layer with the others off: what it holds by itself, whoever sends what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import psycopg
import pytest

from services.sql.adapters.postgres_bounds import BoundedConnection
from services.sql.adapters.postgres_session import Pool, RunLimits, open_target_pool, read_only_transaction
from services.sql.adapters.postgres_target import PostgresTarget, explain, fetch
from services.sql.errors import QueryFailed, QueryTooCostly, StatementTimeout
from services.sql.query_guard import QueryGuard
from tests.fakes.sql import shop_schema
from tests.integration.sql.attacks.arsenal import COSTLY, attacks
from tests.integration.sql.attacks.conftest import Fortress
from tests.integration.sql.attacks.test_attacks import LIMITS
from tests.integration.sql.attacks.whole_digest import whole_digest

# Statements that write by themselves, and not through a function that does it for them.
_WRITING = (
    "rows",
    "rows in a common table expression",
    "locks on rows",
    "objects that come",
    "objects that change or go",
    "rights and roles",
    "what is its own",
)


@pytest.fixture
async def superusers(fortress: Fortress) -> AsyncIterator[Pool]:
    """No role to hold anything: the connections are a superuser's."""
    async with open_target_pool(fortress.owner_url, max_connections=1, checkout_wait_seconds=5) as pool:
        yield pool


def test_the_guard_alone_refuses_whatever_does_more_than_cost() -> None:
    guard = QueryGuard(max_rows=1_000)

    allowed = {attack.family for attack in attacks() if guard.check(attack.sql, shop_schema()).allowed}

    assert allowed <= {COSTLY}


async def test_the_read_only_transaction_alone_keeps_a_superuser_from_writing(
    fortress: Fortress, superusers: Pool
) -> None:
    before = whole_digest(fortress.owner_url)
    done = []

    for attack in attacks():
        # Out of a transaction, and into another one, is what the extended protocol and EXPLAIN have to hold.
        if attack.family not in _WRITING:
            continue
        try:
            async with read_only_transaction(superusers, LIMITS) as connection:
                await connection.execute(attack.sql.encode(), binary=True)
                done.append(attack.sql)
        except psycopg.Error:
            continue

    assert whole_digest(fortress.owner_url) == before
    # Roles can be taken within a transaction; nothing is written by that, and nothing of it is left.
    assert [sql for sql in done if not sql.startswith(("SET ", "SELECT set_config", "RESET ", "EXPLAIN "))] == []


async def test_the_extended_protocol_alone_keeps_a_second_statement_out(fortress: Fortress) -> None:
    several = [attack.sql for attack in attacks() if attack.family == "several statements"]
    before = whole_digest(fortress.owner_url)
    told = set()

    async with await psycopg.AsyncConnection.connect(fortress.owner_url, autocommit=True) as superuser:
        for statement in several:
            with pytest.raises(psycopg.Error) as caught:
                await superuser.execute(statement.encode(), binary=True)
            told.add(caught.value.sqlstate)

    assert whole_digest(fortress.owner_url) == before
    assert told == {"42601"}
    assert len(several) > 10


async def test_standing_inside_of_a_query_alone_keeps_everything_but_queries_out(fortress: Fortress) -> None:
    """As a superuser, in a transaction that may write and is committed."""
    before = whole_digest(fortress.owner_url)
    got_rows = []

    async with await BoundedConnection.connect(fortress.owner_url, autocommit=True) as superuser:
        for attack in attacks():
            # What calls functions, or only costs, is a query.
            if attack.family in (*_WRITING, "several statements", "out of the transaction", "code and cursors"):
                try:
                    async with superuser.transaction():
                        await explain(superuser, attack.sql)
                        await fetch(superuser, attack.sql, LIMITS)
                        got_rows.append(attack.sql)
                except (psycopg.Error, QueryFailed):
                    continue

    assert whole_digest(fortress.owner_url) == before
    # A lock on a row is no change; and what a function is told to set ends with the transaction or DISCARD ALL.
    assert [sql for sql in got_rows if " FOR " not in sql and "set_config" not in sql] == []


async def test_discarding_alone_takes_away_what_a_rollback_leaves(fortress: Fortress, superusers: Pool) -> None:
    kept = (b"SELECT pg_advisory_lock(5)", b"PREPARE kept AS SELECT 1")
    left = (
        "SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),"
        " (SELECT count(*) FROM pg_prepared_statements)"
    )
    async with await psycopg.AsyncConnection.connect(fortress.owner_url, autocommit=True) as rolled_back:
        for statement in (b"BEGIN", *kept, b"ROLLBACK"):
            await rolled_back.execute(statement)
        after_rollback = await (await rolled_back.execute(left)).fetchone()

    async with read_only_transaction(superusers, LIMITS) as connection:
        for statement in kept:
            await connection.execute(statement)
    async with superusers.connection() as connection:
        after_discarding = await (await connection.execute(left)).fetchone()

    assert (after_rollback, after_discarding) == ((1, 1), (0, 0))


async def test_the_cost_ceiling_alone_stops_what_joins_without_end(superusers: Pool) -> None:
    target = target_on(superusers, replace(LIMITS, statement_seconds=60, max_plan_cost=100_000))

    for bomb in (
        "SELECT count(*) FROM customers a, customers b, customers c, customers d",
        "SELECT * FROM generate_series(1, 9000000000000000000)",
        "SELECT DISTINCT a.name || b.name FROM customers a, customers b, customers c, orders d",
    ):
        with pytest.raises(QueryTooCostly):
            await target.run(bomb)


async def test_the_time_limit_alone_stops_what_no_ceiling_sees(superusers: Pool) -> None:
    target = target_on(superusers, replace(LIMITS, statement_seconds=0.1, max_plan_cost=float("inf")))

    for bomb in (
        "SELECT pg_sleep(60)",
        "SELECT count(*) FROM generate_series(1, 1000000000000)",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT sum(n) FROM r",
        "SELECT repeat('a', 50000) ~ '(a|aa)+$b', pg_sleep(60)",
    ):
        with pytest.raises(StatementTimeout):
            await target.run(bomb)


async def test_the_limit_of_rows_alone_stops_a_read_without_end(superusers: Pool) -> None:
    limits = replace(LIMITS, statement_seconds=60, max_plan_cost=float("inf"), max_bytes=10**12)

    result = await target_on(superusers, limits).run("SELECT n FROM generate_series(1, 20000000) AS n")

    assert (len(result.rows), result.truncated) == (1_000, True)


async def test_the_limit_of_bytes_alone_keeps_what_is_sent_within_it(superusers: Pool) -> None:
    limits = replace(LIMITS, statement_seconds=60, max_plan_cost=float("inf"), max_rows=10**6, max_bytes=100_000)

    result = await target_on(superusers, limits).run("SELECT n, repeat('x', 999) FROM generate_series(1, 5000) AS n")

    sent = sum(len(str(value)) for row in result.rows for value in row)
    assert result.truncated
    assert 98_000 < sent <= 100_000


def target_on(pool: Pool, limits: RunLimits) -> PostgresTarget:
    """No guard before it, no role behind it."""
    return PostgresTarget(pool, limits, max_concurrent_runs=1, wait_seconds=5)
