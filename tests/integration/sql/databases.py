"""Databases of a test's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg import sql

from deploy.local.embedded_postgres import EmbeddedPostgres

PASSWORD = "only-for-tests"


@contextmanager
def own_database(server: EmbeddedPostgres, script: str, *grants: str) -> Iterator[tuple[str, str]]:
    """A database made by `script`: the URL of a role with only `grants` ({role} stands for it), and the owner's."""
    name = f"own_{uuid4().hex}"
    database, role = sql.Identifier(name), sql.Identifier(f"{name}_reader")
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 STRATEGY file_copy").format(database))
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(PASSWORD)))
        with psycopg.connect(server.url(name), autocommit=True) as inside:
            inside.execute(script.encode())
            for grant in grants:
                inside.execute(sql.SQL(grant).format(role=role))
        yield server.url(name, f"{name}_reader", PASSWORD), server.url(name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))  # rights that are of no one database
        connection.execute(sql.SQL("DROP ROLE {}").format(role))
