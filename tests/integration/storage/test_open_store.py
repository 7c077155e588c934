"""The store against a real PostgreSQL: migrations once and safely, connections that heal."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from services.storage.errors import MigrationFailed, MigrationRefused, StorageUnreachable, StorageUrlInvalid
from services.storage.postgres import open_store


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    (tmp_path / "0001_create_notes.sql").write_text(
        "CREATE TABLE notes (id int PRIMARY KEY); CREATE INDEX ON notes (id);"
    )
    (tmp_path / "0002_fill_notes.sql").write_text("INSERT INTO notes VALUES (7);")
    return tmp_path


async def rows(url: str, migrations: Path, statement: str, schema: str = "notebook") -> list[tuple[object, ...]]:
    async with open_store(url, schema=schema, migrations=migrations) as pool, pool.connection() as connection:
        return list(await (await connection.execute(statement.encode())).fetchall())


async def test_migrations_are_applied_once_in_order_in_the_services_own_schema(
    store_url: str, migrations: Path
) -> None:
    first = await rows(store_url, migrations, "SELECT id FROM notebook.notes")
    second = await rows(store_url, migrations, "SELECT id FROM notebook.notes")

    assert first == second == [(7,)]
    history = await rows(store_url, migrations, "SELECT version, name FROM schema_migrations ORDER BY 1")
    assert history == [(1, "0001_create_notes.sql"), (2, "0002_fill_notes.sql")]


async def test_a_later_release_adds_its_migration_and_keeps_the_rows(store_url: str, migrations: Path) -> None:
    await rows(store_url, migrations, "SELECT 1")
    (migrations / "0003_add_text.sql").write_text("ALTER TABLE notes ADD COLUMN body text NOT NULL DEFAULT 'x';")

    assert await rows(store_url, migrations, "SELECT id, body FROM notes") == [(7, "x")]


async def test_two_schemas_in_one_database_know_nothing_of_each_other(store_url: str, migrations: Path) -> None:
    await rows(store_url, migrations, "SELECT 1", schema="one")

    assert await rows(store_url, migrations, "SELECT id FROM notes", schema="two") == [(7,)]
    assert await rows(store_url, migrations, "SELECT count(*) FROM one.notes", schema="one") == [(1,)]


async def test_a_changed_migration_is_refused_and_nothing_is_done(store_url: str, migrations: Path) -> None:
    await rows(store_url, migrations, "SELECT 1")
    (migrations / "0001_create_notes.sql").write_text("CREATE TABLE other (id int);")

    with pytest.raises(MigrationRefused, match=r"'0001_create_notes\.sql' was changed"):
        await rows(store_url, migrations, "SELECT 1")


async def test_a_failing_migration_leaves_nothing_behind(store_url: str, migrations: Path) -> None:
    (migrations / "0003_broken.sql").write_text("CREATE TABLE half (id int); INSERT INTO half VALUES ('x');")

    with pytest.raises(MigrationFailed, match=r"'0003_broken\.sql' failed"):
        await rows(store_url, migrations, "SELECT 1")

    (migrations / "0003_broken.sql").unlink()
    assert await rows(store_url, migrations, "SELECT to_regclass('half')") == [(None,)]


async def test_a_migration_that_commits_by_itself_is_refused(store_url: str, migrations: Path) -> None:
    (migrations / "0003_sly.sql").write_text("SELECT 1; COMMIT;")

    with pytest.raises(MigrationRefused, match="ends the transaction"):
        await rows(store_url, migrations, "SELECT 1")


async def test_several_processes_may_start_at_once(store_url: str, migrations: Path) -> None:
    (migrations / "0003_slow.sql").write_text("SELECT pg_sleep(0.2); INSERT INTO notes VALUES (8);")
    program = (
        "import asyncio, pathlib, sys\nfrom services.storage.postgres import open_store\n"
        "async def main():\n"
        "    async with open_store(sys.argv[1], schema='notebook', migrations=pathlib.Path(sys.argv[2])): pass\n"
        "asyncio.run(main())\n"
    )

    command = [sys.executable, "-c", program, store_url, str(migrations)]
    children = [await asyncio.create_subprocess_exec(*command) for _ in range(4)]

    assert [await child.wait() for child in children] == [0, 0, 0, 0]
    assert await rows(store_url, migrations, "SELECT id FROM notes ORDER BY id") == [(7,), (8,)]


async def test_connections_see_their_schema_first_then_public(store_url: str, migrations: Path) -> None:
    assert await rows(store_url, migrations, "SHOW search_path") == [("notebook, public",)]
    assert await rows(store_url, migrations, "SELECT '[1,2]'::vector(2)::text") == [("[1,2]",)]


async def test_uncommitted_work_is_rolled_back_when_the_caller_fails(store_url: str, migrations: Path) -> None:
    async with open_store(store_url, schema="notebook", migrations=migrations) as pool:
        with suppress(LookupError):
            async with pool.connection() as connection:
                await connection.execute("DELETE FROM notes")
                raise LookupError

        async with pool.connection() as connection:
            assert await (await connection.execute("SELECT id FROM notes")).fetchall() == [(7,)]


async def test_a_connection_that_died_while_idle_costs_nobody_an_error(store_url: str, migrations: Path) -> None:
    async with open_store(store_url, schema="notebook", migrations=migrations) as pool:
        async with pool.connection() as connection:
            backend = connection.info.backend_pid
        async with await psycopg.AsyncConnection.connect(store_url, autocommit=True) as other:
            await other.execute("SELECT pg_terminate_backend(%s)", (backend,))
        await asyncio.sleep(0.05)

        async with pool.connection() as connection:
            assert await (await connection.execute("SELECT id FROM notes")).fetchone() == (7,)
            assert connection.info.backend_pid != backend


async def test_an_unreachable_store_is_told_without_its_address(migrations: Path, tmp_path: Path) -> None:
    url = f"postgresql://user:topsecret@{str(tmp_path).replace('/', '%2F')}/nowhere"

    with pytest.raises(StorageUnreachable) as caught:
        async with open_store(url, schema="notebook", migrations=migrations, connect_wait_seconds=0.2):
            pass

    assert "topsecret" not in str(caught.value)


async def test_a_refused_login_is_told_as_unreachable(store_url: str, migrations: Path) -> None:
    url = store_url.replace("only-for-tests", "wrong")

    with pytest.raises(StorageUnreachable, match="refuses the login"):
        async with open_store(url, schema="notebook", migrations=migrations, connect_wait_seconds=0.2):
            pass


@pytest.mark.parametrize("url", ["not a url", "postgresql://host/db?nonsense=1", "http://example.com/db"])
async def test_an_address_that_is_no_postgresql_url_is_refused(url: str, migrations: Path) -> None:
    with pytest.raises(StorageUrlInvalid, match=r"DIGLOT_STORE_URL .*postgresql://user:password@host:5432/database"):
        async with open_store(url, schema="notebook", migrations=migrations):
            pass


async def test_a_schema_name_that_would_need_quoting_is_refused(store_url: str, migrations: Path) -> None:
    with pytest.raises(ValueError, match="no schema name"):
        async with open_store(store_url, schema="My Schema", migrations=migrations):
            pass
