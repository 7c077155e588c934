"""Which database an address leads to."""

from __future__ import annotations

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow

from services.sql.errors import ConfigurationRefused

Place = tuple[str, ...]

_LOCAL = {"", "localhost", "127.0.0.1", "::1"}

# Equal for two connections when, and in practice only when, they lead to one database of one running server.
_PLACE = "SELECT pg_postmaster_start_time()::text, oid::text FROM pg_database WHERE datname = current_database()"


def names_one_database(first: str, second: str) -> bool:
    """Whether two addresses look alike in host, port and database, without asking anybody.

    Raises: ConfigurationRefused: one of them cannot be read; the message holds neither.
    """
    return _place_in(first) == _place_in(second)


def database_key(url: str) -> str:
    """A name for the database of an address, free of passwords: what its schema is remembered under."""
    host, port, database = _place_in(url)
    user = str(conninfo_to_dict(url).get("user") or "")
    return f"{user}@{host}:{port}/{database}"


def _place_in(url: str) -> tuple[str, str, str]:
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise ConfigurationRefused(
            "DATABASE_URL or DIGLOT_STORE_URL cannot be read; a right one looks like"
            " postgresql://user:password@host:5432/database"
        ) from None
    host = str(parts.get("host") or parts.get("hostaddr") or "").lower()
    database = str(parts.get("dbname") or parts.get("user") or "")
    return "localhost" if host in _LOCAL else host, str(parts.get("port") or "5432"), database


async def read_place(connection: AsyncConnection[TupleRow]) -> Place:
    """What tells one database of one running server from any other. Raises psycopg.Error."""
    row = await (await connection.execute(_PLACE)).fetchone() or ()
    return tuple(str(value) for value in row)
