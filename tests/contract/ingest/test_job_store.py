"""The behaviour of a store of jobs, on the fake, on DynamoDB and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.ingest.adapters.dynamodb_jobs import DynamoJobs
from services.ingest.adapters.dynamodb_stores import unavailable
from services.ingest.adapters.dynamodb_tables import JOBS
from services.ingest.adapters.postgres_jobs import PostgresJobs
from services.ingest.errors import JobStoreUnavailable
from services.ingest.wiring import MIGRATIONS
from services.storage.dynamodb import DynamoTable, open_tables
from services.storage.postgres import open_store
from services.transport.aws_clients import make_aws_client
from tests.aws_server import AwsAccount
from tests.contract.ingest.job_store_contract import JobStoreContract, Store, created, new_job
from tests.dynamodb import PREFIX, made_table
from tests.fakes.ingest_stores import FakeJobStore


class TestFakeJobStore(JobStoreContract):
    @pytest.fixture
    def store(self) -> Store:
        jobs = FakeJobStore()

        async def pass_seconds(seconds: float) -> None:
            jobs.clock.pass_seconds(seconds)

        return Store(jobs, pass_seconds)


@pytest.fixture
async def jobs_table(aws_account: AwsAccount) -> AsyncIterator[DynamoTable]:
    async with made_table(JOBS, unavailable=unavailable) as table:
        yield table


class TestDynamoJobs(JobStoreContract):
    @pytest.fixture
    def store(self, jobs_table: DynamoTable) -> Store:
        return Store(DynamoJobs(jobs_table, clock_skew_seconds=0), asyncio.sleep)

    async def test_jobs_outlive_the_process_that_made_them(self, store: Store) -> None:
        leased = await created(store)

        async with open_tables(PREFIX, (JOBS,), unavailable=unavailable) as (table,):
            assert await DynamoJobs(table).get("red", leased.job.job_id) == leased.job

    async def test_a_store_that_cannot_be_reached_is_told_as_such(
        self, aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")
        client = make_aws_client("dynamodb")
        jobs = DynamoJobs(DynamoTable(client, "diglot-jobs", unavailable=unavailable))

        with pytest.raises(JobStoreUnavailable):
            await jobs.get("red", "a" * 32)
        assert await jobs.is_reachable() is False
        client.close()


class TestPostgresJobs(JobStoreContract):
    @pytest.fixture
    async def store(self, store_url: str) -> AsyncIterator[Store]:
        async with open_store(store_url, schema="ingest", migrations=MIGRATIONS) as pool:
            yield Store(PostgresJobs(pool), asyncio.sleep)

    async def test_jobs_outlive_the_process_that_made_them(self, store_url: str) -> None:
        new = new_job()
        async with open_store(store_url, schema="ingest", migrations=MIGRATIONS) as pool:
            leased = await created(Store(PostgresJobs(pool), asyncio.sleep), new)

        async with open_store(store_url, schema="ingest", migrations=MIGRATIONS) as pool:
            assert await PostgresJobs(pool).get("red", new.job_id) == leased.job

    async def test_a_store_that_cannot_be_reached_is_told_as_such(self, store_url: str) -> None:
        async with open_store(store_url, schema="ingest", migrations=MIGRATIONS) as pool:
            jobs = PostgresJobs(pool)
            await pool.close()

            with pytest.raises(JobStoreUnavailable):
                await jobs.get("red", "a" * 32)
            assert await jobs.is_reachable() is False
