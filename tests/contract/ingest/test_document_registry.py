"""The behaviour of a registry of documents, on the fake, on DynamoDB and on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from services.ingest.adapters.dynamodb_documents import DynamoDocuments
from services.ingest.adapters.dynamodb_stores import unavailable
from services.ingest.adapters.dynamodb_tables import DOCUMENTS
from services.ingest.adapters.postgres_documents import PostgresDocuments
from services.ingest.errors import JobStoreUnavailable
from services.ingest.ports import DocumentRegistry
from services.ingest.wiring import MIGRATIONS
from services.storage.postgres import open_store
from tests.aws_server import AwsAccount
from tests.contract.ingest.document_registry_contract import A, DocumentRegistryContract
from tests.dynamodb import made_table
from tests.fakes.ingest_stores import FakeDocumentRegistry


class TestFakeDocumentRegistry(DocumentRegistryContract):
    @pytest.fixture
    def registry(self) -> DocumentRegistry:
        return FakeDocumentRegistry()


class TestDynamoDocuments(DocumentRegistryContract):
    @pytest.fixture
    async def registry(self, aws_account: AwsAccount) -> AsyncIterator[DocumentRegistry]:
        async with made_table(DOCUMENTS, unavailable=unavailable) as table:
            yield DynamoDocuments(table)


class TestPostgresDocuments(DocumentRegistryContract):
    @pytest.fixture
    async def registry(self, store_url: str) -> AsyncIterator[DocumentRegistry]:
        async with open_store(store_url, schema="ingest", migrations=MIGRATIONS) as pool:
            yield PostgresDocuments(pool)

    async def test_a_store_that_cannot_be_reached_is_told_as_such(self, store_url: str) -> None:
        async with open_store(store_url, schema="ingest", migrations=MIGRATIONS) as pool:
            registry = PostgresDocuments(pool)
            await pool.close()

            with pytest.raises(JobStoreUnavailable):
                await registry.get("red", A)
