"""Indexes of DynamoDB lag behind their tables: what they say is never more than a hint where to look.

And many at once on the same rows, in whatever order they come.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from datetime import timedelta

import pytest

from services.ingest.adapters.dynamodb_documents import DynamoDocuments
from services.ingest.adapters.dynamodb_jobs import DynamoJobs
from services.ingest.adapters.dynamodb_tables import DOCUMENTS, JOBS
from services.ingest.errors import LeaseLost
from services.ingest.models import JobState, PageRequest
from services.sql.adapters.dynamodb_queries import DynamoQueryStore
from services.sql.adapters.dynamodb_tables import QUERIES
from services.sql.models import QueryState
from services.storage.dynamodb import DynamoTable
from services.storage.dynamodb_items import Item, Value
from services.storage.dynamodb_tables import Table
from services.transport.aws_clients import AwsClient, make_aws_client
from tests.aws_server import AwsAccount
from tests.contract.ingest.document_registry_contract import A, B, C, document, publish
from tests.contract.ingest.job_store_contract import new_job
from tests.contract.sql.query_store_contract import ADA, HOUR, add
from tests.dynamodb import PREFIX, items_of, make_tables


class LaggingTable(DynamoTable):
    """A table whose indexes stand still while told to: they answer as they did at that moment."""

    def __init__(self, client: AwsClient, name: str) -> None:
        super().__init__(client, name, unavailable=lambda: AssertionError("the store is there"))
        self._frozen: dict[str, list[Item]] | None = None

    async def freeze(self, table: Table) -> None:
        self._frozen = None
        items = (await self._client.run(lambda database: database.scan(TableName=self.name)))["Items"]
        self._frozen = {
            index.name: [
                {name: value["S"] for name, value in item.items() if "S" in value}
                for item in sorted(items, key=lambda item: item.get(index.sort_key, {}).get("S", ""))
                if index.partition_key in item and index.sort_key in item
            ]
            for index in table.indexes
        }

    def repeat_entries(self) -> None:
        """Show each entry twice, as an index may whose order changes between two pages."""
        assert self._frozen is not None
        self._frozen = {name: [*entries, *entries] for name, entries in self._frozen.items()}

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
        if not index or self._frozen is None:
            reading = super().query(
                condition, values, index=index, newest_first=newest_first, page_size=page_size, only=only
            )
            async for item in reading:
                yield item
            return
        partition = condition.split(" ", 1)[0].removeprefix("#")
        entries = [item for item in self._frozen[index] if item[partition] in values.values()]
        for entry in reversed(entries) if newest_first else entries:
            yield entry


@pytest.fixture
async def client(aws_account: AwsAccount) -> AsyncIterator[AwsClient]:
    await make_tables(DOCUMENTS, JOBS, QUERIES)
    client = make_aws_client("dynamodb", max_concurrent_calls=16)
    yield client
    client.close()


@pytest.fixture
def documents(client: AwsClient) -> LaggingTable:
    return LaggingTable(client, DOCUMENTS.name(PREFIX))


@pytest.fixture
def jobs(client: AwsClient) -> LaggingTable:
    return LaggingTable(client, JOBS.name(PREFIX))


@pytest.fixture
def queries(client: AwsClient) -> LaggingTable:
    return LaggingTable(client, QUERIES.name(PREFIX))


async def test_a_job_that_an_index_still_calls_due_is_not_taken_twice(jobs: LaggingTable) -> None:
    store = DynamoJobs(jobs, clock_skew_seconds=0)
    for letter in "abc":
        leased = await store.create(new_job(letter), lease_seconds=60)
        assert leased is not None
        await store.release(leased, pause_seconds=0)
    await jobs.freeze(JOBS)

    taken = [await store.claim_due(lease_seconds=60) for _ in range(4)]

    assert [leased and leased.job.document_id[0] for leased in taken] == ["a", "b", "c", None]


async def test_a_job_that_ended_is_not_taken_although_an_index_calls_it_due(jobs: LaggingTable) -> None:
    store = DynamoJobs(jobs, clock_skew_seconds=0)
    leased = await store.create(new_job(), lease_seconds=0)
    assert leased is not None
    await jobs.freeze(JOBS)
    await store.finish(leased)

    assert await store.claim_due(lease_seconds=60) is None
    [listed] = await store.list_newest_first("red", PageRequest(9))
    assert listed.state is JobState.READY


async def test_a_document_on_its_way_out_is_not_listed_although_an_index_has_it(documents: LaggingTable) -> None:
    registry = DynamoDocuments(documents)
    for document_id, name in ((A, "a.txt"), (B, "b.txt"), (C, "c.txt")):
        await publish(registry, document_id, name)
    await documents.freeze(DOCUMENTS)
    await registry.mark_deleting("red", C)
    await registry.mark_deleting("red", B)
    token = await registry.hold_deletion("red", B, lease_seconds=60)
    await registry.remove("red", B, token or "")

    assert [found.document_id for found in await registry.list_ready("red", PageRequest(1))] == [A]
    assert (await registry.count("red")).document_count == 1


async def test_a_settled_document_is_not_settled_again_although_an_index_has_it(documents: LaggingTable) -> None:
    registry = DynamoDocuments(documents)
    await publish(registry, A, "one.txt")
    await registry.point("red", "two.txt", A)
    await publish(registry, B, "one.txt")
    await documents.freeze(DOCUMENTS)
    await registry.mark_indexed_filename("red", A, "two.txt")

    assert await registry.list_unsettled(limit=9) == []


async def test_a_query_is_listed_as_it_stands_and_not_as_an_index_has_it(queries: LaggingTable) -> None:
    store = DynamoQueryStore(queries, run_lease=HOUR)
    first, second, third = [await add(store) for _ in range(3)]
    await queries.freeze(QUERIES)
    await store.approve(ADA, second.id, sql_hash=second.sql_hash)

    page = await store.page(ADA, state=QueryState.PENDING, after=None, limit=1)
    everything = await store.page(ADA, state=None, after=None, limit=9)

    assert [query.id for query in page.queries] == [third.id]
    assert page.next_after is not None
    assert [(query.id, query.state) for query in everything.queries] == [
        (third.id, QueryState.PENDING),
        (second.id, QueryState.APPROVED),
        (first.id, QueryState.PENDING),
    ]


async def test_an_expiry_is_written_once_although_an_index_calls_for_it_again(queries: LaggingTable) -> None:
    store = DynamoQueryStore(queries, run_lease=HOUR)
    late = await add(store, keeps_for=timedelta(0))
    await queries.freeze(QUERIES)

    counts = [await store.count_by_state("acme") for _ in range(3)]

    assert counts == [{QueryState.EXPIRED: 1}] * 3
    found = await store.get(ADA, late.id)
    assert found is not None
    assert found.state is QueryState.EXPIRED


async def test_an_item_that_an_index_shows_twice_comes_once(documents: LaggingTable) -> None:
    registry = DynamoDocuments(documents)
    await publish(registry, A, "a.txt")
    await publish(registry, B, "b.txt")
    await documents.freeze(DOCUMENTS)
    documents.repeat_entries()

    assert [found.document_id for found in await registry.list_ready("red", PageRequest(9))] == [B, A]


async def test_many_workers_take_each_job_up_once(jobs: LaggingTable) -> None:
    store = DynamoJobs(jobs, clock_skew_seconds=0)
    ids = set()
    for letter in "0123456789":
        leased = await store.create(new_job(letter), lease_seconds=60)
        assert leased is not None
        ids.add(leased.job.job_id)
        await store.release(leased, pause_seconds=0)

    async def work() -> list[str]:
        done: list[str] = []
        while leased := await store.claim_due(lease_seconds=60):
            await store.advance(leased, JobState.PARSING)
            await store.finish(leased)
            done.append(leased.job.job_id)
        return done

    done = Counter(job_id for one in await asyncio.gather(*(work() for _ in range(5))) for job_id in one)

    assert done == Counter(ids)
    assert dict(await store.count_by_state("red")) == {JobState.READY: 10}


async def test_whatever_ends_a_job_at_the_same_time_it_ends_once(jobs: LaggingTable) -> None:
    store = DynamoJobs(jobs, clock_skew_seconds=0)
    for _ in range(3):
        leased = await store.create(new_job(), lease_seconds=60)
        assert leased is not None

        ends: list[Awaitable[object]] = [
            store.finish(leased),
            store.fail(leased, reason="X", detail="x"),
            store.cancel(leased.job.job_id),
            store.finish(leased),
        ]
        outcomes = await asyncio.gather(*ends, return_exceptions=True)

        losses = [outcome for outcome in outcomes if outcome is False or isinstance(outcome, LeaseLost)]
        assert len(losses) == 3
    assert sum((await store.count_by_state("red")).values()) == 3


async def test_deleting_and_naming_at_the_same_time_leave_no_name_without_a_document(documents: LaggingTable) -> None:
    registry = DynamoDocuments(documents)
    await publish(registry, A, "one.txt")

    async def delete() -> None:
        await registry.mark_deleting("red", A)
        token = await registry.hold_deletion("red", A, lease_seconds=60)
        if token is not None:
            await registry.remove("red", A, token)

    await asyncio.gather(
        delete(),
        *(registry.point("red", f"{number}.txt", A) for number in range(4)),
        registry.publish(document(A), "one.txt"),
        delete(),
    )
    await delete()

    assert await registry.get("red", A) is None
    assert (await registry.count("red")).document_count == 0
    assert {item["pk"]["S"] for item in await items_of(documents.name)} == {"TOTAL#red"}
