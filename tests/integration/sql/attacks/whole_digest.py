"""A digest of everything that a database server keeps, as seen by its superuser from one database."""

from __future__ import annotations

import hashlib

import psycopg
from psycopg import sql

# Every table there is, catalogs too: classes, functions, roles, passwords, settings of roles, rights, large objects ...
_TABLES = """
SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'S') AND n.nspname !~ '^pg_(toast|temp)' ORDER BY 1, 2
"""
_ROWS = """
SELECT md5(string_agg(row_digest, '' ORDER BY row_digest))
FROM (SELECT md5(t::text) AS row_digest FROM (SELECT * FROM {}) t) d
"""
# What no table holds.
_REST = {
    "advisory locks": "SELECT pid, objid FROM pg_locks WHERE locktype = 'advisory'",
    "prepared transactions": "SELECT gid FROM pg_prepared_xacts",
    "replication slots": "SELECT slot_name FROM pg_replication_slots",
    "settings": "SELECT name, setting FROM pg_settings WHERE source <> 'session' AND context <> 'internal' ORDER BY 1",
    "settings in files": "SELECT name, setting FROM pg_file_settings ORDER BY seqno",
    "resets of statistics": "SELECT datname, stats_reset FROM pg_stat_database WHERE datname = current_database()",
    "files": "SELECT name FROM pg_ls_dir('.') AS name ORDER BY name",
    "temporary schemas": "SELECT nspname FROM pg_namespace WHERE nspname ~ '^pg_temp' ORDER BY 1",
}


def whole_digest(owner_url: str) -> dict[str, str]:
    """A digest by name of table or of what is no table: equal when nothing at all has changed."""
    digests = {}
    with psycopg.connect(owner_url, autocommit=True) as connection:
        for schema, table in connection.execute(_TABLES.encode()).fetchall():
            row = connection.execute(sql.SQL(_ROWS).format(sql.Identifier(schema, table))).fetchone()
            digests[f"{schema}.{table}"] = str(row)
        for name, query in _REST.items():
            rows = connection.execute(query.encode()).fetchall()
            digests[name] = hashlib.sha256(repr(rows).encode()).hexdigest()
    return digests
