"""A PostgreSQL for one run: a part's databases with a role that may only read them, and the service's own store."""

import json
import os
import re
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

from deploy.local.databases import STORE_DATABASE, STORE_ROLES, provision_store
from deploy.local.embedded_postgres import EmbeddedPostgres, programs_folder
from deploy.local.errors import PostgresFailed
from tests.quality.sql.errors import BadInput, RunFailed

READER = "eval_ro"
_READER_SECONDS = 15
_LONGEST_PARENT = 60
# Nothing here need survive a power cut.
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "500",  # scorers keep one to each database
}
_UNKNOWN_ROLE = re.compile(r'role "(.+)" does not exist')
_MOST_UNKNOWN_ROLES = 50
_CLOSED_DATABASES = frozenset({STORE_DATABASE, "postgres", "template0", "template1"})

_GRANT_EVERYTHING_READABLE = """
DO $grants$
DECLARE one text;
BEGIN
  FOR one IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %1$I TO {reader}', one);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %1$I TO {reader}', one);
    EXECUTE format('REVOKE CREATE ON SCHEMA %1$I FROM PUBLIC', one);
  END LOOP;
END
$grants$
"""
_COLUMNS = """
SELECT n.nspname, c.relname, a.attname
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND col_description(c.oid, a.attnum) IS NULL
"""


class ScratchPostgres:
    """A running server. Passwords are made anew for each run."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._passwords = {role: secrets.token_urlsafe(16) for role in (READER, *STORE_ROLES.values())}
        provision_store(server, self._passwords)
        reader, password = sql.Identifier(READER), sql.Literal(self._passwords[READER])
        with self._superuser("postgres") as connection:
            for statement in (
                "CREATE ROLE {0} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {1}",
                "ALTER ROLE {0} SET default_transaction_read_only = on",
                f"ALTER ROLE {{0}} SET statement_timeout = '{_READER_SECONDS}s'",
            ):
                connection.execute(sql.SQL(statement).format(reader, password))

    def load(self, name: str, dump: Path) -> None:
        """Make a database from a dump and let the reader read it. Raises BadInput: the dump cannot be loaded."""
        if name in _CLOSED_DATABASES:
            raise BadInput(f"{dump}: a database cannot be called {name}, which the server needs itself")
        made: set[str] = set()
        while complaint := self._load_once(name, dump):
            # Dumps name the roles that owned things where they were made.
            unknown = _UNKNOWN_ROLE.search(complaint)
            if unknown is None or unknown[1] in made or len(made) == _MOST_UNKNOWN_ROLES:
                raise BadInput(f"{dump}: cannot be loaded: {complaint}")
            made.add(unknown[1])
            with self._superuser("postgres") as connection:
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(unknown[1])))
        with self._superuser(name) as connection:
            connection.execute(_GRANT_EVERYTHING_READABLE.format(reader=READER).encode())
            connection.execute("ANALYZE")  # Autovacuum would come to it; row estimates and plans count from the start.

    def describe(self, name: str, metadata: Path) -> int:
        """Make comments of the column descriptions that come with a dump; how many. Columns with a comment keep it.

        Raises: BadInput: the file does not hold such descriptions.
        """
        told = _descriptions(metadata)
        with self._superuser(name) as connection:
            commented = 0
            for schema, table, column in connection.execute(_COLUMNS).fetchall():
                description = told.get((table.lower(), column.lower()))
                if description:
                    place = sql.Identifier(schema, table, column)
                    statement = sql.SQL("COMMENT ON COLUMN {} IS {}").format(place, sql.Literal(description))
                    connection.execute(statement)
                    commented += 1
        return commented

    def reader_url(self, name: str) -> str:
        """Address of a database for the role that may only read."""
        return self._server.url(name, READER, self._passwords[READER])

    def store_urls(self) -> dict[str, str]:
        """Address of the store for each service that keeps something there."""
        return {
            service: self._server.url(STORE_DATABASE, role, self._passwords[role])
            for service, role in STORE_ROLES.items()
        }

    def reader_dsn(self) -> str:
        """The same as keywords of libpq, without a database."""
        places = _login(self.reader_url("postgres"))
        return f"host='{places['PGHOST']}' user={READER} password={self._passwords[READER]}"

    def _load_once(self, name: str, dump: Path) -> str:
        """What the server complains of first; empty when all went well."""
        with self._superuser("postgres") as connection:
            database = sql.Identifier(name)
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(database))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(database))
        login = _login(self._server.url(name))
        options = ["--no-psqlrc", "--quiet", "--variable=ON_ERROR_STOP=1", f"--dbname={name}", f"--file={dump}"]
        done = subprocess.run(
            [str(programs_folder() / "psql"), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # As pg_dump writes; a dump in another encoding says so itself.
            env={"PATH": os.defpath, "PGCLIENTENCODING": "UTF8", "PGOPTIONS": "-c client_min_messages=error", **login},
        )
        if done.returncode == 0:
            return ""
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        return (lines[0] if lines else f"psql ended with {done.returncode}").replace(f"psql:{dump}:", "line ")[:500]

    def _superuser(self, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self._server.url(database), autocommit=True)


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder for sockets, whose paths may have some hundred bytes at most; gone afterwards."""
    usual = tempfile.gettempdir()
    parent = usual if len(usual) <= _LONGEST_PARENT else "/tmp"
    with tempfile.TemporaryDirectory(prefix="dg-sql-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def scratch_postgres() -> Iterator[ScratchPostgres]:
    """Start a server with nothing but the service's store, and remove every trace of it afterwards.

    Raises: RunFailed: it does not start.
    """
    with short_folder() as folder:
        sockets = folder / "s"
        sockets.mkdir(mode=0o700)
        try:
            server = EmbeddedPostgres(folder / "pg", sockets, settings=_SETTINGS)
            server.start()
        except PostgresFailed as error:
            raise RunFailed(f"the scratch PostgreSQL does not start: {error}") from error
        try:
            yield ScratchPostgres(server)
        finally:
            server.stop(timeout_seconds=5)


def _login(url: str) -> dict[str, str]:
    places = urlsplit(url)
    return {
        "PGHOST": unquote(places.netloc.rpartition("@")[2]),
        "PGUSER": unquote(places.username or ""),
        "PGPASSWORD": unquote(places.password or ""),
    }


def _descriptions(metadata: Path) -> dict[tuple[str, str], str]:
    """Descriptions by table and column in lower case: dumps write names with and without quotes."""
    try:
        tables = json.loads(metadata.read_bytes())["table_metadata"]
        return {
            (str(table).rpartition(".")[2].lower(), str(column["column_name"]).lower()): column["column_description"]
            for table, columns in tables.items()
            for column in columns
            if isinstance(column.get("column_description"), str)
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadInput(
            f'{metadata}: no column descriptions, which are like {{"table_metadata": {{"orders": '
            f'[{{"column_name": "total", "column_description": "in euros"}}]}}}}'
        ) from error
