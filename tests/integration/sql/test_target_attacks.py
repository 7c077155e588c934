"""Attacks on the database with the guard switched off: role, session and protocol must hold by themselves."""

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from services.sql.adapters.postgres_session import RunLimits, open_target_pool
from services.sql.adapters.postgres_target import PostgresTarget
from services.sql.errors import SqlError
from services.sql.query_guard import QueryGuard
from tests.fakes.sql import shop_schema
from tests.integration.sql.databases import digest_of

LIMITS = RunLimits(
    statement_seconds=0.3,
    lock_seconds=0.2,
    work_memory_kilobytes=4_096,
    max_plan_cost=1e7,
    max_rows=1_000,
    max_bytes=4_000_000,
)

ATTACKS = [
    # Writing rows.
    "DELETE FROM customers",
    "DELETE FROM customers RETURNING *",
    "UPDATE customers SET name = 'x'",
    "INSERT INTO customers SELECT * FROM customers",
    "TRUNCATE customers CASCADE",
    "MERGE INTO orders o USING customers c ON o.customer_id = c.customer_id WHEN MATCHED THEN DELETE",
    "WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d",
    "WITH u AS (UPDATE customers SET name = 'x' RETURNING 1) SELECT 1",
    "SELECT * FROM customers FOR UPDATE",
    "SELECT * FROM customers FOR KEY SHARE",
    "SELECT * INTO stolen FROM customers",
    "EXPLAIN ANALYZE DELETE FROM customers",
    "ANALYZE customers",
    # Changing objects.
    "DROP TABLE customers CASCADE",
    "DROP SCHEMA public CASCADE",
    "DROP DATABASE shop",
    "ALTER TABLE customers ADD COLUMN x int",
    "CREATE TABLE stolen AS SELECT * FROM customers",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE VIEW v AS SELECT 1",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE EXTENSION dblink",
    "CREATE INDEX ON customers (name)",
    "COMMENT ON TABLE customers IS 'owned'",
    "VACUUM FULL customers",
    "REINDEX TABLE customers",
    "CLUSTER customers",
    "REFRESH MATERIALIZED VIEW v",
    # Changing rights and roles.
    "GRANT ALL ON customers TO PUBLIC",
    "CREATE ROLE evil SUPERUSER LOGIN",
    "ALTER ROLE diglot_reader SUPERUSER",
    "ALTER ROLE diglot_reader SET default_transaction_read_only = off",
    "ALTER ROLE CURRENT_USER PASSWORD 'known'",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    "REASSIGN OWNED BY postgres TO diglot_reader",
    "ALTER SYSTEM SET log_statement = 'all'",
    # Leaving the transaction.
    "COMMIT",
    "ROLLBACK",
    "COMMIT; DELETE FROM customers; BEGIN",
    "SELECT 1; DELETE FROM customers",
    "SELECT 1; COMMIT; DROP TABLE orders",
    "SELECT 1;; -- \n DROP TABLE orders",
    "SELECT 1) TO STDOUT; DROP TABLE orders; --",
    "SELECT 1 \\; DELETE FROM customers",
    "SET TRANSACTION READ WRITE",
    "BEGIN READ WRITE",
    "PREPARE TRANSACTION 'x'",
    "SAVEPOINT s",
    "PREPARE p AS DELETE FROM customers",
    "EXECUTE p",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "CALL nothing()",
    "DO $$ BEGIN DELETE FROM customers; END $$",
    # Changing the session for whoever comes next.
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SELECT set_config('default_transaction_read_only', 'off', false)",
    "SELECT set_config('statement_timeout', '0', false), pg_sleep(5)",
    "SELECT set_config('search_path', 'evil', false)",
    "SELECT set_config('role', 'postgres', false)",
    "SET statement_timeout = 0",
    "RESET ALL",
    "LISTEN channel",
    "NOTIFY channel, 'x'",
    "SELECT pg_notify('channel', 'x')",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_advisory_lock(2), pg_sleep(5)",
    "LOCK TABLE customers IN ACCESS EXCLUSIVE MODE",
    # Files, programs, other servers, other sessions.
    "COPY customers TO '{folder}/stolen'",
    "COPY customers TO PROGRAM 'touch {folder}/stolen'",
    "COPY customers FROM PROGRAM 'touch {folder}/stolen'",
    "COPY (SELECT 1) TO STDOUT",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT * FROM pg_stat_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '{folder}/stolen')",
    "SELECT lo_create(0)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
    "SELECT pg_reload_conf()",
    "SELECT pg_rotate_logfile()",
    "SELECT pg_switch_wal()",
    "SELECT pg_create_restore_point('x')",
    "SELECT pg_logical_emit_message(false, 'x', 'y')",
    "SELECT query_to_xml('DELETE FROM customers RETURNING 1', true, true, '')",
    "SELECT * FROM pg_authid",
    "SELECT rolpassword FROM pg_authid",
    "SELECT nextval('orders_order_id_seq')",
    "SELECT setval('orders_order_id_seq', 1)",
    "IMPORT FOREIGN SCHEMA x FROM SERVER y INTO z",
    "LOAD '$libdir/plpgsql'",
    # Using it up.
    "SELECT pg_sleep(60)",
    "SELECT count(*) FROM generate_series(1, 1000000000000)",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT sum(n) FROM r",
    "SELECT a.*, b.*, c.* FROM order_items a, order_items b, order_items c, order_items d, order_items e",
]


