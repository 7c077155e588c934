"""The training store's suite on the stand-in, on DynamoDB and on PostgreSQL."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from services.sql.adapters.dynamodb_tables import QUERIES
from services.sql.adapters.dynamodb_training import DynamoTrainingStore
from services.sql.adapters.postgres_training import PostgresTrainingStore
from services.sql.errors import QueryStoreUnavailable
from services.sql.ports import TrainingStore
from services.sql.wiring_stores import MIGRATIONS
from services.storage.postgres import open_store
from tests.aws_server import AwsAccount
from tests.contract.sql.training_store_contract import SHOP, TrainingStoreContract, add, fact
from tests.dynamodb import made_table
from tests.fakes.sql_training import FakeTrainingStore


class TestFakeTrainingStore(TrainingStoreContract):
    @pytest.fixture
    def store(self) -> TrainingStore:
        return FakeTrainingStore()


class TestDynamoTrainingStore(TrainingStoreContract):
    @pytest.fixture
    async def store(self, aws_account: AwsAccount) -> AsyncIterator[TrainingStore]:
        async with made_table(QUERIES, unavailable=QueryStoreUnavailable) as table:
            yield DynamoTrainingStore(table)


@pytest.fixture
async def postgres_store(store_url: str) -> AsyncIterator[PostgresTrainingStore]:
    async with open_store(store_url, schema="sql", migrations=MIGRATIONS) as pool:
        yield PostgresTrainingStore(pool)


class TestPostgresTrainingStore(TrainingStoreContract):
    @pytest.fixture
    def store(self, postgres_store: PostgresTrainingStore) -> TrainingStore:
        return postgres_store

    async def test_a_store_that_goes_away_is_told_as_such(
        self, store_url: str, postgres_store: PostgresTrainingStore
    ) -> None:
        await add(postgres_store, fact("One."))
        async with await psycopg.AsyncConnection.connect(store_url, autocommit=True) as connection:
            await connection.execute("DROP SCHEMA sql CASCADE")
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'diglot-sql'"
            )

        with pytest.raises((QueryStoreUnavailable, psycopg.errors.UndefinedTable)):
            await postgres_store.census(SHOP)
