"""The query store's suite on the stand-in, on DynamoDB and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from services.sql.adapters.dynamodb_queries import DynamoQueryStore
from services.sql.adapters.dynamodb_tables import QUERIES
from services.sql.adapters.postgres_queries import PostgresQueryStore, StorePool
from services.sql.audit import AuditScope
from services.sql.errors import QueryStoreUnavailable
from services.sql.models import QueryState
from services.sql.ports import QueryStore
from services.sql.wiring_stores import MIGRATIONS
from services.storage.dynamodb import DynamoTable
from services.storage.postgres import open_store
from services.transport.aws_clients import make_aws_client
from tests.aws_server import AwsAccount
from tests.contract.sql.audit_log_contract import AuditLogContract
from tests.contract.sql.query_store_contract import ADA, HOUR, MakeStore, QueryStoreContract, add, draft
from tests.dynamodb import items_of, made_table
from tests.fakes.sql_queries import FakeQueryStore


class TestFakeQueryStore(QueryStoreContract, AuditLogContract):
    @pytest.fixture
    def make_store(self) -> MakeStore:
        kept: list[FakeQueryStore] = []

        def make(run_lease: timedelta) -> QueryStore:
            kept.append(FakeQueryStore(run_lease=run_lease))
            return kept[-1]

        return make


@pytest.fixture
async def queries_table(aws_account: AwsAccount) -> AsyncIterator[DynamoTable]:
    async with made_table(QUERIES, unavailable=QueryStoreUnavailable) as table:
        yield table


class TestDynamoQueryStore(QueryStoreContract, AuditLogContract):
    @pytest.fixture
    def make_store(self, queries_table: DynamoTable) -> MakeStore:
        return lambda run_lease: DynamoQueryStore(queries_table, run_lease=run_lease)

    async def test_of_fifty_that_begin_a_run_one_may_and_the_log_says_so_once(self, queries_table: DynamoTable) -> None:
        store = DynamoQueryStore(queries_table, run_lease=HOUR)
        query = await add(store)
        await store.approve(ADA, query.id, sql_hash=query.sql_hash)

        begun = await asyncio.gather(*(store.begin_run(ADA, query.id, sql_hash=query.sql_hash) for _ in range(50)))

        assert len([one for one in begun if one is not None]) == 1
        states = [item["to_state"]["S"] for item in await items_of(queries_table.name) if "to_state" in item]
        assert states == ["PENDING", "APPROVED", "EXECUTING"]
        assert await store.count_by_state("acme") == {QueryState.EXECUTING: 1}

    async def test_items_from_before_costs_and_texts_were_kept_are_read(self, queries_table: DynamoTable) -> None:
        store = DynamoQueryStore(queries_table, run_lease=HOUR)
        query = await add(store, replace(draft(), plan_cost=5.0))
        newer = {"plan_cost", "sql", "owner_subject", "owner_key", "owner_state", "newest"}
        client = make_aws_client("dynamodb")
        for item in await items_of(queries_table.name):
            gone = {"plan_cost"} if item["sk"]["S"] == "QUERY" else newer
            older = {name: value for name, value in item.items() if name not in gone}
            await client.run(lambda db, older=older: db.put_item(TableName=queries_table.name, Item=older))  # type: ignore[misc]
        client.close()

        stored = await store.get(ADA, query.id)
        of_query = await store.audit(AuditScope("acme", "ada", query.id), after=None, limit=9)

        assert stored == replace(query, plan_cost=None)
        assert [(entry.owner, entry.to_state, entry.sql) for entry in of_query.entries] == [
            (ADA, QueryState.PENDING, "")
        ]
        assert (await store.audit(AuditScope("acme", "ada"), after=None, limit=9)).entries == ()
        assert await store.approve(ADA, query.id, sql_hash=query.sql_hash)

    async def test_a_store_that_is_gone_is_unavailable_and_unreachable(
        self, aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")
        client = make_aws_client("dynamodb")
        store = DynamoQueryStore(
            DynamoTable(client, "diglot-queries", unavailable=QueryStoreUnavailable), run_lease=HOUR
        )

        assert not await store.is_reachable()
        with pytest.raises(QueryStoreUnavailable):
            await store.get(ADA, "0" * 32)
        client.close()


@pytest.fixture
async def pool(store_url: str) -> AsyncIterator[StorePool]:
    async with open_store(store_url, schema="sql", migrations=MIGRATIONS) as pool:
        yield pool


class TestPostgresQueryStore(QueryStoreContract, AuditLogContract):
    @pytest.fixture
    def make_store(self, pool: StorePool) -> MakeStore:
        return lambda run_lease: PostgresQueryStore(pool, run_lease=run_lease)

    async def test_a_store_that_is_gone_is_unavailable_and_unreachable(self, pool: StorePool) -> None:
        store = PostgresQueryStore(pool, run_lease=HOUR)
        await pool.close()

        assert not await store.is_reachable()
        with pytest.raises(QueryStoreUnavailable):
            await store.get(ADA, "0" * 32)
