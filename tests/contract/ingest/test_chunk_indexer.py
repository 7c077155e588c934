"""The behaviour of an index of chunks, on the fake and on a rag service behind a real socket."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.ingest.adapters.rag_client import MAX_BATCH_BYTES, RagChunkIndexer
from services.ingest.errors import IndexRefused, IndexUnavailable
from services.ingest.models import Chunk, EmbeddingLimits, TableRange
from services.ingest.wiring import act_for
from services.transport.channels import open_channel
from services.transport.serving import serving
from tests.contract.ingest.chunk_indexer_contract import DOCUMENT, ChunkIndexerContract, Index, chunks
from tests.fakes.ingest import FakeChunkIndexer
from tests.fakes.servicers import transport_settings
from tests.integration.ingest.rag_stand_in import RagStandIn


class TestFakeChunkIndexer(ChunkIndexerContract):
    @pytest.fixture
    def index(self) -> Index:
        indexer = FakeChunkIndexer()
        refusal = IndexRefused("no", index_reason="EMBEDDING_MODEL_MISMATCH")
        away = IndexUnavailable("away")
        key = ("red", DOCUMENT)
        return Index(
            indexer,
            texts=lambda: {number: chunk.text for number, chunk in indexer.chunks.get(key, {}).items()},
            filename=lambda: indexer.filenames.get(key),
            facts=lambda: indexer.facts.get(key),
            is_shown=lambda: DOCUMENT in indexer.shown(),
            go_away=lambda: indexer.trouble.errors.update(index=away, delete=away, limits=away),
            refuse=lambda: indexer.trouble.errors.update(index=refusal),
        )


class TestRagChunkIndexer(ChunkIndexerContract):
    @pytest.fixture
    def rag(self) -> RagStandIn:
        return RagStandIn()

    @pytest.fixture
    async def indexer(self, rag: RagStandIn) -> AsyncIterator[RagChunkIndexer]:
        settings = transport_settings()
        async with (
            serving(rag.definition(), listen="127.0.0.1:0", settings=settings) as target,
            open_channel(target, settings) as channel,
        ):
            with act_for("red"):
                yield RagChunkIndexer(channel, batch_chunks=2, timeout_seconds=5)

    @pytest.fixture
    async def index(self, rag: RagStandIn, indexer: RagChunkIndexer) -> AsyncIterator[Index]:
        key = ("red", f"documents/{DOCUMENT}")
        with act_for("red"):
            yield Index(
                indexer,
                texts=lambda: rag.texts.get(key, {}),
                filename=lambda: rag.filenames.get(key),
                facts=lambda: rag.facts.get(key),
                is_shown=lambda: key in rag.texts and key not in rag.held_back,
                go_away=lambda: setattr(rag, "away", True),
                refuse=lambda: setattr(rag, "refuses", True),
            )

    async def test_a_batch_keeps_to_its_number_of_chunks(self, rag: RagStandIn, indexer: RagChunkIndexer) -> None:
        with act_for("red"):
            await indexer.index(DOCUMENT, "notes.txt", chunks(5), chunk_count=5)

        assert [len(request.chunks) for request in rag.requests] == [2, 2, 1]

    async def test_a_batch_keeps_to_its_bytes(self, rag: RagStandIn, indexer: RagChunkIndexer) -> None:
        large = [Chunk(number, "x" * 2_000_000, 0, 2_000_000, 1) for number in range(2)]

        with act_for("red"):
            await indexer.index(DOCUMENT, "notes.txt", large, chunk_count=2)

        assert [len(request.chunks) for request in rag.requests] == [1, 1]
        assert all(request.ByteSize() < MAX_BATCH_BYTES + 1_000 for request in rag.requests)

    async def test_place_and_headings_arrive(self, rag: RagStandIn, indexer: RagChunkIndexer) -> None:
        with act_for("red"):
            await indexer.index(DOCUMENT, "notes.txt", chunks(1), chunk_count=1)

        [chunk] = rag.requests[0].chunks
        assert (chunk.page, list(chunk.headings), chunk.start, chunk.end) == (1, ["Part", "Sub"], 0, 8)
        assert not chunk.HasField("table")

    async def test_rows_of_a_table_arrive(self, rag: RagStandIn, indexer: RagChunkIndexer) -> None:
        [given] = chunks(1)

        with act_for("red"):
            await indexer.index(DOCUMENT, "n.csv", [replace(given, table=TableRange(0, 4, 6))], chunk_count=1)

        [chunk] = rag.requests[0].chunks
        assert (chunk.table.table, chunk.table.first_row, chunk.table.last_row) == (0, 4, 6)

    async def test_limits_are_asked_for_once(self, rag: RagStandIn, indexer: RagChunkIndexer) -> None:
        with act_for("red"):
            first = await indexer.limits()
            rag.away = True
            second = await indexer.limits()

        assert first == second == EmbeddingLimits("all-MiniLM-L6-v2-onnx-int8", 256)