@pytest.fixture
async def target(shop_url: str) -> AsyncIterator[PostgresTarget]:
    async with open_target_pool(shop_url, max_connections=1, checkout_wait_seconds=5) as pool:
        yield PostgresTarget(pool, LIMITS, max_concurrent_runs=1, wait_seconds=5)


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def session_of(target: PostgresTarget) -> object:
    """What the next user of the one connection of the pool finds there."""
    result = await target.run(
        "SELECT current_setting('transaction_read_only'), current_setting('default_transaction_read_only'),"
        " current_setting('statement_timeout'), current_setting('search_path'), current_user, session_user,"
        " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),"
        " (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_listening_channels()),"
        " (SELECT count(*) FROM pg_cursors WHERE is_holdable)"
    )
    return result.rows


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """A folder in which the database server could leave files, if it were brought to it."""
    tmp_path.chmod(0o777)
    return tmp_path


async def test_no_attack_changes_anything_without_the_guard(
    target: PostgresTarget, shop_owner_url: str, open_folder: Path
) -> None:
    before, session = digest_of(shop_owner_url), await session_of(target)
    told: list[str] = []

    for attack in ATTACKS:
        try:
            await target.run(attack.replace("{folder}", str(open_folder)))
        except SqlError as error:
            told.append(str(error))
        assert await session_of(target) == session, attack

    assert digest_of(shop_owner_url) == before
    assert files_in(open_folder) == []
    assert not [text for text in told if "customers" in text], "the driver's own text must stay behind"


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_guard_alone_refuses_each_attack(attack: str) -> None:
    verdict = QueryGuard(max_rows=1_000).check(attack, shop_schema())

    harmless_but_large = attack.startswith(("SELECT count(*) FROM generate_series", "WITH RECURSIVE", "SELECT a.*"))
    assert not verdict.allowed or harmless_but_large


async def test_the_role_alone_refuses_to_write_when_asked_over_a_plain_connection(
    shop_url: str, shop_owner_url: str
) -> None:
    before = digest_of(shop_owner_url)

    async with await psycopg.AsyncConnection.connect(shop_url, autocommit=True) as connection:
        for attack in ATTACKS:
            # What a role may do to itself, its password and settings, only the READ ONLY transaction keeps from it.
            if "pg_sleep" in attack or attack.startswith(
                ("ALTER ROLE", "LISTEN", "COPY (SELECT", "WITH RECURSIVE", "SELECT a.*", "SELECT count")
            ):
                continue
            # As bold as can be: simple protocol, read-write, no time limits.
            for statement in ("ROLLBACK", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", attack):
                try:
                    await connection.execute(statement.replace("{folder}", "/nowhere").encode())
                except (psycopg.Error, RuntimeError):
                    continue
        await connection.execute("ROLLBACK")

    assert digest_of(shop_owner_url) == before
