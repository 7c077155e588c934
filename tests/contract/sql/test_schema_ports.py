"""The suites of schema reader and schema store on the stand-ins, on DynamoDB and on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from services.sql.adapters.dynamodb_schemas import PART_BYTES, DynamoSchemaStore
from services.sql.adapters.dynamodb_tables import QUERIES
from services.sql.adapters.postgres_introspection import PostgresSchemaReader, ReadLimits
from services.sql.adapters.postgres_schemas import PostgresSchemaStore
from services.sql.adapters.postgres_session import open_target_pool
from services.sql.errors import QueryStoreUnavailable
from services.sql.ports import SchemaReader, SchemaStore
from services.sql.wiring_stores import MIGRATIONS
from services.storage.postgres import open_store
from tests.aws_server import AwsAccount
from tests.contract.sql.schema_ports_contract import SchemaReaderContract, SchemaStoreContract
from tests.dynamodb import made_table
from tests.fakes.sql import FakeSchemaReader, FakeSchemaStore


class TestFakeSchemaReader(SchemaReaderContract):
    @pytest.fixture
    def reader(self) -> SchemaReader:
        return FakeSchemaReader()


class TestPostgresSchemaReader(SchemaReaderContract):
    @pytest.fixture
    async def reader(self, shop_url: str) -> AsyncIterator[SchemaReader]:
        async with open_target_pool(shop_url, max_connections=2, checkout_wait_seconds=5) as pool:
            yield PostgresSchemaReader(pool, ReadLimits(10, 20, 3, 10_000))


class TestFakeSchemaStore(SchemaStoreContract):
    @pytest.fixture
    def store(self) -> SchemaStore:
        return FakeSchemaStore()


@pytest.mark.parametrize("part_bytes", [PART_BYTES, 100], ids=["whole", "in-parts"])
class TestDynamoSchemaStore(SchemaStoreContract):
    @pytest.fixture
    async def store(self, aws_account: AwsAccount, part_bytes: int) -> AsyncIterator[SchemaStore]:
        async with made_table(QUERIES, unavailable=QueryStoreUnavailable) as table:
            yield DynamoSchemaStore(table, part_bytes=part_bytes)


class TestPostgresSchemaStore(SchemaStoreContract):
    @pytest.fixture
    async def store(self, store_url: str) -> AsyncIterator[SchemaStore]:
        async with open_store(store_url, schema="sql", migrations=MIGRATIONS) as pool:
            yield PostgresSchemaStore(pool)
