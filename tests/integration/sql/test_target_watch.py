"""The rights of the role are looked at again while the service runs: what has become unsafe is not asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from deploy.local.embedded_postgres import EmbeddedPostgres
from protos.sql.v1 import sql_service_pb2
from services.sql.adapters.postgres_identity import read_place
from services.sql.adapters.postgres_role import TargetWatch
from services.sql.adapters.postgres_session import Pool, open_target_pool
from services.sql.adapters.postgres_target import PostgresTarget
from services.sql.errors import ConfigurationRefused, DatabaseRefused
from services.transport.identity import acting_as
from tests.contract.sql.test_target import LIMITS
from tests.integration.sql.databases import own_database
from tests.integration.sql.running_service import ADA, failure_of, running, settings_for

SCRIPT = "CREATE TABLE notes (id int); CREATE SEQUENCE numbers"
READ = "GRANT SELECT ON notes TO {role}"


@dataclass
class Clock:
    """Stands still unless told."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Place:
    """A database whose role may only read, as long as nobody says otherwise."""

    pool: Pool
    role: str
    owner_url: str

    def give(self, statement: str) -> None:
        """Run a statement as superuser; {role} stands for the role."""
        with psycopg.connect(self.owner_url, autocommit=True) as owner:
            owner.execute(sql.SQL(statement).format(role=sql.Identifier(self.role)))

    def target(self, watch: TargetWatch) -> PostgresTarget:
        """The target behind the watch."""
        return PostgresTarget(self.pool, LIMITS, max_concurrent_runs=1, wait_seconds=1, watch=watch)


@pytest.fixture
async def place(postgres_server: EmbeddedPostgres) -> AsyncIterator[Place]:
    with own_database(postgres_server, SCRIPT, READ) as (url, owner_url):
        role = f"{owner_url.rpartition('/')[2]}_reader"
        async with open_target_pool(url, max_connections=2, checkout_wait_seconds=5) as pool:
            yield Place(pool, role, owner_url)


async def test_a_right_to_write_that_comes_later_stops_queries_until_it_is_gone(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    target = place.target(TargetWatch(refuses_powers=True, store_place=None, seconds=60, monotonic=clock))
    await target.run("SELECT * FROM notes")
    place.give("GRANT INSERT ON notes TO {role}")
    unseen = await target.run("SELECT * FROM notes")
    clock.now = 61

    with pytest.raises(DatabaseRefused, match="log tells more"):
        await target.run("SELECT * FROM notes")
    with pytest.raises(DatabaseRefused):
        await target.plan("SELECT * FROM notes")
    assert not await target.is_reachable()
    place.give("REVOKE INSERT ON notes FROM {role}")

    assert await target.is_reachable()
    assert (await target.run("SELECT * FROM notes")).rows == unseen.rows == ()
    (told,) = [record for record in caplog.records if record.message == "target.refused"]
    assert "may change table public.notes" in vars(told)["reason"]


async def test_elsewhere_than_in_production_it_is_told_once_and_queries_run(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.give("GRANT UPDATE ON SEQUENCE numbers TO {role}")
    target = place.target(TargetWatch(refuses_powers=False, store_place=None, seconds=0))

    for _ in range(3):
        await target.run("SELECT * FROM notes")

    (told,) = [record for record in caplog.records if record.message == "target.role_may_write"]
    assert vars(told)["powers"] == ["may advance sequence public.numbers"]


async def test_our_own_store_is_refused_when_it_is_met_after_the_start(place: Place) -> None:
    async with place.pool.connection() as connection:
        store_place = await read_place(connection)

    with pytest.raises(DatabaseRefused):
        await place.target(TargetWatch(refuses_powers=False, store_place=store_place, seconds=60)).run("SELECT 1")


@pytest.mark.parametrize(
    ("statement", "power"),
    [
        ("ALTER ROLE {role} SUPERUSER", "is a superuser"),
        ("ALTER ROLE {role} CREATEROLE", "may create roles"),
        ("ALTER ROLE {role} CREATEDB", "may create databases"),
        ("ALTER ROLE {role} REPLICATION", "may replicate"),
        ("ALTER ROLE {role} BYPASSRLS", "may pass by row-level policies"),
        ("GRANT pg_write_all_data TO {role}", "is a member of pg_write_all_data"),
        ("GRANT pg_signal_backend TO {role}", "is a member of pg_signal_backend"),
        ("GRANT pg_read_server_files TO {role}", "is a member of pg_read_server_files"),
        ("ALTER SCHEMA public OWNER TO {role}", "owns schema public"),
        ("ALTER TABLE notes OWNER TO {role}", "owns table public.notes"),
        ("GRANT CREATE ON SCHEMA public TO {role}", "may create objects in schema public"),
        ("GRANT TRUNCATE ON notes TO {role}", "may change table public.notes"),
        ("GRANT INSERT (id) ON notes TO {role}", "may change table public.notes"),
        ("GRANT USAGE ON SEQUENCE numbers TO {role}", "may advance sequence public.numbers"),
        ("GRANT MAINTAIN ON notes TO {role}", "may maintain table public.notes"),
        ("GRANT SET ON PARAMETER session_replication_role TO {role}", "may set parameter session_replication_role"),
        ("GRANT EXECUTE ON FUNCTION pg_read_file(text) TO {role}", "may call pg_read_file"),
    ],
)
async def test_each_power_is_found(place: Place, statement: str, power: str) -> None:
    place.give(statement)

    with pytest.raises(ConfigurationRefused) as caught:
        await TargetWatch(refuses_powers=True, store_place=None, seconds=60).look_at_start(place.pool)

    assert power in str(caught.value)
    assert "create_reader.sql" in str(caught.value)


async def test_a_power_that_takes_a_set_role_first_is_found(place: Place) -> None:
    writer = f"{place.role}_writer"
    place.give(f"CREATE ROLE {writer}; GRANT DELETE ON notes TO {writer}")
    place.give(f"ALTER ROLE {{role}} NOINHERIT; GRANT {writer} TO {{role}}")

    try:
        with pytest.raises(ConfigurationRefused, match=r"may change table public\.notes"):
            await TargetWatch(refuses_powers=True, store_place=None, seconds=60).look_at_start(place.pool)
    finally:
        place.give(f"DROP OWNED BY {writer}; DROP ROLE {writer}")


@pytest.mark.timeout(60)
async def test_the_service_in_production_tells_callers_and_health_when_the_role_may_write(
    postgres_server: EmbeddedPostgres, store_url: str, tmp_path: Path
) -> None:
    with own_database(postgres_server, "CREATE TABLE customers (id int)", "GRANT SELECT ON customers TO {role}") as (
        url,
        owner_url,
    ):
        settings = settings_for(url, store_url, ENVIRONMENT="production", schema_check_seconds=0)
        async with running(settings, tmp_path) as service:
            with acting_as(ADA):
                question = "How many customers are there?"
                generated = await service.GenerateSql(sql_service_pb2.GenerateSqlRequest(question=question))
                name, sql_hash = generated.query.name, generated.query.sql_hash
                await service.ApproveQuery(sql_service_pb2.ApproveQueryRequest(name=name, sql_hash=sql_hash))
                with psycopg.connect(owner_url, autocommit=True) as owner:
                    owner.execute("GRANT DELETE ON customers TO PUBLIC")
                request = sql_service_pb2.RunQueryRequest(name=name, sql_hash=sql_hash)
                failure = await failure_of(service.RunQuery(request, timeout=5))

    assert failure.reason == "DATABASE_REFUSED"
    assert "DELETE" not in failure.message
