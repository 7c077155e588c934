"""The embedded PostgreSQL: private, durable, and sure to come up again after whatever ended it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.local.databases import (
    ACCESS_RULES,
    EMPTY_DATABASE,
    READER,
    SHOP_DATABASE,
    STORE_DATABASE,
    STORE_ROLES,
    provision_empty,
    provision_shop,
    provision_store,
)
from deploy.local.embedded_postgres import EmbeddedPostgres
from deploy.local.errors import PostgresFailed
from tests.integration.local.processes import children_of

PASSWORDS = {role: f"password-of-{role}" for role in (READER, *STORE_ROLES.values())}


@pytest.fixture(scope="module")
def folder(make_folder: Callable[[], Path]) -> Path:
    folder = make_folder()
    (folder / "s").mkdir(mode=0o700)
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(folder / "pg", folder / "s", access_rules=ACCESS_RULES)
    server.start()
    yield server
    server.stop()


def ask(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchone() if cursor.description else None


def test_rows_survive_a_stop_and_a_start(server: EmbeddedPostgres) -> None:
    ask(server.url("postgres"), "CREATE TABLE kept AS SELECT 7 AS n")

    server.stop()
    server.start()

    assert ask(server.url("postgres"), "SELECT n FROM kept") == (7,)


def test_rows_survive_a_kill_of_every_process_of_the_server(folder: Path, server: EmbeddedPostgres) -> None:
    ask(server.url("postgres"), "CREATE TABLE committed AS SELECT 8 AS n")
    assert server.pid is not None
    for pid in (server.pid, *children_of(server.pid)):
        os.kill(pid, signal.SIGKILL)

    again = EmbeddedPostgres(folder / "pg", folder / "s", access_rules=ACCESS_RULES)
    again.start()

    assert ask(again.url("postgres"), "SELECT n FROM committed") == (8,)
    again.stop()


def test_a_server_left_over_without_an_owner_is_replaced(folder: Path, server: EmbeddedPostgres) -> None:
    left_over = server.pid

    again = EmbeddedPostgres(folder / "pg", folder / "s", access_rules=ACCESS_RULES)
    again.start()

    assert again.pid != left_over
    assert server.exit_code is not None
    again.stop()


def test_a_process_id_that_belongs_to_a_stranger_by_now_does_not_stop_the_start(folder: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    pid_file = folder / "pg" / "data" / "postmaster.pid"
    pid_file.write_text(f"{stranger.pid}\n{folder / 'pg' / 'data'}\n0\n5432\n{folder / 's'}\n\n\n")

    server = EmbeddedPostgres(folder / "pg", folder / "s", access_rules=ACCESS_RULES)
    server.start()

    assert stranger.poll() is None
    server.stop()
    stranger.kill()
    stranger.wait()


def test_a_broken_off_set_up_is_begun_again(make_folder: Callable[[], Path]) -> None:
    folder = make_folder()
    (folder / "s").mkdir()
    (folder / "pg" / "data").mkdir(parents=True)
    (folder / "pg" / "data" / "PG_VERSION").write_text("18\n")

    server = EmbeddedPostgres(folder / "pg", folder / "s")
    server.start()

    assert ask(server.url("postgres"), "SELECT 1") == (1,)
    server.stop()


def test_nobody_logs_in_without_a_password_and_nobody_comes_by_tcp(server: EmbeddedPostgres) -> None:
    assert ask(server.url("postgres"), "SHOW listen_addresses") == ("",)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url("postgres", password="guess"))


def test_the_superusers_password_is_its_owners_alone(folder: Path, server: EmbeddedPostgres) -> None:
    assert (folder / "pg" / "superuser.password").stat().st_mode & 0o777 == 0o600
    assert not list((folder / "pg").glob("*handed-over*"))


def test_each_role_gets_only_where_it_belongs(server: EmbeddedPostgres) -> None:
    provision_store(server, PASSWORDS)
    provision_shop(server, PASSWORDS[READER])
    provision_empty(server, PASSWORDS[READER])

    def enters(role: str, database: str) -> bool:
        try:
            psycopg.connect(server.url(database, role, PASSWORDS[role])).close()
        except psycopg.OperationalError:
            return False
        return True

    databases = (STORE_DATABASE, SHOP_DATABASE, EMPTY_DATABASE, "postgres", "template1")
    assert [name for name in databases if enters(READER, name)] == [SHOP_DATABASE, EMPTY_DATABASE]
    for role in STORE_ROLES.values():
        assert [name for name in databases if enters(role, name)] == [STORE_DATABASE]


def test_one_services_schema_is_closed_to_another(server: EmbeddedPostgres) -> None:
    provision_store(server, PASSWORDS)
    ask(server.url(STORE_DATABASE, "diglot_rag", PASSWORDS["diglot_rag"]), "CREATE SCHEMA rag")
    ask(server.url(STORE_DATABASE, "diglot_rag", PASSWORDS["diglot_rag"]), "CREATE TABLE rag.mine (v public.vector(3))")

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(server.url(STORE_DATABASE, "diglot_sql", PASSWORDS["diglot_sql"]), "SELECT * FROM rag.mine")


def test_provisioning_again_changes_nothing(server: EmbeddedPostgres) -> None:
    for _ in range(2):
        provision_store(server, PASSWORDS)
        provision_shop(server, PASSWORDS[READER])

    shop = server.url(SHOP_DATABASE, READER, PASSWORDS[READER])
    assert ask(shop, "SELECT count(*) FROM customers") == (100,)


def test_a_socket_path_that_is_too_long_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(PostgresFailed, match="too long a path"):
        EmbeddedPostgres(tmp_path / "pg", tmp_path / ("long" * 30))

    assert not (tmp_path / "pg").exists()


def test_a_stop_waits_for_no_idle_connection(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url("postgres")):
        began = time.monotonic()
        server.stop()

    assert time.monotonic() - began < 5
