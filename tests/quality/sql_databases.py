"""Databases to ask questions about: loaded into the embedded server, read as the sql service reads them."""

import os
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

from deploy.local.embedded_postgres import EmbeddedPostgres
from services.sql.adapters.postgres_introspection import PostgresSchemaReader, ReadLimits
from services.sql.adapters.postgres_session import open_target_pool
from services.sql.models import Schema

READ_LIMITS = ReadLimits(structure_seconds=30, sample_seconds=30, sample_table_seconds=10, sample_rows=100_000)


def load_database(server: EmbeddedPostgres, name: str, script: Path) -> str:
    """Make a database from a script; its URL. One of this name that is there already is kept."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            with psycopg.connect(server.url(name), autocommit=True) as inside:
                inside.execute(script.read_bytes())
    return server.url(name)


def load_evaluation(server: EmbeddedPostgres, evaluation: Path) -> None:
    """Load every public text-to-SQL database by the script that comes with the data."""
    places = urlsplit(server.url("postgres"))
    login = {
        "PGHOST": unquote(places.netloc.rpartition("@")[2]),
        "PGUSER": unquote(places.username or ""),
        "PGPASSWORD": unquote(places.password or ""),
    }
    command = ["bash", str(evaluation / "score" / "load_pg.sh"), str(evaluation), "public"]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **login})


def dsn_of(server: EmbeddedPostgres) -> str:
    """Where the scorer connects, without a database."""
    places = urlsplit(server.url("postgres"))
    host, user = unquote(places.netloc.rpartition("@")[2]), unquote(places.username or "")
    return f"host={host} user={user} password={unquote(places.password or '')}"


async def read_schema(url: str) -> Schema:
    """The schema with its sampled values, as the service would see it."""
    async with open_target_pool(url, max_connections=1, checkout_wait_seconds=10) as pool:
        return await PostgresSchemaReader(pool, READ_LIMITS).read()
