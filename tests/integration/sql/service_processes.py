"""The sql service as processes of its own, over a store in PostgreSQL or DynamoDB that a test can set back in time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import psycopg

from protos.sql.v1.sql_service_pb2_grpc import SqlServiceStub
from services.sql.adapters.dynamodb_query_items import query_key
from services.storage.dynamodb_items import time_from, time_text
from services.transport.aws_clients import make_aws_client
from services.transport.channels import open_channel
from tests.dynamodb import PREFIX
from tests.integration.sql.running_service import ADA, TRANSPORT

if TYPE_CHECKING:
    from protos.sql.v1.sql_service_pb2_grpc import SqlServiceAsyncStub


@dataclass(frozen=True)
class SharedStore:
    """Where several processes keep their queries."""

    url: str
    begin_earlier: Callable[[str, timedelta], Awaitable[None]]
    """Sets back when the run of the query of this id began."""
    environment: Mapping[str, str] = field(default_factory=dict)


def postgres_store(url: str) -> SharedStore:
    """The store at this address."""

    async def begin_earlier(query_id: str, by: timedelta) -> None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(
                "UPDATE sql.queries SET execute_time = execute_time - %s WHERE id = %s", (by, query_id)
            )

    return SharedStore(url, begin_earlier)


def dynamodb_store(environment: Mapping[str, str]) -> SharedStore:
    """The store in the account of this environment; its tables are there."""

    async def begin_earlier(query_id: str, by: timedelta) -> None:
        client = make_aws_client("dynamodb")
        key = {name: {"S": value} for name, value in query_key(ADA.tenant, query_id).attributes.items()}
        table = f"{PREFIX}-queries"
        found = await client.run(lambda db: db.get_item(TableName=table, Key=key, ConsistentRead=True))
        earlier = time_text(time_from(found["Item"]["execute_time"]["S"]) - by)
        await client.run(
            lambda db: db.update_item(
                TableName=table,
                Key=key,
                UpdateExpression="SET execute_time = :earlier",
                ExpressionAttributeValues={":earlier": {"S": earlier}},
            )
        )
        client.close()

    return SharedStore(f"dynamodb://{PREFIX}", begin_earlier, environment)


@contextmanager
def service_process(
    shop_url: str, store: SharedStore, socket: Path, log: Path, **settings: str
) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m services.sql.server`."""
    environment = {
        **os.environ,
        **store.environment,
        "DATABASE_URL": shop_url,
        "DIGLOT_STORE_URL": store.url,
        "DIGLOT_INTERNAL_KEY": TRANSPORT.internal_key.get_secret_value(),
        "SQL_LISTEN": f"unix:{socket}",
        "SQL_AUTO_APPROVE": "allowed",
        **settings,
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


@asynccontextmanager
async def stub_of(socket: Path) -> AsyncIterator[SqlServiceAsyncStub]:
    """A stub of the process that listens there, once it does."""
    async with grpc.aio.insecure_channel(f"unix:{socket}") as probe:
        await asyncio.wait_for(probe.channel_ready(), timeout=20)
    async with open_channel(f"unix:{socket}", TRANSPORT) as channel:
        yield SqlServiceStub(channel)
