"""A service's own store in DynamoDB: its tables, and the calls on them that the service's adapters are made of.

Reads by key are strongly consistent. Reads through an index are not, they may miss or repeat what was written a moment
ago: whoever reads one reads again by key what matters. An item past its `expires_at` is not there for any read,
although DynamoDB takes up to days to remove it.

What a call meets: throttling and transactions that get into each other's way are tried again, with growing pauses of
random length, for at most `RETRY_SECONDS`; a store that does not answer, refuses the credentials or stays too busy
becomes the error the adapter names. A broken-off call that is repeated by the SDK does nothing twice: transactions
carry a token, and every single write is conditional or can be repeated without harm.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from services.storage.dynamodb_items import (
    Item,
    Key,
    Value,
    Write,
    epoch_seconds,
    expression_arguments,
    from_attributes,
    to_attributes,
    utc_now,
)
from services.storage.dynamodb_tables import PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE, Table
from services.storage.errors import StorageUnreachable, TableMissing, TableUnfit
from services.transport.aws_clients import AwsClient, make_aws_client

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

RETRY_SECONDS = 8.0
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.5
_KEYS_A_CALL = 100  # of BatchGetItem
_CONCURRENT_CALLS = 16
_REACHABLE_SECONDS = 3.0
_ABANDONED_AFTER_SECONDS = 1.0  # a write that nobody waits for
_NO_SUCH_ITEM = Key("-", "-")

_NOT_DONE_YET = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_REFUSED = frozenset(
    {
        "AccessDeniedException",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidSignatureException",
        "KMSAccessDeniedException",
        "MissingAuthenticationTokenException",
        "ResourceNotFoundException",
        "UnrecognizedClientException",
    }
)


class ConditionFailed(Exception):
    """A write's condition does not hold, so nothing was written. `found` is the item of a single write, as it is."""

    def __init__(self, found: Item | None = None) -> None:
        super().__init__("a condition does not hold")
        self.found = found


