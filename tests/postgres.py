"""A real PostgreSQL for tests: one server a session, a fresh store a test, and the sample shop."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from deploy.local.databases import READER, SHOP_DATABASE, provision_shop
from deploy.local.embedded_postgres import EmbeddedPostgres

STORE_OWNER = "diglot_store_owner"
PASSWORD = "only-for-tests"
_TEMPLATE = "store_template"

# A test's data need not survive a power cut.
_FAST_AND_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


@pytest.fixture(scope="session")
def make_folder() -> Iterator[Callable[[], Path]]:
    """Makes a new folder each time, gone after the session.

    For whatever PostgreSQL works in: as root it runs as another user, and pytest takes the right to pass through its
    own temporary folders away again whenever a further pytest starts. The paths are short, as sockets need them.
    """
    with ExitStack() as stack:

        def make() -> Path:
            folder = tempfile.TemporaryDirectory(prefix="dg-test-", ignore_cleanup_errors=True)
            return Path(stack.enter_context(folder))

        yield make


@pytest.fixture(scope="session")
def postgres_server(make_folder: Callable[[], Path]) -> Iterator[EmbeddedPostgres]:
    """A running server with pgvector. It ends with the session, and with the process however that ends."""
    folder = make_folder()
    sockets = folder / "s"
    sockets.mkdir(mode=0o700)
    server = EmbeddedPostgres(folder / "pg", sockets, settings=_FAST_AND_FORGETFUL)
    try:
        server.start()
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            owner, password = sql.Identifier(STORE_OWNER), sql.Literal(PASSWORD)
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(owner, password))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
        with psycopg.connect(server.url(_TEMPLATE), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector WITH SCHEMA public")
        yield server
    finally:
        server.stop(timeout_seconds=5)


@pytest.fixture
def store_url(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """URL of an empty database with pgvector, owned by a role that is no superuser; gone after the test."""
    name = f"store_{uuid4().hex}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        database, owner, template = sql.Identifier(name), sql.Identifier(STORE_OWNER), sql.Identifier(_TEMPLATE)
        # Copying the files is faster than logging their pages, and safe without fsync.
        creation = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY file_copy").format(
            database, owner, template
        )
        connection.execute(creation)
        yield postgres_server.url(name, STORE_OWNER, PASSWORD)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))


@pytest.fixture(scope="session")
def shop_owner_url(postgres_server: EmbeddedPostgres) -> str:
    """URL of the sample shop for its owner, who may change it. Whoever changes it changes it back."""
    provision_shop(postgres_server, PASSWORD)
    return postgres_server.url(SHOP_DATABASE)


@pytest.fixture(scope="session")
def shop_url(postgres_server: EmbeddedPostgres, shop_owner_url: str) -> str:
    """URL of the sample shop for the role that may only read it."""
    return postgres_server.url(SHOP_DATABASE, READER, PASSWORD)
