"""The databases and roles that Diglot needs of a PostgreSQL: its own store, and the sample shop with its reader."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import psycopg
from psycopg import Connection, sql

STORE_DATABASE = "diglot_store"
SHOP_DATABASE = "shop"
EMPTY_DATABASE = "empty"  # What is asked when there is no sample and no other database.
READER = "diglot_reader"
STORE_ROLES = {"rag": "diglot_rag", "sql": "diglot_sql", "ingest": "diglot_ingest"}
SAMPLE_FOLDER = Path(__file__).resolve().parents[1] / "sample"

# Nobody but these gets in, and each only where it belongs, whatever the databases themselves would allow.
ACCESS_RULES = (
    "local all postgres scram-sha-256",
    *(f"local {STORE_DATABASE} {role} scram-sha-256" for role in STORE_ROLES.values()),
    f"local {SHOP_DATABASE},{EMPTY_DATABASE} {READER} scram-sha-256",
)

_READER_LIMITS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "30s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "60s",
    "idle_session_timeout": "30min",
    "temp_file_limit": "256MB",
    "work_mem": "16MB",
    "max_parallel_workers_per_gather": "0",
}
# The only writing functions that PostgreSQL leaves open to everybody.
_LARGE_OBJECT_WRITERS = ("lo_creat(integer)", "lo_create(oid)", "lo_from_bytea(oid, bytea)")


class Server(Protocol):
    """A PostgreSQL that takes connections."""

    def url(self, database: str) -> str:
        """URL of a database for the superuser."""


def provision_store(postgres: Server, passwords: Mapping[str, str]) -> None:
    """Make Diglot's own database, with pgvector, and a role for each service in `STORE_ROLES`. Repeating it is safe.

    Args: passwords: by role name.
    """
    with _superuser(postgres, "postgres") as connection:
        for role in STORE_ROLES.values():
            _make_role(connection, role, passwords[role])
        _make_database(connection, STORE_DATABASE)
        for role in STORE_ROLES.values():
            _run(connection, "GRANT CONNECT, CREATE ON DATABASE {} TO {}", STORE_DATABASE, role)
    with _superuser(postgres, STORE_DATABASE) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public")


def provision_shop(postgres: Server, reader_password: str) -> None:
    """Make the sample shop and the role that may read it and nothing else. Repeating it is safe and keeps the rows."""
    _provision_readable(postgres, SHOP_DATABASE, reader_password)
    with _superuser(postgres, SHOP_DATABASE) as connection, connection.transaction():
        if connection.execute("SELECT to_regclass('public.customers')").fetchone() == (None,):
            connection.execute((SAMPLE_FOLDER / "shop.sql").read_bytes())
        for table in ("customers", "products", "orders", "order_items"):
            _run(connection, "GRANT SELECT ON public.{} TO {}", table, READER)
    with _superuser(postgres, SHOP_DATABASE) as connection:
        connection.execute("ANALYZE")  # Without it, the plan costs and row estimates of fresh tables are guesses.


def provision_empty(postgres: Server, reader_password: str, *, database: str = EMPTY_DATABASE) -> None:
    """Make a database without tables for the reader, unless there is one. Repeating it is safe."""
    _provision_readable(postgres, database, reader_password)


def _provision_readable(postgres: Server, database: str, reader_password: str) -> None:
    with _superuser(postgres, "postgres") as connection:
        _make_role(connection, READER, reader_password, "CONNECTION LIMIT 20")
        for name, value in _READER_LIMITS.items():
            statement = sql.SQL("ALTER ROLE {} SET {} = {}")
            connection.execute(statement.format(sql.Identifier(READER), sql.Identifier(name), sql.Literal(value)))
        _make_database(connection, database)
        _run(connection, "GRANT CONNECT ON DATABASE {} TO {}", database, READER)
    with _superuser(postgres, database) as connection:
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        for function in _LARGE_OBJECT_WRITERS:
            connection.execute(
                sql.SQL("REVOKE EXECUTE ON FUNCTION pg_catalog.{} FROM PUBLIC").format(sql.SQL(function))
            )


def _superuser(postgres: Server, database: str) -> Connection[tuple[object, ...]]:
    return psycopg.connect(postgres.url(database), autocommit=True)


def _make_role(connection: Connection[tuple[object, ...]], role: str, password: str, *options: str) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    statement = sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {} {}")
    verb, extras = sql.SQL("ALTER" if known else "CREATE"), sql.SQL(" ").join(map(sql.SQL, options))
    connection.execute(statement.format(verb, sql.Identifier(role), sql.Literal(password), extras))


def _make_database(connection: Connection[tuple[object, ...]], database: str) -> None:
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone() is None:
        _run(connection, "CREATE DATABASE {} TEMPLATE template0", database)
    for closed in (database, "postgres", "template1"):
        _run(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", closed)


def _run(connection: Connection[tuple[object, ...]], statement: str, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
