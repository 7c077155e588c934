"""The sample shop: its rows are fixed, and its reader can read them and nothing else."""

from typing import Any

import psycopg
import pytest

from deploy.local.databases import SHOP_DATABASE, provision_shop
from deploy.local.embedded_postgres import EmbeddedPostgres
from tests.postgres import PASSWORD


def ask(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement.encode()).fetchall()


@pytest.mark.parametrize(("table", "count"), [("customers", 100), ("products", 200), ("orders", 50)])
def test_the_shop_has_the_promised_number_of_rows(shop_url: str, table: str, count: int) -> None:
    assert ask(shop_url, f"SELECT count(*) FROM {table}") == [(count,)]


def test_every_orders_total_is_the_sum_of_its_items(shop_url: str) -> None:
    wrong = ask(
        shop_url,
        "SELECT order_id FROM orders LEFT JOIN order_items USING (order_id) GROUP BY order_id"
        " HAVING total_amount IS DISTINCT FROM sum(quantity * unit_price)",
    )

    assert wrong == []


def test_the_rows_are_the_same_on_every_machine(shop_url: str) -> None:
    digests = {
        table: ask(shop_url, f"SELECT md5(string_agg(t::text, '|' ORDER BY {table}_id)) FROM {table}s t")[0][0]
        for table in ("customer", "product", "order", "order_item")
    }

    assert digests == {
        "customer": "f1809fa6d0fdf09a301a0db03add80aa",
        "product": "04a617ccd82c366d760a4c410ef0b1d6",
        "order": "4d088a516d47deee59f82721f9e601b2",
        "order_item": "e4113190f967b9a6cf723541d614993f",
    }


def test_every_table_and_column_is_commented(shop_url: str) -> None:
    bare = ask(
        shop_url,
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum >= 0"
        " WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped"
        " AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL)",
    )

    assert bare == []


def test_making_the_shop_again_keeps_it(postgres_server: EmbeddedPostgres, shop_url: str) -> None:
    before = ask(shop_url, "SELECT sum(total_amount) FROM orders")

    provision_shop(postgres_server, PASSWORD)

    assert ask(shop_url, "SELECT sum(total_amount) FROM orders") == before


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO customers SELECT * FROM customers",
        "UPDATE orders SET total_amount = 0",
        "DELETE FROM order_items",
        "TRUNCATE products",
        "DROP TABLE customers",
        "CREATE TABLE mine (id int)",
        "CREATE TEMP TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "CREATE EXTENSION vector",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT lo_create(0)",
        "SELECT pg_read_file('postgresql.conf')",
        "SELECT pg_ls_dir('.')",
        "COPY customers TO PROGRAM 'cat'",
        "COPY customers TO 'out.csv'",
        "SELECT rolpassword FROM pg_authid",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "ALTER ROLE diglot_reader SUPERUSER",
        "SET temp_file_limit = -1",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "SELECT pg_reload_conf()",
    ],
)
def test_the_reader_can_do_nothing_but_read(shop_url: str, statement: str) -> None:
    with psycopg.connect(shop_url, autocommit=True) as connection:
        # Switched off on purpose: the role has to hold without the session's help.
        connection.execute("SET default_transaction_read_only = off")

        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_the_readers_sessions_are_limited_from_the_start(shop_url: str) -> None:
    limits = ask(
        shop_url,
        "SELECT name, setting FROM pg_settings WHERE name IN ('default_transaction_read_only', 'statement_timeout',"
        " 'lock_timeout', 'idle_in_transaction_session_timeout', 'temp_file_limit') ORDER BY name",
    )

    assert dict(limits) == {
        "default_transaction_read_only": "on",
        "idle_in_transaction_session_timeout": "60000",
        "lock_timeout": "2000",
        "statement_timeout": "30000",
        "temp_file_limit": "262144",
    }
    assert ask(shop_url, "SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user") == [(20,)]


@pytest.mark.parametrize("database", ["postgres", "template1"])
def test_the_reader_gets_into_no_other_database(shop_url: str, database: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(shop_url.replace(f"/{SHOP_DATABASE}", f"/{database}"))
