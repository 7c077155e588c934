"""The databases and roles that Diglot needs of a PostgreSQL: its own store, and the sample shop with its reader."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import psycopg
from psycopg import Connection, sql

from deploy.database.reader import create_reader

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
    with _superuser(postgres, "postgres") as connection:
        _make_database(connection, SHOP_DATABASE)
    with _superuser(postgres, SHOP_DATABASE) as connection:
        with connection.transaction():
            if connection.execute("SELECT to_regclass('public.customers')").fetchone() == (None,):
                connection.execute((SAMPLE_FOLDER / "shop.sql").read_bytes())
        _admit_reader(connection, reader_password)
        connection.execute("ANALYZE")  # Without it, the plan costs and row estimates of fresh tables are guesses.


def provision_empty(postgres: Server, reader_password: str, *, database: str = EMPTY_DATABASE) -> None:
    """Make a database without tables for the reader, unless there is one. Repeating it is safe."""
    with _superuser(postgres, "postgres") as connection:
        _make_database(connection, database)
    with _superuser(postgres, database) as connection:
        _admit_reader(connection, reader_password)


def _admit_reader(connection: Connection[tuple[object, ...]], password: str) -> None:
    create_reader(connection, reader=READER, password=password, close_public=True)


def _superuser(postgres: Server, database: str) -> Connection[tuple[object, ...]]:
    return psycopg.connect(postgres.url(database), autocommit=True)


def _make_role(connection: Connection[tuple[object, ...]], role: str, password: str) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    statement = sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {}")
    verb = sql.SQL("ALTER" if known else "CREATE")
    connection.execute(statement.format(verb, sql.Identifier(role), sql.Literal(password)))


def _make_database(connection: Connection[tuple[object, ...]], database: str) -> None:
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone() is None:
        _run(connection, "CREATE DATABASE {} TEMPLATE template0", database)
    for closed in (database, "postgres", "template1"):
        _run(connection, "REVOKE ALL ON DATABASE {} FROM PUBLIC", closed)


def _run(connection: Connection[tuple[object, ...]], statement: str, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
