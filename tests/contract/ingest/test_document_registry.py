"""The behaviour of a registry of documents, on the fake, on DynamoDB and on PostgreSQL."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.ingest.adapters.dynamodb_documents import DynamoDocuments
from services.ingest.adapters.dynamodb_stores import unavailable
from services.ingest.adapters.dynamodb_tables import DOCUMENTS
from services.ingest.adapters.postgres_documents import PostgresDocuments
from services.ingest.errors import JobStoreUnavailable, StorageFull
from services.ingest.models import DocumentTotals
from services.ingest.ports import DocumentRegistry
from services.ingest.wiring import MIGRATIONS
from services.storage.dynamodb_items import Key, Write
from services.storage.postgres import open_store
from tests.aws_server import AwsAccount
from tests.contract.ingest.document_registry_contract import A, DocumentRegistryContract, document, publish
from tests.dynamodb import made_table
from tests.fakes.ingest_registry import FakeDocumentRegistry


class TestFakeDocumentRegistry(DocumentRegistryContract):
    @pytest.fixture
    def registry(self) -> DocumentRegistry:
        return FakeDocumentRegistry()


class TestDynamoDocuments(DocumentRegistryContract):
    @pytest.fixture
    async def registry(self, aws_account: AwsAccount) -> AsyncIterator[DocumentRegistry]:
        async with made_table(DOCUMENTS, unavailable=unavailable) as table:
            yield DynamoDocuments(table)

    async def test_a_title_as_long_as_a_book_is_shortened(self, registry: DocumentRegistry) -> None:
        pointed = await registry.publish(replace(document(A), title="x" * 1_000_000), "one.txt")

        found = await registry.get("red", A)
        assert pointed is not None
        assert found == pointed.document
        assert found is not None
        assert found.title == "x" * 2_000

    async def test_content_with_more_names_than_an_item_holds_is_told(self, registry: DocumentRegistry) -> None:
        table = registry._table  # type: ignore[attr-defined]
        await publish(registry, A, "one.txt")
        key = Key(f"DOCUMENT#red#{A}", "DOCUMENT")
        item = await table.get(key)
        names = [{"filename": f"{number:0250}.txt", "link": "x" * 32} for number in range(950)]
        await table.write(Write(key, {**item, "names": names}))

        with pytest.raises(StorageFull, match="has 950 file names already"):
            await registry.point("red", "two.txt", A)

    async def test_names_and_tenants_of_any_length_are_kept_apart(self, registry: DocumentRegistry) -> None:
        name = "ま" * 251 + ".txt"
        for tenant in ("t" * 5_000, "t" * 5_001):
            await registry.publish(document(A, tenant=tenant, indexed_filename=name), name)

            found = await registry.get(tenant, A)
            assert found is not None
            assert (found.tenant, found.filenames) == (tenant, (name,))
            assert await registry.count(tenant) == DocumentTotals(1, 100)


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
