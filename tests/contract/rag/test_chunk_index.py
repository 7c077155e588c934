"""The behaviour of an index of chunks, on the fake and on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from services.rag.adapters.pgvector_index import MIGRATIONS, SCHEMA, PgvectorIndex
from services.rag.errors import ChunkStoreUnavailable
from services.rag.models import EmbeddingModel
from services.rag.ports import ChunkIndex
from services.storage.postgres import open_store
from tests.contract.rag.chunk_index_contract import ChunkIndexContract
from tests.contract.rag.indexed_chunks import EAST, GUIDE, MODEL, OpenIndex, indexed, write
from tests.fakes.rag import ChunkShelf, FakeChunkIndex


class TestFakeChunkIndex(ChunkIndexContract):
    @pytest.fixture
    def open_index(self) -> OpenIndex:
        shelf = ChunkShelf()

        def open_for(model: EmbeddingModel) -> ChunkIndex:
            return FakeChunkIndex(shelf, model)

        return open_for


class TestPgvectorIndex(ChunkIndexContract):
    @pytest.fixture
    async def open_index(self, store_url: str) -> AsyncIterator[OpenIndex]:
        async with open_store(store_url, schema=SCHEMA, migrations=MIGRATIONS, max_connections=4) as pool:

            def open_for(model: EmbeddingModel) -> ChunkIndex:
                return PgvectorIndex(pool, model)

            yield open_for

    async def test_chunks_outlive_the_process_that_wrote_them(self, store_url: str) -> None:
        async with open_store(store_url, schema=SCHEMA, migrations=MIGRATIONS) as pool:
            await PgvectorIndex(pool, MODEL).write(write(indexed(0, "kept", EAST)))

        async with open_store(store_url, schema=SCHEMA, migrations=MIGRATIONS) as pool:
            assert await PgvectorIndex(pool, MODEL).fingerprints("red", GUIDE) == {0: "fingerprint of kept"}

    async def test_a_store_that_cannot_be_reached_is_told_as_such(self, store_url: str) -> None:
        async with open_store(store_url, schema=SCHEMA, migrations=MIGRATIONS) as pool:
            index = PgvectorIndex(pool, MODEL)
            await pool.close()

            with pytest.raises(ChunkStoreUnavailable):
                await index.statistics("red")
            assert await index.check() is False
