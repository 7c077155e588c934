"""One query, many callers, several processes: it runs once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import psycopg
import pytest

from protos.sql.v1 import sql_query_pb2, sql_service_pb2
from protos.sql.v1.sql_service_pb2_grpc import SqlServiceStub
from services.sql.adapters.postgres_queries import PostgresQueryStore
from services.sql.wiring import MIGRATIONS
from services.storage.postgres import open_store
from services.transport.channels import open_channel
from services.transport.errors import read_failure
from services.transport.identity import acting_as
from tests.contract.sql.query_store_contract import draft
from tests.integration.sql.running_service import ADA, TRANSPORT

PROCESSES = 3
CALLS = 51


@contextmanager
def service_process(shop_url: str, store_url: str, socket: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m services.sql.server` as an own process."""
    environment = {
        **os.environ,
        "DATABASE_URL": shop_url,
        "DIGLOT_STORE_URL": store_url,
        "DIGLOT_INTERNAL_KEY": TRANSPORT.internal_key.get_secret_value(),
        "SQL_LISTEN": f"unix:{socket}",
        "SQL_AUTO_APPROVE": "allowed",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.sql.server"], env=environment, stdout=output, stderr=output
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=10)


@pytest.mark.timeout(60)
async def test_fifty_calls_over_three_processes_run_a_query_once(
    shop_url: str, store_url: str, shop_owner_url: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        stubs = []
        for number in range(PROCESSES):
            socket, log = tmp_path / f"{number}.sock", tmp_path / f"{number}.log"
            stack.enter_context(service_process(shop_url, store_url, socket, log))
            channel = await stack.enter_async_context(open_channel(f"unix:{socket}", TRANSPORT))
            stubs.append(SqlServiceStub(channel))
        for number in range(PROCESSES):
            async with grpc.aio.insecure_channel(f"unix:{tmp_path / f'{number}.sock'}") as probe:
                await asyncio.wait_for(probe.channel_ready(), timeout=20)
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
            stored = await stubs[2].GetQuery(sql_service_pb2.GetQueryRequest(name=query.name))

    ran = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    refused = [read_failure(outcome) for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
    assert len(ran) == 1
    assert ran[0].result.rows[0].values[0].integer_value == 100
    assert len(refused) == CALLS - 1
    assert {failure.reason for failure in refused} == {"QUERY_STATE_CONFLICT"}
    assert stored.state == sql_query_pb2.SqlQuery.EXECUTED
    async with await psycopg.AsyncConnection.connect(store_url) as connection:
        cursor = await connection.execute("SELECT to_state FROM sql.query_audit ORDER BY sequence")
        assert [state for (state,) in await cursor.fetchall()] == ["PENDING", "APPROVED", "EXECUTING", "EXECUTED"]


async def test_fifty_stores_begin_a_run_once(store_url: str) -> None:
    async with (
        open_store(store_url, schema="sql", migrations=MIGRATIONS, max_connections=10) as first,
        open_store(store_url, schema="sql", migrations=MIGRATIONS, max_connections=10) as second,
    ):
        stores = [PostgresQueryStore(pool, run_lease=timedelta(hours=1)) for pool in (first, second)]
        query = await stores[0].add(draft(), request_id="", keeps_for=timedelta(hours=1))
        await stores[1].approve(query.owner, query.id, sql_hash=query.sql_hash, note="")

        begun = await asyncio.gather(
            *(stores[number % 2].begin_run(query.owner, query.id, sql_hash=query.sql_hash) for number in range(50))
        )

    assert sum(query is not None for query in begun) == 1
