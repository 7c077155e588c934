"""What every index of chunks does for this service, wherever it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from services.ingest.errors import IndexRefused, IndexUnavailable
from services.ingest.models import Chunk, DocumentFacts
from services.ingest.ports import ChunkIndexer

DOCUMENT = "a" * 64


@dataclass
class Index:
    """An index, what it holds for a document, and ways to put it out of order."""

    indexer: ChunkIndexer
    texts: Callable[[], Mapping[int, str]]
    filename: Callable[[], str | None]
    facts: Callable[[], DocumentFacts | None]
    is_shown: Callable[[], bool]
    go_away: Callable[[], None]
    refuse: Callable[[], None]


def chunks(count: int, *, text: str = "chunk") -> list[Chunk]:
    return [
        Chunk(index, f"{text} {index}", 10 * index, 10 * index + 8, 2, 1, ("Part", "Sub")) for index in range(count)
    ]


class ChunkIndexerContract:
    @pytest.fixture
    def index(self) -> Index:
        raise AssertionError("a suite must say which index it is about")

    async def test_chunks_are_kept_under_their_numbers(self, index: Index) -> None:
        await index.indexer.index(DOCUMENT, "notes.txt", chunks(5), chunk_count=5)

        assert index.texts() == {number: f"chunk {number}" for number in range(5)}
        assert index.filename() == "notes.txt"

    async def test_progress_grows_to_the_number_of_chunks(self, index: Index) -> None:
        told: list[int] = []

        async def tell(done: int) -> None:
            told.append(done)

        await index.indexer.index(DOCUMENT, "notes.txt", chunks(5), chunk_count=5, progress=tell)

        assert told == sorted(set(told))
        assert told[-1] == 5
        assert len(told) > 1

    async def test_fewer_chunks_leave_none_of_the_former_behind(self, index: Index) -> None:
        await index.indexer.index(DOCUMENT, "notes.txt", chunks(5), chunk_count=5)
        await index.indexer.index(DOCUMENT, "notes.txt", chunks(2, text="new"), chunk_count=2)

        assert index.texts() == {0: "new 0", 1: "new 1"}

    async def test_without_chunks_only_the_name_changes(self, index: Index) -> None:
        await index.indexer.index(DOCUMENT, "old.txt", chunks(3), chunk_count=3)
        await index.indexer.index(DOCUMENT, "new.txt", (), chunk_count=3)

        assert len(index.texts()) == 3
        assert index.filename() == "new.txt"

    async def test_facts_are_told_with_every_batch_and_kept_by_a_call_without_them(self, index: Index) -> None:
        facts = DocumentFacts("Notes", "txt", ("a", "ü"), datetime(2026, 5, 4, 3, 2, 1, 500_000, tzinfo=UTC))

        await index.indexer.index(DOCUMENT, "notes.txt", chunks(5), chunk_count=5, facts=facts)
        await index.indexer.index(DOCUMENT, "new.txt", (), chunk_count=5)

        assert index.facts() == facts

    async def test_limits_tell_the_model_and_how_much_it_reads(self, index: Index) -> None:
        limits = await index.indexer.limits()

        assert limits.model
        assert limits.max_tokens >= 256

    async def test_delete_forgets_the_document_and_can_be_repeated(self, index: Index) -> None:
        await index.indexer.index(DOCUMENT, "notes.txt", chunks(3), chunk_count=3)

        first = await index.indexer.delete(DOCUMENT)
        again = await index.indexer.delete(DOCUMENT)

        assert index.texts() == {}
        assert (first.chunk_count, first.remaining_count) == (3, 0)
        assert (again.chunk_count, again.remaining_count) == (0, 0)

    async def test_chunks_held_back_are_shown_when_asked_for(self, index: Index) -> None:
        await index.indexer.index(DOCUMENT, "notes.txt", chunks(3), chunk_count=3, held_back=True)
        assert not index.is_shown()

        await index.indexer.show(DOCUMENT)
        await index.indexer.show(DOCUMENT)

        assert index.is_shown()

    async def test_chunks_held_back_are_shown_as_those_they_succeed_go(self, index: Index) -> None:
        await index.indexer.index("b" * 64, "notes.txt", chunks(3), chunk_count=3)
        await index.indexer.index(DOCUMENT, "notes.txt", chunks(3), chunk_count=3, held_back=True)

        await index.indexer.delete("b" * 64, successor=DOCUMENT)

        assert index.is_shown()

    async def test_an_index_that_is_away_is_worth_trying_again(self, index: Index) -> None:
        index.go_away()

        with pytest.raises(IndexUnavailable):
            await index.indexer.index(DOCUMENT, "notes.txt", chunks(1), chunk_count=1)
        with pytest.raises(IndexUnavailable):
            await index.indexer.delete(DOCUMENT)
        with pytest.raises(IndexUnavailable):
            await index.indexer.limits()

    async def test_an_index_that_refuses_is_not(self, index: Index) -> None:
        index.refuse()

        with pytest.raises(IndexRefused) as caught:
            await index.indexer.index(DOCUMENT, "notes.txt", chunks(1), chunk_count=1)
        assert caught.value.metadata == {"index_reason": "EMBEDDING_MODEL_MISMATCH"}
