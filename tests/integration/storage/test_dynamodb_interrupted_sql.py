"""Queries in DynamoDB when the process ends at any of the calls of a transition, and when they are to be forgotten.

As for documents and jobs: each transition is broken off at each of its calls, with the call or only its answer lost.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.sql.adapters.dynamodb_queries import DynamoQueryStore
from services.sql.adapters.dynamodb_schemas import DynamoSchemaStore
from services.sql.adapters.dynamodb_tables import QUERIES
from services.sql.errors import QueryStoreUnavailable
from services.sql.models import QueryState, SqlQuery
from services.storage.dynamodb import DynamoTable
from services.storage.dynamodb_items import from_attributes
from tests.aws_server import AwsAccount
from tests.contract.sql.query_store_contract import ADA, HOUR, add, draft
from tests.dynamodb import PREFIX, TroubledClient, items_of, make_tables
from tests.fakes.ingest_stores import Clock
from tests.fakes.sql import shop_schema

Heard = pytest.mark.parametrize("is_heard", [False, True], ids=["call-lost", "answer-lost"])


@pytest.fixture
async def client(aws_account: AwsAccount) -> AsyncIterator[TroubledClient]:
    await make_tables(QUERIES)
    client = TroubledClient()
    yield client
    client.close()


@pytest.fixture
def table(client: TroubledClient) -> DynamoTable:
    return table_of(client)


def table_of(client: TroubledClient) -> DynamoTable:
    return DynamoTable(client, QUERIES.name(PREFIX), unavailable=QueryStoreUnavailable)


def store_on(table: DynamoTable) -> DynamoQueryStore:
    return DynamoQueryStore(table, run_lease=HOUR)


async def hold_together() -> None:
    """The log of each query ends where the query stands, without a gap, and the counts are those of the queries."""
    items = list(map(from_attributes, await items_of(QUERIES.name(PREFIX))))
    queries = {item["query_id"]: item for item in items if item["sk"] == "QUERY"}
    for query_id, query in queries.items():
        log = [item for item in items if item["sk"].startswith("AUDIT#") and item["query_id"] == query_id]
        assert [row["sk"] for row in log] == [f"AUDIT#{number:06}" for number in range(1, query["audit_count"] + 1)]
        assert [row["from_state"] for row in log] == ["", *(row["to_state"] for row in log)][: len(log)]
        assert (log[-1]["to_state"], log[-1]["sql_hash"]) == (query["query_state"], query["sql_hash"])
    assert {item["query_id"] for item in items if "query_id" in item} == queries.keys()
    counted: Counter[str] = Counter()
    for item in items:
        if item["pk"].startswith("COUNT#"):
            counted.update({state: item.get(state, 0) for state in QueryState})
    assert +counted == Counter(query["query_state"] for query in queries.values())


async def step_of(store: DynamoQueryStore, name: str, query: SqlQuery) -> SqlQuery | None:
    match name:
        case "approve":
            return await store.approve(ADA, query.id, sql_hash=query.sql_hash)
        case "reject":
            return await store.reject(ADA, query.id, note="no")
        case "edit":
            return await store.edit(
                ADA, query.id, old_hash=query.sql_hash, sql="SELECT 1", explanation="", tables=["public.orders"]
            )
        case "begin_run":
            return await store.begin_run(ADA, query.id, sql_hash=query.sql_hash)
        case "finish_run":
            return await store.finish_run(ADA, query.id, row_count=1)
        case _:
            return await store.fail_run(ADA, query.id, reason="QUERY_FAILED")


@Heard
@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("approve", ()),
        ("reject", ("approve",)),
        ("edit", ()),
        ("begin_run", ("approve",)),
        ("finish_run", ("approve", "begin_run")),
        ("fail_run", ("approve", "begin_run")),
    ],
)
async def test_a_transition_that_broke_off_happened_once_or_not(
    client: TroubledClient, table: DynamoTable, name: str, before: tuple[str, ...], is_heard: bool
) -> None:
    for breaks_at in (1, 2):
        query = await add(store_on(table))
        for earlier in before:
            assert await step_of(store_on(table), earlier, query) is not None
        broken = store_on(table_of(client.breaking(breaks_at, is_heard=is_heard)))

        with pytest.raises(QueryStoreUnavailable):
            await step_of(broken, name, query)

        await hold_together()
        was_done = is_heard and breaks_at == 2  # The first call only reads.
        assert (await step_of(store_on(table), name, query) is None) == was_done
        assert await step_of(store_on(table), name, query) is None
        await hold_together()


@Heard
async def test_a_query_whose_storing_broke_off_is_stored_once_by_its_request(
    client: TroubledClient, table: DynamoTable, is_heard: bool
) -> None:
    broken, request_id = table_of(client.breaking(1, is_heard=is_heard)), str(uuid4())
    with pytest.raises(QueryStoreUnavailable):
        await store_on(broken).add(draft(), request_id=request_id, keeps_for=HOUR)
    await hold_together()

    again = await store_on(table).add(draft(), request_id=request_id, keeps_for=HOUR)

    assert again == await store_on(table).find_by_request(ADA, request_id)
    assert await store_on(table).count_by_state("acme") == {QueryState.PENDING: 1}
    await hold_together()


@Heard
async def test_a_run_by_policy_whose_storing_broke_off_is_run_by_nobody(
    client: TroubledClient, table: DynamoTable, is_heard: bool
) -> None:
    broken, query = table_of(client.breaking(1, is_heard=is_heard)), draft()
    with pytest.raises(QueryStoreUnavailable):
        await store_on(broken).add_begun(query, note="", keeps_for=HOUR)
    await hold_together()

    begun = await store_on(table).begin_run(ADA, query.id, sql_hash=query.sql_hash)

    assert begun is None
    assert (await store_on(table).get(ADA, query.id) is not None) == is_heard


@Heard
async def test_an_expiry_whose_writing_broke_off_is_written_once(
    client: TroubledClient, table: DynamoTable, is_heard: bool
) -> None:
    query = await add(store_on(table), keeps_for=timedelta(0))
    broken = table_of(client.breaking(2, is_heard=is_heard))
    with pytest.raises(QueryStoreUnavailable):
        await store_on(broken).get(ADA, query.id)
    await hold_together()

    readers = await asyncio.gather(*(store_on(table).get(ADA, query.id) for _ in range(5)))

    assert {found.state for found in readers if found is not None} == {QueryState.EXPIRED}
    assert await store_on(table).count_by_state("acme") == {QueryState.EXPIRED: 1}
    await hold_together()


async def test_all_transitions_at_once_leave_one_story(table: DynamoTable) -> None:
    queries = [await add(store_on(table)) for _ in range(3)]
    names = ("approve", "reject", "edit", "begin_run", "finish_run", "fail_run")

    await asyncio.gather(*(step_of(store_on(table), name, query) for name in names * 2 for query in queries))

    await hold_together()


async def test_a_query_is_forgotten_with_its_log_and_its_request(table: DynamoTable) -> None:
    clock, request_id = Clock(), str(uuid4())
    store = DynamoQueryStore(table, run_lease=HOUR, keeps_ended=timedelta(days=1), now=clock.now)

    # Its days are over by the clock that reads go by.
    query = await store.add(draft(), request_id=request_id, keeps_for=HOUR)

    assert await store.get(ADA, query.id) is None
    assert await store.find_by_request(ADA, request_id) is None
    assert (await store.page(ADA, state=None, after=None, limit=9)).queries == ()
    assert await store.count_by_state("acme") == {}
    times = {item["expires_at"]["N"] for item in await items_of(table.name)}
    assert times == {str(int(query.expire_time.replace(hour=0, minute=0, second=0).timestamp()) + 2 * 24 * 3600)}
    clock.pass_seconds(3 * 24 * 3600)
    again = await store.add(draft(), request_id=request_id, keeps_for=timedelta(days=3650))
    assert await store.find_by_request(ADA, request_id) == again


async def test_counts_stay_right_when_the_retention_is_changed_meanwhile(table: DynamoTable) -> None:
    query = await add(DynamoQueryStore(table, run_lease=HOUR, keeps_ended=timedelta(days=1)))

    await DynamoQueryStore(table, run_lease=HOUR, keeps_ended=timedelta(days=30)).reject(ADA, query.id, note="")

    assert await store_on(table).count_by_state("acme") == {QueryState.REJECTED: 1}
    assert len([item for item in await items_of(table.name) if item["pk"]["S"].startswith("COUNT#")]) == 1


@Heard
async def test_a_schema_whose_saving_broke_off_is_the_old_or_the_new_one(
    client: TroubledClient, table: DynamoTable, is_heard: bool
) -> None:
    store = DynamoSchemaStore(table, part_bytes=200)
    schema = shop_schema()
    await store.save("db", schema)
    part_count = len(await items_of(table.name)) - 1
    assert part_count > 1

    for breaks_at in range(1, 2 * part_count + 2):
        broken = table_of(client.breaking(breaks_at, is_heard=is_heard))
        with pytest.raises(QueryStoreUnavailable):
            await DynamoSchemaStore(broken, part_bytes=200).save("db", schema)

        assert await store.load("db") == schema

    assert not await store.save("db", schema)


class RepeatingClient(TroubledClient):
    """Makes each call twice and hands on what the second brings, as the SDK does that heard nothing of the first."""

    async def run(self, call: Callable[[Any], Any]) -> Any:
        await super().run(call)
        return await super().run(call)


async def test_a_schema_of_which_each_write_is_sent_twice_is_kept(client: TroubledClient) -> None:
    store = DynamoSchemaStore(table_of(RepeatingClient(inner=client)), part_bytes=200)
    schema = shop_schema()

    assert await store.save("db", schema)
    assert await store.save("db", schema)

    assert await store.load("db") == schema
