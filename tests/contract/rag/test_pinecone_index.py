"""The behaviour of an index of chunks in Pinecone: the real SDK against a server that speaks its wire format."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from pinecone import AsyncPinecone

from services.rag.adapters.pinecone_index import PineconeIndex
from services.rag.errors import ChunkInvalid, ChunkStoreUnavailable
from services.rag.models import Chunk, ChunkId, EmbeddingModel, IndexedChunk, IndexStatistics
from services.rag.ports import ChunkIndex
from tests.contract.rag.chunk_index_contract import ChunkIndexContract
from tests.contract.rag.indexed_chunks import EAST, GUIDE, MODEL, NORTH, NOTES, UP, OpenIndex, indexed, search, write
from tests.pinecone_server import Fault, PineconeServer


class PineconeIndexContract(ChunkIndexContract):
    counts_words: ClassVar[bool] = False
    takes_any_dimension: ClassVar[bool] = False
    holds_back: ClassVar[bool] = False
    metric: ClassVar[str]

    @pytest.fixture
    async def open_index(self, pinecone_server: PineconeServer) -> AsyncIterator[OpenIndex]:
        pinecone_server.create_index("chunks", dimension=3, metric=self.metric)
        client = AsyncPinecone(api_key=pinecone_server.api_key, host=pinecone_server.url)
        async with client, await client.index("chunks") as index:

            def open_for(model: EmbeddingModel) -> ChunkIndex:
                return PineconeIndex(index, model, hybrid=self.metric == "dotproduct", wait_seconds=5)

            yield open_for


class TestPineconeIndexOfMeaningsAndWords(PineconeIndexContract):
    metric: ClassVar[str] = "dotproduct"

    async def test_a_chunk_found_by_words_alone_has_its_similarity_too(self, index: ChunkIndex) -> None:
        await index.write(
            write(*(indexed(place, f"east {place}", EAST) for place in range(3)), indexed(3, "moss", NORTH))
        )

        found = await search(index, (0.6, 0.8, 0.0), ["moss"], limit=1)
        far = await search(index, EAST, ["moss"], limit=1)

        assert found.by_meaning == found.by_words == (ChunkId(GUIDE, 3),)
        assert far.by_words == (ChunkId(GUIDE, 3),)
        assert far.chunks[ChunkId(GUIDE, 3)].similarity == pytest.approx(0, abs=1e-6)


class TestPineconeIndexOfMeanings(PineconeIndexContract):
    metric: ClassVar[str] = "cosine"
    finds_by_words: ClassVar[bool] = False

    async def test_writing_what_is_stored_already_stores_nothing(
        self, index: ChunkIndex, pinecone_server: PineconeServer
    ) -> None:
        chunks = [indexed(place, f"part {place}", EAST) for place in range(3)]
        await index.write(write(*chunks))
        before = len([request for request in pinecone_server.requests if request.path != "/vectors/list"])

        await index.write(write(*(indexed(place, f"part {place}", None) for place in range(3))))

        after = [request for request in pinecone_server.requests if request.path != "/vectors/list"][before:]
        assert [request.path for request in after] == ["/vectors/fetch"] * 2

    async def test_a_long_document_goes_in_requests_of_a_bounded_size_and_is_listed_whole(
        self, index: ChunkIndex, pinecone_server: PineconeServer
    ) -> None:
        text = "ferry " * 5_000
        chunks = [IndexedChunk(Chunk(n, text, 0, len(text)), f"mark {n}", {"ferry": 1}, EAST) for n in range(250)]

        await index.write(write(*chunks))

        sizes = [request.size_bytes for request in pinecone_server.requests if request.path == "/vectors/upsert"]
        assert max(sizes) < 2 * 1024 * 1024
        assert len(sizes) >= 4
        assert len(await index.fingerprints("red", GUIDE)) == 250
        assert await index.delete("red", GUIDE) == 250

    async def test_a_chunk_larger_than_pinecone_keeps_is_refused_and_named(self, index: ChunkIndex) -> None:
        with pytest.raises(ChunkInvalid, match="Chunk 1 takes"):
            await index.write(write(indexed(0, "short", EAST), indexed(1, "x" * 21_000, EAST)))

        assert await index.fingerprints("red", GUIDE) == {}

    async def test_a_tenant_whose_name_is_no_name_of_a_namespace_has_one_all_the_same(self, index: ChunkIndex) -> None:
        tenants = ["grün/weiß", "a:documents", "%3A", "x" * 600, "__default__", ":model"]
        for tenant in tenants:
            await index.write(write(indexed(0, f"of {tenant[:20]}", EAST), tenant=tenant))

        for tenant in tenants:
            found = await search(index, tenant=tenant)
            assert [each.chunk.text for each in found.chunks.values()] == [f"of {tenant[:20]}"]
            assert await index.statistics(tenant) == IndexStatistics(1, 1)

    async def test_records_of_others_in_the_same_index_are_left_alone(
        self, index: ChunkIndex, pinecone_server: PineconeServer
    ) -> None:
        await index.write(write(indexed(0, "ours", EAST)))
        theirs = {"id": "theirs", "values": [1.0, 0.0, 0.0], "metadata": {"text": "no chunk"}}
        pinecone_server.indexes["chunks"].answer(
            "POST", "/vectors/upsert", {}, {"vectors": [theirs], "namespace": "red"}
        )

        found = await search(index)
        await index.delete("red", GUIDE)

        assert [chunk.chunk.text for chunk in found.chunks.values()] == ["ours"]
        assert list(pinecone_server.indexes["chunks"].namespaces["red"]) == ["theirs"]

    @pytest.mark.parametrize(
        "broken",
        [
            {"text": ["a list"]},
            {"written": "today"},
            {"chunk": "first"},
            {"page": "ii"},
            {"headings": "[["},
            {"headings": "5"},
            {"model": 7},
            {"filename": None},
        ],
        ids=str,
    )
    async def test_a_record_that_only_looks_like_a_chunk_is_no_chunk(
        self, index: ChunkIndex, pinecone_server: PineconeServer, broken: dict[str, Any]
    ) -> None:
        await index.write(write(indexed(0, "ours", EAST)))
        [ours] = pinecone_server.indexes["chunks"].namespaces["red"].values()
        theirs = replace(ours, id=ours.id.replace("#000000#", "#000001#"), metadata={**ours.metadata, **broken})
        pinecone_server.indexes["chunks"].namespaces["red"][theirs.id] = theirs

        found = await search(index)

        assert [chunk.chunk.text for chunk in found.chunks.values()] == ["ours"]


class TestLaggingReads:
    """Reads that see nothing of what was written, until the index has caught up."""

    @pytest.fixture
    async def index(self, pinecone_server: PineconeServer) -> AsyncIterator[ChunkIndex]:
        pinecone_server.create_index("chunks", dimension=3).write_delay_seconds = float("inf")
        client = AsyncPinecone(api_key=pinecone_server.api_key, host=pinecone_server.url)
        async with client, await client.index("chunks") as index:
            yield PineconeIndex(index, MODEL, hybrid=False)

    async def test_a_document_written_anew_at_once_has_one_version_in_the_end(
        self, index: ChunkIndex, pinecone_server: PineconeServer
    ) -> None:
        await index.write(write(indexed(0, "one", EAST), indexed(1, "two", UP), filename="old.md"))
        await index.write(write(indexed(0, "one", None), indexed(1, "changed", UP), filename="new.md"))
        await index.write(write(indexed(0, "one", None), filename="new.md"))

        pinecone_server.indexes["chunks"].catch_up()

        found = await search(index)
        assert [(each.chunk.text, each.filename) for each in found.chunks.values()] == [("one", "new.md")]
        assert await index.statistics("red") == IndexStatistics(1, 1)

    async def test_a_document_deleted_and_written_again_at_once_is_there_in_the_end(
        self, index: ChunkIndex, pinecone_server: PineconeServer
    ) -> None:
        await index.write(write(indexed(0, "one", EAST)))
        pinecone_server.indexes["chunks"].catch_up()
        assert await index.delete("red", GUIDE) == 1
        gone = await index.fingerprints("red", GUIDE), (await search(index)).chunks
        outcome = await index.write(write(indexed(0, "one", None)))
        await index.write(write(indexed(0, "one", EAST)))

        pinecone_server.indexes["chunks"].catch_up()

        assert gone == ({}, {})
        assert outcome.missing == {0}
        assert [each.chunk.text for each in (await search(index)).chunks.values()] == ["one"]
        assert await index.statistics("red") == IndexStatistics(1, 1)

    async def test_a_document_deleted_right_after_it_was_written_is_gone_in_the_end(
        self, index: ChunkIndex, pinecone_server: PineconeServer
    ) -> None:
        await index.write(write(indexed(0, "one", EAST), indexed(1, "two", UP)))

        assert await index.delete("red", GUIDE) == 2
        pinecone_server.indexes["chunks"].catch_up()

        assert (await search(index)).chunks == {}
        assert await index.statistics("red") == IndexStatistics(0, 0)


class TestFaults:
    """Pinecone away, busy, slow, or broken off."""

    @pytest.fixture
    async def index(self, pinecone_server: PineconeServer) -> AsyncIterator[ChunkIndex]:
        pinecone_server.create_index("chunks", dimension=3)
        client = AsyncPinecone(api_key=pinecone_server.api_key, host=pinecone_server.url)
        async with client, await client.index("chunks") as index:
            yield PineconeIndex(index, MODEL, hybrid=False, wait_seconds=1)

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(status=429, retry_after="30"),
            Fault(status=500),
            Fault(status=503),
            Fault(status=401),
            Fault(status=403),
            Fault(delay_seconds=1.5),
            Fault(cut=True),
        ],
        ids=lambda fault: f"{fault.status or ('cut' if fault.cut else 'slow')}",
    )
    async def test_every_method_tells_that_the_index_is_away_and_works_again_afterwards(
        self, index: ChunkIndex, pinecone_server: PineconeServer, fault: Fault
    ) -> None:
        await index.write(write(indexed(0, "one", EAST)))
        pinecone_server.fail(fault)

        calls = [
            index.fingerprints("red", GUIDE),
            index.write(write(indexed(0, "two", EAST), document=NOTES)),
            index.delete("red", GUIDE),
            search(index),
            index.statistics("red"),
        ]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        healthy = await index.check()
        pinecone_server.heal()

        assert [type(outcome) for outcome in outcomes] == [ChunkStoreUnavailable] * len(calls)
        assert healthy is False
        assert [each.chunk.text for each in (await search(index)).chunks.values()] == ["one"]
        assert await index.check() is True

    async def test_a_write_that_fails_midway_is_completed_by_repeating_it(
        self, index: ChunkIndex, pinecone_server: PineconeServer
    ) -> None:
        await index.write(write(*(indexed(place, f"old {place}", EAST) for place in range(3))))
        new = write(*(indexed(place, f"new {place}", UP) for place in range(2)))
        pinecone_server.fail(Fault("/vectors/delete", status=500))
        with pytest.raises(ChunkStoreUnavailable):
            await index.write(new)
        between = await search(index, UP)
        pinecone_server.heal()

        outcome = await index.write(new)

        assert {chunk: each.chunk.text for chunk, each in between.chunks.items()} == {
            ChunkId(GUIDE, 0): "new 0",
            ChunkId(GUIDE, 1): "new 1",
            ChunkId(GUIDE, 2): "old 2",
        }
        assert outcome.removed_count == 1
        assert sorted(await index.fingerprints("red", GUIDE)) == [0, 1]
        assert await index.statistics("red") == IndexStatistics(1, 2)
        texts = [each.chunk.text for each in (await search(index, UP)).chunks.values()]
        assert sorted(texts) == ["new 0", "new 1"]

    async def test_a_throttled_request_is_tried_again_within_its_time(
        self, index: ChunkIndex, pinecone_server: PineconeServer
    ) -> None:
        pinecone_server.fail(Fault("/vectors/upsert", times=1, status=429, retry_after="0.05"))

        await index.write(write(indexed(0, "one", EAST)))

        assert await index.statistics("red") == IndexStatistics(1, 1)
