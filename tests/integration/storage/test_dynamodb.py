"""Tables of DynamoDB as adapters use them, on the local AWS API and when it misbehaves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from services.storage import dynamodb
from services.storage.dynamodb import ConditionFailed, DynamoTable, first, open_tables
from services.storage.dynamodb_items import Key, Write, epoch_seconds, utc_now
from services.storage.dynamodb_tables import Index, Table
from services.storage.errors import StorageUnreachable, TableMissing, TableUnfit
from services.transport.aws_clients import make_aws_client
from tests.aws_server import AwsAccount
from tests.dynamodb import PREFIX, TroubledClient, made_table, make_tables

THINGS = Table("things", (Index("by-colour", "colour", "size"),))
A, B = Key("A", "1"), Key("B", "1")


class Away(Exception):
    """What this file's adapters raise when the store cannot do its part."""


@pytest.fixture
async def table(aws_account: AwsAccount) -> AsyncIterator[DynamoTable]:
    async with made_table(THINGS, unavailable=Away) as table:
        yield table


@pytest.fixture
async def troubled(table: DynamoTable) -> AsyncIterator[tuple[DynamoTable, TroubledClient]]:
    client = TroubledClient()
    yield DynamoTable(client, table.name, unavailable=Away), client
    client.close()


async def test_a_write_is_read_back_at_once(table: DynamoTable) -> None:
    await table.write(Write(A, {"size": 3}))

    assert await table.get(A) == {"pk": "A", "sk": "1", "size": 3}
    assert await table.get(B) is None


async def test_an_update_gives_the_item_as_it_is_afterwards(table: DynamoTable) -> None:
    await table.write(Write(A, {"size": 3, "name": "x"}))

    after = await table.write(Write(A, update="SET #size = #size + :one REMOVE #name", values={"one": 1}))

    assert after == {"pk": "A", "sk": "1", "size": 4}


async def test_a_condition_that_does_not_hold_tells_what_was_found(table: DynamoTable) -> None:
    await table.write(Write(A, {"size": 3}))

    with pytest.raises(ConditionFailed) as caught:
        await table.write(Write(A, {"size": 9}, condition="#size = :size", values={"size": 4}))

    assert caught.value.found == {"pk": "A", "sk": "1", "size": 3}


