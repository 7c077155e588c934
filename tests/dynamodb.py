"""Tables on the local AWS API, made for a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from services.storage.dynamodb import DynamoTable, open_tables
from services.storage.dynamodb_tables import Table
from services.transport.aws_clients import make_aws_client

PREFIX = "diglot-test"


async def make_tables(*tables: Table, prefix: str = PREFIX) -> None:
    """Make the tables in the account that the environment leads to."""
    client = make_aws_client("dynamodb")
    try:
        for table in tables:
            definition = table.definition(prefix)
            await client.run(lambda database, wanted=definition: database.create_table(**wanted))  # type: ignore[misc]
    finally:
        client.close()


@asynccontextmanager
async def made_table(table: Table, *, unavailable: Callable[[], Exception]) -> AsyncIterator[DynamoTable]:
    """One table, made and opened."""
    await make_tables(table)
    async with open_tables(PREFIX, (table,), unavailable=unavailable) as (opened,):
        yield opened


async def items_of(table: str) -> list[dict[str, Any]]:
    """Every item as DynamoDB has it, by partition and sort key."""
    client = make_aws_client("dynamodb")
    try:
        reply = await client.run(lambda database: database.scan(TableName=table))
    finally:
        client.close()
    return sorted(reply["Items"], key=lambda item: (item["pk"]["S"], item["sk"]["S"]))
