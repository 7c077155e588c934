"""Hundreds of attacks through the whole service, on the bare target, and on the role alone: nothing changes.

What holds is compared over everything that the server keeps, every catalog included, while somebody else's connection
goes on being answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import psycopg
import pytest

from protos.sql.v1 import sql_query_pb2, sql_service_pb2
from services.sql.adapters.postgres_session import RunLimits, open_target_pool
from services.sql.adapters.postgres_target import PostgresTarget
from services.sql.errors import SqlError
from services.transport.identity import acting_as
from tests.integration.sql.attacks.arsenal import COSTLY, ITS_OWN, Attack, attacks
from tests.integration.sql.attacks.canary import singing
from tests.integration.sql.attacks.conftest import Fortress
from tests.integration.sql.attacks.whole_digest import whole_digest
from tests.integration.sql.running_service import ADA, running, settings_for

if TYPE_CHECKING:
    from protos.sql.v1.sql_service_pb2_grpc import SqlServiceAsyncStub

LIMITS = RunLimits(
    statement_seconds=0.2,
    lock_seconds=0.2,
    work_memory_kilobytes=1_024,
    max_plan_cost=1e7,
    max_rows=1_000,
    max_bytes=1_000_000,
)
ATTACKS = attacks()

# What the next user of a connection finds there.
_SESSION = (
    "SELECT (SELECT md5(string_agg(name || '=' || setting, ',' ORDER BY name)) FROM pg_settings"
    "  WHERE name !~ '^plpgsql'),"  # which come when the language is first used
    " current_user, session_user, current_setting('transaction_read_only'),"
    " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), (SELECT count(*) FROM pg_prepared_statements),"
    " (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_cursors WHERE is_holdable),"
    " pg_my_temp_schema()::int8"
)


def test_there_are_more_than_five_hundred_attacks_and_no_two_alike() -> None:
    assert len({attack.sql for attack in ATTACKS}) == len(ATTACKS) > 700


@pytest.mark.timeout(120)
async def test_without_the_guard_nothing_changes_and_every_connection_comes_back_clean(fortress: Fortress) -> None:
    before = whole_digest(fortress.owner_url)
    told: list[str] = []
    async with (
        open_target_pool(fortress.reader_url, max_connections=1, checkout_wait_seconds=5) as pool,
        singing(fortress.owner_url) as canary,
    ):
        target = PostgresTarget(pool, LIMITS, max_concurrent_runs=1, wait_seconds=5)
        clean = await target.run(_SESSION)

        for attack in ATTACKS:
            for use in (target.plan, target.run):
                try:
                    await use(fortress.aimed(attack.sql))
                except SqlError as error:
                    told.append(str(error))
            assert await target.run(_SESSION) == clean, attack

    assert whole_digest(fortress.owner_url) == before
    assert list(fortress.folder.iterdir()) == []
    assert canary.answers > 50
    assert max(map(len, told)) <= 300
    assert not any(secret in text for text in told for secret in ("90000", "precious", "SCRAM-SHA", "root:"))


@pytest.mark.timeout(120)
async def test_through_the_service_nothing_changes_whether_edited_in_or_asked(
    fortress: Fortress, store_url: str, tmp_path: Path
) -> None:
    settings = settings_for(
        fortress.reader_url,
        store_url,
        statement_seconds=LIMITS.statement_seconds,
        lock_seconds=LIMITS.lock_seconds,
        schema_max_age_seconds=3600,
        checkout_wait_seconds=5,
    )
    accepted: list[Attack] = []
    told: set[grpc.StatusCode] = set()
    async with running(settings, tmp_path) as service, singing(fortress.owner_url) as canary:
        with acting_as(ADA):
            query = await _pending(service)
            before = whole_digest(fortress.owner_url)
            for attack in ATTACKS:
                if "\ud800" in attack.sql:  # no message can carry it
                    continue
                aimed = fortress.aimed(attack.sql)
                with _noting(told):
                    edit = sql_service_pb2.EditQueryRequest(name=query.name, sql=aimed)
                    query = (await service.EditQuery(edit)).query
                    accepted.append(attack)
                    await _run(service, query)
                query = await _pending_still(service, query)
                with _noting(told):
                    asked = sql_service_pb2.AnswerQuestionRequest(question=aimed, auto_approve=True)
                    await service.AnswerQuestion(asked)

    assert whole_digest(fortress.owner_url) == before
    assert list(fortress.folder.iterdir()) == []
    assert canary.answers > 50
    assert {attack.family for attack in accepted} <= {COSTLY}, accepted
    assert told.isdisjoint({grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE})


@contextmanager
def _noting(told: set[grpc.StatusCode]) -> Iterator[None]:
    """Lets a call fail, and notes how."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        told.add(error.code())


async def _pending(service: SqlServiceAsyncStub) -> sql_query_pb2.SqlQuery:
    request = sql_service_pb2.GenerateSqlRequest(question="How many customers are there?")
    return (await service.GenerateSql(request)).query


async def _pending_still(service: SqlServiceAsyncStub, query: sql_query_pb2.SqlQuery) -> sql_query_pb2.SqlQuery:
    now = await service.GetQuery(sql_service_pb2.GetQueryRequest(name=query.name))
    return now if now.state == sql_query_pb2.SqlQuery.PENDING else await _pending(service)


async def _run(service: SqlServiceAsyncStub, query: sql_query_pb2.SqlQuery) -> None:
    approval = sql_service_pb2.ApproveQueryRequest(name=query.name, sql_hash=query.sql_hash)
    await service.ApproveQuery(approval)
    await service.RunQuery(sql_service_pb2.RunQueryRequest(name=query.name, sql_hash=query.sql_hash))


@pytest.mark.timeout(120)
async def test_the_role_alone_holds_against_whoever_has_its_password(fortress: Fortress) -> None:
    """As bold as can be: simple protocol, read-write, autocommit; functions with other rights closed as advised."""
    with psycopg.connect(fortress.owner_url, autocommit=True) as owner:
        owner.execute("REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA public FROM PUBLIC")
    before = whole_digest(fortress.owner_url)
    options = "-c default_transaction_read_only=off -c statement_timeout=200ms"

    async with singing(fortress.owner_url) as canary:
        connection = None
        for attack in ATTACKS:
            if attack.family in (ITS_OWN, COSTLY) or "\ud800" in attack.sql or "STDIN" in attack.sql:
                continue
            if connection is None or connection.closed:
                connection = await psycopg.AsyncConnection.connect(
                    fortress.reader_url, options=options, autocommit=True
                )
            with suppress(psycopg.Error, ValueError):
                await connection.execute(fortress.aimed(attack.sql).encode())
            try:  # The next one is to begin as boldly.
                await connection.execute("ROLLBACK")
                await connection.execute("DISCARD ALL")
            except psycopg.Error:
                await connection.close()
        if connection is not None:
            await connection.close()

    assert whole_digest(fortress.owner_url) == before
    assert list(fortress.folder.iterdir()) == []
    assert canary.answers > 50
