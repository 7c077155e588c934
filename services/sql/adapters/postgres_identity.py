"""Which database an address leads to, and what a role could do there besides reading."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import conninfo_to_dict

from services.sql.adapters.postgres_session import Pool
from services.sql.errors import ConfigurationRefused

_LOCAL = {"", "localhost", "127.0.0.1", "::1"}

# Equal for two connections when, and in practice only when, they lead to one database of one running server.
_PLACE = "SELECT pg_postmaster_start_time()::text, oid::text FROM pg_database WHERE datname = current_database()"

_POWERS = """
SELECT power FROM (
  SELECT 'is a superuser' AS power FROM pg_roles WHERE rolname = current_user AND rolsuper
  UNION ALL SELECT 'may create roles' FROM pg_roles WHERE rolname = current_user AND rolcreaterole
  UNION ALL SELECT 'may create databases' FROM pg_roles WHERE rolname = current_user AND rolcreatedb
  UNION ALL SELECT 'may replicate' FROM pg_roles WHERE rolname = current_user AND rolreplication
  UNION ALL SELECT 'is a member of ' || rolname FROM pg_roles
    WHERE rolname IN ('pg_write_all_data', 'pg_execute_server_program', 'pg_read_server_files',
                      'pg_write_server_files', 'pg_signal_backend', 'pg_maintain', 'pg_database_owner')
      AND pg_has_role(current_user, oid, 'MEMBER')
  UNION ALL SELECT 'may create schemas' WHERE has_database_privilege(current_database(), 'CREATE')
  UNION ALL SELECT 'may create objects in schema ' || nspname FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND has_schema_privilege(oid, 'CREATE')
  UNION ALL (SELECT 'may change table ' || n.nspname || '.' || c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND (has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
           OR has_any_column_privilege(c.oid, 'INSERT, UPDATE'))
    ORDER BY 1 LIMIT 3)
) AS powers LIMIT 20
"""


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


async def place_of(pool: Pool) -> tuple[str, ...] | None:
    """What tells one database of one running server from any other; None when it cannot be asked now."""
    try:
        async with pool.connection() as connection:
            row = await (await connection.execute(_PLACE)).fetchone()
    except (psycopg.Error, OSError):
        return None
    return tuple(str(value) for value in row) if row else None


async def powers_of_role(pool: Pool) -> list[str] | None:
    """What the role could do besides reading, in words; empty for a proper one, None when it cannot be asked now."""
    try:
        async with pool.connection() as connection:
            return [str(power) for (power,) in await (await connection.execute(_POWERS)).fetchall()]
    except (psycopg.Error, OSError):
        return None
