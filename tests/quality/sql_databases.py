"""Databases to ask questions about: loaded into the embedded server, read as the sql service reads them."""

from pathlib import Path

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


async def read_schema(url: str) -> Schema:
    """The schema with its sampled values, as the service would see it."""
    async with open_target_pool(url, max_connections=1, checkout_wait_seconds=10) as pool:
        return await PostgresSchemaReader(pool, READ_LIMITS).read()