class SlowClient(TroubledClient):
    """Its calls are made when `opened` is set; a caller that leaves does not keep them from it."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived, self.opened = threading.Event(), threading.Event()

    async def run(self, call: Callable[[Any], Any]) -> Any:
        def slow(database: Any) -> Any:
            self.arrived.set()
            assert self.opened.wait(10)
            return call(database)

        return await super().run(slow)


async def test_a_write_whose_caller_is_cancelled_has_ended_when_the_caller_has(table: DynamoTable) -> None:
    client = SlowClient()
    writing = asyncio.create_task(DynamoTable(client, table.name, unavailable=Away).write(Write(A, {"size": 3})))
    assert await asyncio.to_thread(client.arrived.wait, 10)

    writing.cancel()
    await asyncio.sleep(0)
    client.opened.set()
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert await table.get(A) == {"pk": "A", "sk": "1", "size": 3}
    client.close()


async def test_a_write_that_does_not_end_holds_no_cancelled_caller_for_ever(
    table: DynamoTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb, "_ABANDONED_AFTER_SECONDS", 0.01)
    client = SlowClient()
    writing = asyncio.create_task(DynamoTable(client, table.name, unavailable=Away).write(Write(A, {"size": 3})))
    assert await asyncio.to_thread(client.arrived.wait, 10)

    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing

    client.opened.set()
    client.close()


async def test_a_transaction_writes_all_or_nothing(table: DynamoTable) -> None:
    await table.write(Write(B, {"size": 3}))
    once = "attribute_not_exists(#pk)"

    with pytest.raises(ConditionFailed):
        await table.transact([Write(A, {"size": 1}, condition=once), Write(B, {"size": 1}, condition=once)])

    assert await table.get(A) is None
    assert await table.get(B) == {"pk": "B", "sk": "1", "size": 3}


async def test_an_item_past_its_time_is_not_there_although_nobody_removed_it(table: DynamoTable) -> None:
    past, to_come = (epoch_seconds(utc_now() + timedelta(seconds=seconds)) for seconds in (-1, 60))
    await table.write(Write(A, {"expires_at": past}))
    await table.write(Write(B, {"expires_at": to_come}))

    assert await table.get(A) is None
    assert [item["pk"] for item in await table.get_many([A, B])] == ["B"]
    assert [item async for item in table.query("#pk = :pk", {"pk": "A"})] == []


async def test_many_items_come_in_the_order_asked_for(table: DynamoTable) -> None:
    keys = [Key(f"N{number}", "1") for number in range(120)]
    await asyncio.gather(*(table.write(Write(key, {})) for key in keys[:110]))

    found = await table.get_many(list(reversed(keys)))

    assert [item["pk"] for item in found] == [f"N{number}" for number in reversed(range(110))]


async def test_a_query_goes_on_over_its_pages(table: DynamoTable) -> None:
    for number in range(7):
        await table.write(Write(Key("A", str(number)), {"colour": "red", "size": str(number)}))

    newest = table.query("#colour = :red", {"red": "red"}, index="by-colour", newest_first=True, page_size=2)

    assert [item["size"] async for item in newest] == list("6543210")


async def test_a_query_for_some_attributes_gives_those_and_the_keys_of_what_is_still_there(table: DynamoTable) -> None:
    past, to_come = (epoch_seconds(utc_now() + timedelta(seconds=seconds)) for seconds in (-1, 60))
    await table.write(Write(Key("A", "1"), {"colour": "red", "size": 1, "expires_at": to_come}))
    await table.write(Write(Key("A", "2"), {"colour": "red", "expires_at": past}))
    await table.write(Write(Key("A", "3"), {"size": 3}))

    found = [item async for item in table.query("#pk = :pk", {"pk": "A"}, only=("size",))]

    assert found == [{"pk": "A", "sk": "1", "size": 1, "expires_at": to_come}, {"pk": "A", "sk": "3", "size": 3}]


async def test_what_an_index_leads_to_is_read_again(table: DynamoTable) -> None:
    for number in range(5):
        await table.write(Write(Key("A", str(number)), {"colour": "red", "size": str(number), "even": number % 2 == 0}))

    entries = table.query("#colour = :red", {"red": "red"}, index="by-colour", page_size=2)
    found = await first(table.read_again(entries, batch=2), 2, keep=lambda item: bool(item["even"]))

    assert [item["sk"] for item in found] == ["0", "2"]


@pytest.mark.parametrize(
    "code",
    ["ProvisionedThroughputExceededException", "ThrottlingException", "TransactionConflictException"],
)
async def test_throttling_is_waited_out(troubled: tuple[DynamoTable, TroubledClient], code: str) -> None:
    table, client = troubled
    client.refusals = [code] * 3

    await table.write(Write(A, {"size": 1}))

    assert await table.get(A) is not None
    assert client.call_count == 5


async def test_transactions_in_each_others_way_are_tried_again(troubled: tuple[DynamoTable, TroubledClient]) -> None:
    table, client = troubled
    client.refusals, client.reasons = ["TransactionCanceledException"] * 2, ["None", "TransactionConflict"]

    await table.transact([Write(A, {}), Write(B, {})])

    assert len(await table.get_many([A, B])) == 2


async def test_a_condition_counts_more_than_a_conflict(troubled: tuple[DynamoTable, TroubledClient]) -> None:
    table, client = troubled
    client.refusals = ["TransactionCanceledException"]
    client.reasons = ["TransactionConflict", "ConditionalCheckFailed"]

    with pytest.raises(ConditionFailed):
        await table.transact([Write(A, {}), Write(B, {})])


async def test_a_store_that_stays_too_busy_is_unavailable(
    troubled: tuple[DynamoTable, TroubledClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    table, client = troubled
    monkeypatch.setattr(dynamodb, "RETRY_SECONDS", 0.05)
    client.refusals = ["ThrottlingException"] * 1000

    with pytest.raises(Away):
        await table.get(A)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ExpiredTokenException", "ResourceNotFoundException"])
async def test_a_store_that_refuses_is_unavailable_at_once(
    troubled: tuple[DynamoTable, TroubledClient], code: str
) -> None:
    table, client = troubled
    client.refusals = [code]

    with pytest.raises(Away):
        await table.get(A)

    assert client.call_count == 1
    client.refusals = [code]
    assert not await table.is_reachable()


async def test_a_mistake_of_ours_is_not_taken_for_an_outage(table: DynamoTable) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        await table.write(Write(A, update="SET size :oops", values={"oops": 1}))


async def test_deciding_anew_ends_when_nobody_else_writes(table: DynamoTable) -> None:
    await table.write(Write(A, {"size": 0}))

    async def add_one() -> None:
        item = await table.get(A)
        assert item is not None
        wanted = {"size": item["size"] + 1}
        await table.write(Write(A, wanted, condition="#size = :size", values={"size": item["size"]}))

    await asyncio.gather(*(table.until_it_holds(add_one) for _ in range(6)))

    assert await table.get(A) == {"pk": "A", "sk": "1", "size": 6}


async def test_deciding_anew_for_ever_is_given_up(table: DynamoTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamodb, "RETRY_SECONDS", 0.05)

    async def never() -> None:
        raise ConditionFailed

    with pytest.raises(Away):
        await table.until_it_holds(never)


async def test_a_store_that_answers_is_reachable_until_it_is_gone(table: DynamoTable) -> None:
    assert await table.is_reachable()

    client = make_aws_client("dynamodb")
    client.close()
    assert not await DynamoTable(client, table.name, unavailable=Away).is_reachable()


async def test_a_start_without_tables_names_the_table_and_the_command(aws_account: AwsAccount) -> None:
    with pytest.raises(TableMissing, match=r"diglot-test-things .*deploy\.aws\.create_tables --prefix diglot-test"):
        async with open_tables(PREFIX, (THINGS,), unavailable=Away):
            pass


async def test_a_table_of_something_else_is_refused(aws_account: AwsAccount) -> None:
    client = make_aws_client("dynamodb")
    await client.run(
        lambda database: database.create_table(
            TableName=THINGS.name(PREFIX),
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
            BillingMode="PAY_PER_REQUEST",
        )
    )
    client.close()

    with pytest.raises(TableUnfit, match="diglot-test-things has other keys"):
        async with open_tables(PREFIX, (THINGS,), unavailable=Away):
            pass


async def test_a_start_without_a_server_is_given_up(aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")

    with pytest.raises(StorageUnreachable, match="cannot be reached") as caught:
        async with open_tables(PREFIX, (THINGS,), unavailable=Away, connect_wait_seconds=0.1):
            pass

    assert isinstance(caught.value.__cause__, EndpointConnectionError)


async def test_a_store_that_starts_later_is_waited_for(aws_account: AwsAccount) -> None:
    await make_tables(THINGS)
    client = TroubledClient()
    client.refusals = ["ThrottlingException"]

    await dynamodb._see(client, THINGS.name(PREFIX), PREFIX, give_up=float("inf"))

    client.close()
    assert client.call_count == 2


async def test_a_start_without_credentials_says_so(aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(StorageUnreachable, match="needs credentials"):
        async with open_tables(PREFIX, (THINGS,), unavailable=Away):
            pass


@pytest.mark.parametrize(("variable", "value"), [("AWS_REGION", ""), ("AWS_ENDPOINT_URL_DYNAMODB", "no address")])
async def test_a_start_without_a_region_or_with_a_malformed_endpoint_says_so(
    aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv(variable, value) if value else monkeypatch.delenv(variable)

    with pytest.raises(StorageUnreachable, match=r"AWS_REGION=us-east-1.* AWS_ENDPOINT_URL_DYNAMODB"):
        async with open_tables(PREFIX, (THINGS,), unavailable=Away):
            pass
