"""Databases of a test's own, and a digest of all that a database holds."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg import sql

from deploy.local.embedded_postgres import EmbeddedPostgres

PASSWORD = "only-for-tests"

_EVERYTHING = """
SELECT 'class', n.nspname || '.' || c.relname || c.relkind::text || coalesce(c.relacl::text, '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_(toast|temp)'
UNION ALL SELECT 'function', oid::regprocedure::text || coalesce(proacl::text, '') FROM pg_proc
UNION ALL SELECT 'role', rolname || rolsuper || rolcanlogin || coalesce(rolpassword, '') FROM pg_authid
UNION ALL SELECT 'setting', s::text FROM pg_db_role_setting s
UNION ALL SELECT 'schema', nspname || coalesce(nspacl::text, '') FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'
UNION ALL SELECT 'extension', extname FROM pg_extension
UNION ALL SELECT 'large object', oid::text FROM pg_largeobject_metadata
UNION ALL SELECT 'type', typname::text FROM pg_type WHERE typtype = 'e'
UNION ALL SELECT 'trigger', tgname::text FROM pg_trigger
UNION ALL SELECT 'database', datname::text FROM pg_database WHERE datname !~ '^(store|own)_'
UNION ALL SELECT 'prepared', gid FROM pg_prepared_xacts
UNION ALL SELECT 'advisory lock', pid::text FROM pg_locks WHERE locktype = 'advisory'
UNION ALL SELECT 'comment', description FROM pg_description d JOIN pg_class c ON c.oid = d.objoid
                                            WHERE c.relnamespace = 'public'::regnamespace
UNION ALL SELECT 'sequence', schemaname || sequencename || coalesce(last_value::text, '') FROM pg_sequences
ORDER BY 1, 2
"""
_TABLES = """
SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2
"""


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
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


def digest_of(owner_url: str) -> str:
    """A digest of every row, object, role, setting and lock: equal when nothing at all has changed."""
    digest = hashlib.sha256()
    with psycopg.connect(owner_url, autocommit=True) as connection:
        for row in connection.execute(_EVERYTHING.encode()).fetchall():
            digest.update(repr(row).encode())
        for schema, table in connection.execute(_TABLES.encode()).fetchall():
            name = sql.Identifier(schema, table)
            rows = connection.execute(sql.SQL("SELECT t::text FROM {} t ORDER BY 1").format(name)).fetchall()
            digest.update(repr((schema, table, rows)).encode())
    return digest.hexdigest()
