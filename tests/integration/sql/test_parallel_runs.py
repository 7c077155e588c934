"""One query, many callers, several processes, and one that is killed: it runs once."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from protos.sql.v1 import sql_query_pb2, sql_service_pb2
from services.sql.adapters.dynamodb_tables import TABLES
from services.sql.adapters.postgres_queries import PostgresQueryStore
from services.sql.wiring_stores import MIGRATIONS
from services.storage.postgres import open_store
from services.transport.errors import read_failure
from services.transport.identity import acting_as
from tests.aws_server import AwsAccount
from tests.contract.sql.query_store_contract import draft
from tests.dynamodb import make_tables
from tests.integration.sql.running_service import ADA, failure_of
from tests.integration.sql.service_processes import (
    SharedStore,
    dynamodb_store,
    postgres_store,
    service_process,
    stub_of,
)

PROCESSES = 2
CALLS = 50
# Ten thousand million rows, of which the planner expects few.
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(a.i + b.i) FROM n AS a, n AS b"

State = sql_query_pb2.SqlQuery.State


@pytest.fixture(params=["postgresql", "dynamodb"])
async def shared_store(request: pytest.FixtureRequest) -> SharedStore:
    if request.param == "postgresql":
        return postgres_store(request.getfixturevalue("store_url"))
    account: AwsAccount = request.getfixturevalue("aws_account")
    await make_tables(*TABLES)
    return dynamodb_store(account.environment())


@pytest.mark.timeout(60)
async def test_fifty_calls_over_two_processes_run_a_query_once(
    shop_url: str, shared_store: SharedStore, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        for number in range(PROCESSES):
            socket, log = tmp_path / f"{number}.sock", tmp_path / f"{number}.log"
            stack.enter_context(service_process(shop_url, shared_store, socket, log))
        stubs = [await stack.enter_async_context(stub_of(tmp_path / f"{number}.sock")) for number in range(PROCESSES)]
        with acting_as(ADA):
            request = sql_service_pb2.GenerateSqlRequest(question="How many customers do we have?")
            query = (await stubs[0].GenerateSql(request)).query
            # Approved by one process, run by whichever comes first.
            approval = sql_service_pb2.ApproveQueryRequest(name=query.name, sql_hash=query.sql_hash)
            await stubs[1].ApproveQuery(approval)

            run = sql_service_pb2.RunQueryRequest(name=query.name, sql_hash=query.sql_hash)
            outcomes = await asyncio.gather(
                *(stubs[number % PROCESSES].RunQuery(run) for number in range(CALLS)), return_exceptions=True
            )
            stored = await stubs[1].GetQuery(sql_service_pb2.GetQueryRequest(name=query.name))
            log_request = sql_service_pb2.ListAuditEntriesRequest(query=query.name)
            steps = (await stubs[0].ListAuditEntries(log_request)).audit_entries

    ran = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    refused = [read_failure(outcome) for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
    assert len(ran) == 1
    assert ran[0].result.rows[0].values[0].integer_value == 100
    assert len(refused) == CALLS - 1
    assert {failure.reason for failure in refused} == {"QUERY_STATE_CONFLICT"}
    assert stored.state == State.EXECUTED
    states = [State.Name(step.to_state) for step in reversed(steps)]
    assert states == ["PENDING", "APPROVED", "EXECUTING", "EXECUTED"]


@pytest.mark.timeout(90)
async def test_a_run_whose_process_is_killed_has_failed_after_its_lease_and_is_never_repeated(
    shop_url: str, shared_store: SharedStore, tmp_path: Path
) -> None:
    dead, heir = tmp_path / "dead.sock", tmp_path / "heir.sock"
    limits = {"SQL_STATEMENT_SECONDS": "6"}  # the database notices at the end of the statement that nobody waits
    with acting_as(ADA):
        with service_process(shop_url, shared_store, dead, tmp_path / "dead.log", **limits) as process:
            async with stub_of(dead) as sql:
                request = sql_service_pb2.GenerateSqlRequest(question="How many customers do we have?")
                name = (await sql.GenerateSql(request)).query.name
                query = (await sql.EditQuery(sql_service_pb2.EditQueryRequest(name=name, sql=ENDLESS))).query
                approval = sql_service_pb2.ApproveQueryRequest(name=name, sql_hash=query.sql_hash)
                await sql.ApproveQuery(approval)
                run = sql_service_pb2.RunQueryRequest(name=name, sql_hash=query.sql_hash)
                running = asyncio.create_task(failure_of(sql.RunQuery(run)))
                get = sql_service_pb2.GetQueryRequest(name=name)
                while (await sql.GetQuery(get)).state != State.EXECUTING:  # noqa: ASYNC110 -- a process tells no event
                    await asyncio.sleep(0.02)

                process.send_signal(signal.SIGKILL)
                lost = await running

        with service_process(shop_url, shared_store, heir, tmp_path / "heir.log", **limits):
            async with stub_of(heir) as sql:
                still = await sql.GetQuery(get)
                too_early = await failure_of(sql.RunQuery(run))
                await shared_store.begin_earlier(name.partition("/")[2], timedelta(hours=1))
                failed = await sql.GetQuery(get)
                again = [await failure_of(sql.RunQuery(run)), await failure_of(sql.ApproveQuery(approval))]
                steps = (await sql.ListAuditEntries(sql_service_pb2.ListAuditEntriesRequest(query=name))).audit_entries

    assert lost.code is grpc.StatusCode.UNAVAILABLE
    assert still.state == State.EXECUTING
    assert too_early.metadata["state"] == "EXECUTING"
    assert (failed.state, failed.state_reason) == (State.FAILED, "OUTCOME_UNKNOWN")
    assert [failure.metadata["state"] for failure in again] == ["FAILED", "FAILED"]
    told = [(step.subject, State.Name(step.to_state), step.note) for step in reversed(steps)]
    assert told == [
        ("ada", "PENDING", ""),
        ("ada", "PENDING", "EDITED"),
        ("ada", "APPROVED", ""),
        ("ada", "EXECUTING", ""),
        ("", "FAILED", "OUTCOME_UNKNOWN"),
    ]
    assert [step.sql for step in reversed(steps)][1] == query.sql


async def test_fifty_stores_begin_a_run_once(store_url: str) -> None:
    async with (
        open_store(store_url, schema="sql", migrations=MIGRATIONS, max_connections=10) as first,
        open_store(store_url, schema="sql", migrations=MIGRATIONS, max_connections=10) as second,
    ):
        stores = [PostgresQueryStore(pool, run_lease=timedelta(hours=1)) for pool in (first, second)]
        query = await stores[0].add(draft(), request_id="", keeps_for=timedelta(hours=1))
        await stores[1].approve(query.owner, query.id, sql_hash=query.sql_hash)

        begun = await asyncio.gather(
            *(stores[number % 2].begin_run(query.owner, query.id, sql_hash=query.sql_hash) for number in range(50))
        )

    assert sum(query is not None for query in begun) == 1