class DynamoTable:
    """One table. Every method raises what `unavailable` makes when the store cannot do its part now."""

    def __init__(self, client: AwsClient, name: str, *, unavailable: Callable[[], Exception]) -> None:
        self._client = client
        self.name = name
        self.unavailable = unavailable

    async def get(self, key: Key) -> Item | None:
        """One item. Costs a read unit for each 4 KB begun."""
        reply = await self._call(
            lambda db: db.get_item(TableName=self.name, Key=to_attributes(key.attributes), ConsistentRead=True)
        )
        return _living(from_attributes(reply["Item"])) if "Item" in reply else None

    async def get_many(self, keys: Sequence[Key]) -> list[Item]:
        """The items there are of these keys, which differ, in their order. Costs as many reads one by one."""
        found: dict[Key, Item] = {}
        for start in range(0, len(keys), _KEYS_A_CALL):
            waiting: list[dict[str, Any]] = [
                to_attributes(key.attributes) for key in keys[start : start + _KEYS_A_CALL]
            ]
            for pause_seconds in _pauses():
                request = {self.name: {"Keys": waiting, "ConsistentRead": True}}
                reply = await self._call(partial(_batch_get, request=request))
                for item in map(from_attributes, reply["Responses"].get(self.name, ())):
                    found[key_of(item)] = item
                # More than 16 MB at a time, or more than the table gives at this moment.
                waiting = reply.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
                if not waiting:
                    break
                await asyncio.sleep(pause_seconds)
            else:
                raise self.unavailable()
        return [kept for key in keys if (kept := _living(found.get(key)))]

    async def query(
        self,
        condition: str,
        values: Mapping[str, Value],
        *,
        index: str = "",
        newest_first: bool = False,
        page_size: int | None = None,
        only: Sequence[str] = (),
    ) -> AsyncGenerator[Item]:
        """Items of one partition in the order of the sort key, read page by page as they are asked for.

        With `only` they have their keys and these attributes alone, which costs as much and sends less. Costs a read
        unit for each 4 KB begun of a page; through an index, which is not consistent, half of it.
        """
        projection = ", ".join(f"#{name}" for name in (PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE, *only)) if only else ""
        arguments: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": condition,
            "ScanIndexForward": not newest_first,
            **({"IndexName": index} if index else {"ConsistentRead": True}),
            **({"Limit": page_size} if page_size else {}),
            **expression_arguments(f"{condition} {projection}", values),
            **({"ProjectionExpression": projection} if projection else {}),
        }
        while True:
            reply = await self._call(lambda db: db.query(**arguments))
            for item in map(from_attributes, reply["Items"]):
                if _living(item) is not None:
                    yield item
            if "LastEvaluatedKey" not in reply:
                return
            arguments["ExclusiveStartKey"] = reply["LastEvaluatedKey"]

    async def read_again(self, entries: AsyncGenerator[Item], *, batch: int) -> AsyncGenerator[Item]:
        """The items that entries of an index lead to, as the table has them now; those that are gone are left out.

        Each item comes once, although an index shows one again whose place in it changed between two pages.
        """
        keys: list[Key] = []
        seen: set[Key] = set()
        async with aclosing(entries):
            async for entry in entries:
                if (key := key_of(entry)) in seen:
                    continue
                seen.add(key)
                keys.append(key)
                if len(keys) == batch:
                    for item in await self.get_many(keys):
                        yield item
                    keys.clear()
            for item in await self.get_many(keys):
                yield item

    async def write(self, write: Write) -> Item:
        """Make one write; the item as it is afterwards, empty unless the write is an update.

        Costs a write unit for each KB begun, and one for each index whose keys it changes. Raises: ConditionFailed.
        """
        arguments = write.arguments(self.name)
        if write.condition:
            arguments["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        if write.update:
            arguments["ReturnValues"] = "ALL_NEW"
        method = f"{write.kind.lower()}_item"
        reply = await self._call(lambda db: getattr(db, method)(**arguments), is_write=True)
        return from_attributes(reply.get("Attributes", {}))

    async def replace(self, key: Key, item: Mapping[str, Value]) -> Item | None:
        """Put an item over any there; the one that was there."""
        arguments = Write(key, item).arguments(self.name)
        reply = await self._call(lambda db: db.put_item(**arguments, ReturnValues="ALL_OLD"), is_write=True)
        return _living(from_attributes(reply["Attributes"])) if reply.get("Attributes") else None

    async def transact(self, writes: Sequence[Write]) -> None:
        """Make all writes or none. At most 100, each of another item.

        Costs twice what the writes cost one by one. Raises: ConditionFailed: one of the conditions does not hold.
        """
        items = [{write.kind: write.arguments(self.name)} for write in writes]
        token = uuid4().hex  # Under one token a transaction is done once, however often it is sent.
        await self._call(
            lambda db: db.transact_write_items(TransactItems=items, ClientRequestToken=token), is_write=True
        )

    async def until_it_holds(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        """Repeat reading, deciding and writing until nobody else wrote in between."""
        for pause_seconds in _pauses():
            try:
                return await attempt()
            except ConditionFailed:
                await asyncio.sleep(pause_seconds)
        raise self.unavailable()

    async def is_reachable(self) -> bool:
        """Whether the table answers a read within a few seconds. Costs half a read unit; never raises."""
        try:
            async with asyncio.timeout(_REACHABLE_SECONDS):
                await self._client.probe(lambda db: _look(db, self.name))
        except (BotoCoreError, ClientError, TimeoutError, RuntimeError):  # a closed client is a RuntimeError
            return False
        return True

    async def _call(self, call: Callable[[Any], Any], *, is_write: bool = False) -> Any:
        for pause_seconds in _pauses():
            try:
                return await (self._to_its_end(call) if is_write else self._client.run(call))
            except ClientError as error:
                code = error.response.get("Error", {}).get("Code", "")
                if code == "ConditionalCheckFailedException":
                    response: Any = error.response
                    raise ConditionFailed(from_attributes(response.get("Item", {}))) from None
                if code == "TransactionCanceledException":
                    if not _worth_another_try(error):
                        raise
                elif code in _REFUSED:
                    logger.error("store.refused", extra={"table": self.name, "error_code": code})
                    raise self.unavailable() from error
                elif not _may_pass(error):
                    raise
            except BotoCoreError as error:
                logger.warning("store.unreachable", extra={"table": self.name, "error_kind": type(error).__name__})
                raise self.unavailable() from error
            await asyncio.sleep(pause_seconds)
        logger.warning("store.busy", extra={"table": self.name})
        raise self.unavailable()

    async def _to_its_end(self, call: Callable[[Any], Any]) -> Any:
        """What a write comes to; when this is cancelled, it leaves once the write has ended or will take too long.

        A thread that wrote after everybody has gone could bring back what somebody has deleted in the meantime.
        """
        writing = asyncio.ensure_future(self._client.run(call))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait({writing}, timeout=_ABANDONED_AFTER_SECONDS)
            if not writing.cancel() and not writing.cancelled():
                writing.exception()  # looked at, so that nobody complains that it was not
            raise


@asynccontextmanager
async def open_tables(
    prefix: str,
    tables: Sequence[Table],
    *,
    unavailable: Callable[[], Exception],
    connect_wait_seconds: float = 10,
) -> AsyncIterator[list[DynamoTable]]:
    """Lend the tables of a store, in the order given, each seen to be there.

    Looked at with a read, which costs nearly nothing and which the service must be allowed to make anyhow. A store
    that does not answer yet is waited for, because a service and its store often start together.

    Raises:
        StorageUnreachable: nobody answered in time, or the credentials or the region are missing or wrong.
        TableMissing: a table is not there; the text names it and how to make it.
        TableUnfit: a table has another key.
    """
    try:
        client = make_aws_client("dynamodb", max_concurrent_calls=_CONCURRENT_CALLS)
    except (BotoCoreError, ValueError) as error:  # an endpoint that is no URL is a ValueError
        raise StorageUnreachable(
            "DynamoDB cannot be called; check the region, for example AWS_REGION=us-east-1,"
            " and AWS_ENDPOINT_URL_DYNAMODB"
        ) from error
    try:
        give_up = time.monotonic() + connect_wait_seconds
        for table in tables:
            await _see(client, table.name(prefix), prefix, give_up=give_up)
        yield [DynamoTable(client, table.name(prefix), unavailable=unavailable) for table in tables]
    finally:
        client.close()


async def first(items: AsyncGenerator[Item], limit: int, *, keep: Callable[[Item], bool]) -> list[Item]:
    """The first `limit` items worth keeping."""
    kept: list[Item] = []
    async with aclosing(items):
        async for item in items:
            if keep(item):
                kept.append(item)
            if len(kept) == limit:
                break
    return kept


def key_of(item: Item) -> Key:
    """The primary key of an item, also of one read through an index."""
    return Key(item[PARTITION_KEY], item[SORT_KEY])


async def _see(client: AwsClient, name: str, prefix: str, *, give_up: float) -> None:
    while True:
        try:
            await client.run(lambda db: _look(db, name))
            return
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code == "ResourceNotFoundException":
                raise TableMissing(
                    f"the table {name} is not there; make it with"
                    f" python -m deploy.aws.create_tables --prefix {prefix},"
                    " or check DIGLOT_STORE_URL and AWS_REGION"
                ) from None
            if code == "ValidationException":
                raise TableUnfit(
                    f"the table {name} has other keys than this service's; set DIGLOT_STORE_URL to a prefix of its own,"
                    " for example DIGLOT_STORE_URL=dynamodb://diglot"
                ) from None
            if not _may_pass(error):
                raise StorageUnreachable(
                    f"DynamoDB refuses to read the table {name} ({code}); check the credentials and what they allow"
                ) from None
            cause: Exception = error
        except BotoCoreError as error:
            if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError", "NoRegionError"):
                raise StorageUnreachable(
                    "DynamoDB needs credentials; give the process a role or set AWS_ACCESS_KEY_ID and"
                    " AWS_SECRET_ACCESS_KEY"
                ) from error
            cause = error
        if time.monotonic() + _LONGEST_PAUSE_SECONDS > give_up:
            raise StorageUnreachable(
                "DynamoDB cannot be reached; check AWS_REGION, AWS_ENDPOINT_URL_DYNAMODB and the network"
            ) from cause
        await asyncio.sleep(_LONGEST_PAUSE_SECONDS)


def _batch_get(database: Any, *, request: dict[str, Any]) -> Any:
    return database.batch_get_item(RequestItems=request)


def _look(database: Any, table: str) -> None:
    database.get_item(TableName=table, Key=to_attributes(_NO_SUCH_ITEM.attributes))


def _living(item: Item | None) -> Item | None:
    if item is None or item.get(TTL_ATTRIBUTE, float("inf")) <= epoch_seconds(utc_now()):
        return None
    return item


def _may_pass(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or error.response.get("Error", {}).get("Code") in _NOT_DONE_YET


def _worth_another_try(error: ClientError) -> bool:
    """Whether a cancelled transaction may do when repeated. Raises ConditionFailed when a condition is why not."""
    reasons: Any = error.response.get("CancellationReasons", ())
    codes = {reason.get("Code", "None") for reason in reasons} - {"None"}
    if "ConditionalCheckFailed" in codes:
        raise ConditionFailed from None
    return bool(codes) and codes <= {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}


def _pauses() -> Iterator[float]:
    """Growing pauses that differ between callers, until RETRY_SECONDS have gone by."""
    give_up = time.monotonic() + RETRY_SECONDS
    longest_seconds = _FIRST_PAUSE_SECONDS
    while time.monotonic() < give_up:
        yield random.uniform(0, longest_seconds)  # noqa: S311 - spreads load, guards nothing
        longest_seconds = min(2 * longest_seconds, _LONGEST_PAUSE_SECONDS)
