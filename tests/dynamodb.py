"""Tables on the local AWS API, made for a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from services.storage.dynamodb import DynamoTable, open_tables
from services.storage.dynamodb_tables import Table
from services.transport.aws_clients import AwsClient, make_aws_client

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


class TroubledClient(AwsClient):
    """A client whose calls fail as a test says.

    `refusals` are error codes that the next calls meet instead of being made. The call numbered `breaks_at`, counted
    from 1, breaks off without an answer, and with it every later one, as for a process that ends there; with
    `is_heard` the store has done it nevertheless.
    """

    def __init__(self, *, breaks_at: int | None = None, is_heard: bool = False, inner: AwsClient | None = None) -> None:
        self._inner = inner or make_aws_client("dynamodb", max_concurrent_calls=16)
        self._breaks_at = breaks_at
        self._is_heard = is_heard
        self.refusals: list[str] = []
        self.reasons: list[str] = []
        self.call_count = 0

    def breaking(self, at: int, *, is_heard: bool) -> TroubledClient:
        """Another one on the same connections, as making new ones takes long; it need not be closed."""
        return TroubledClient(breaks_at=at, is_heard=is_heard, inner=self._inner)

    async def run(self, call: Callable[[Any], Any]) -> Any:
        self.call_count += 1
        if self.refusals:
            code = self.refusals.pop(0)
            answer: Any = {"Error": {"Code": code}}
            if code == "TransactionCanceledException":
                answer["CancellationReasons"] = [{"Code": reason} for reason in self.reasons]
            raise ClientError(answer, "Some")
        if self._breaks_at is not None and self.call_count >= self._breaks_at:
            if self._is_heard and self.call_count == self._breaks_at:
                await self._inner.run(call)
            raise ReadTimeoutError(endpoint_url="http://127.0.0.1")
        return await self._inner.run(call)

    async def probe(self, call: Callable[[Any], Any]) -> Any:
        return await self.run(call)

    def close(self) -> None:
        self._inner.close()
