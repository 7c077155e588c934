"""The behaviour of an index of chunks, on the fake and on PostgreSQL."""

from collections.abc import AsyncIterator
from math import cos, sin

import pytest

from services.rag.adapters.pgvector_index import MIGRATIONS, SCHEMA, PgvectorIndex
from services.rag.errors import ChunkStoreUnavailable
from services.rag.models import EmbeddingModel
from services.rag.ports import ChunkIndex
from services.storage.postgres import open_store
from tests.contract.rag.chunk_index_contract import ChunkIndexContract
from tests.contract.rag.indexed_chunks import EAST, GUIDE, MODEL, NORTH_EAST, OpenIndex, indexed, search, write
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

    async def test_a_search_by_sketches_finds_what_comparing_all_does(self, store_url: str) -> None:
        directions = [(cos(place), sin(place), 0.0) for place in range(60)]
        chunks = [indexed(place, f"chunk {place}", embedding) for place, embedding in enumerate(directions)]
        async with open_store(store_url, schema=SCHEMA, migrations=MIGRATIONS) as pool:
            exact, sketched = PgvectorIndex(pool, MODEL), PgvectorIndex(pool, MODEL, most_compared=59)
            await exact.write(write(*chunks))

            found = [await search(index, NORTH_EAST, limit=10) for index in (exact, sketched)]

        assert found[0] == found[1]
        assert len(found[0].by_meaning) == 10

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


class TestPgvectorIndexOfManyChunks(ChunkIndexContract):
    """As a tenant's is that has more chunks than are all compared."""

    @pytest.fixture
    async def open_index(self, store_url: str) -> AsyncIterator[OpenIndex]:
        async with open_store(store_url, schema=SCHEMA, migrations=MIGRATIONS, max_connections=4) as pool:

            def open_for(model: EmbeddingModel) -> ChunkIndex:
                return PgvectorIndex(pool, model, most_compared=0)

            yield open_for
