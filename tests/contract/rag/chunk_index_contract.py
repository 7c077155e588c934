"""What every index of chunks does, whatever keeps it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import ClassVar

import pytest

from services.rag.errors import EmbeddingModelMismatch
from services.rag.models import (
    Chunk,
    ChunkId,
    DocumentFacts,
    DocumentWrite,
    IndexedChunk,
    IndexStatistics,
    Retrieved,
    TableRange,
)
from services.rag.ports import ChunkIndex
from tests.contract.rag.chunk_filters_contract import ChunkFiltersContract
from tests.contract.rag.indexed_chunks import (
    EAST,
    FLAT_MODEL,
    GUIDE,
    MODEL,
    NORTH,
    NORTH_EAST,
    NOTES,
    OTHER_MODEL,
    UP,
    OpenIndex,
    indexed,
    search,
    write,
)


class ChunkIndexContract(ChunkFiltersContract):
    # What the port leaves to an index; only one that says so here is let off.
    finds_by_words: ClassVar[bool] = True
    counts_words: ClassVar[bool] = True
    takes_any_dimension: ClassVar[bool] = True
    holds_back: ClassVar[bool] = True

    def words(self, *expected: ChunkId) -> tuple[ChunkId, ...]:
        """What the leg of words finds; nothing in an index that has none."""
        return expected if self.finds_by_words else ()

    @pytest.fixture
    def open_index(self) -> OpenIndex:
        """Opens the same, at first empty, index for a model; overridden per adapter."""
        raise AssertionError("a subclass gives the index")

    @pytest.fixture
    def index(self, open_index: OpenIndex) -> ChunkIndex:
        return open_index(MODEL)

    async def test_a_chunk_comes_back_as_it_was_written(self, index: ChunkIndex) -> None:
        given = indexed(0, "ferry  leaves\nat 9", EAST, headings=("Ferry", "Times"), page=3)

        await index.write(write(given, filename="Fähre 'x'.md"))

        found = await search(index)
        [chunk] = found.chunks.values()
        assert chunk.chunk == given.chunk
        assert (chunk.document, chunk.filename) == (GUIDE, "Fähre 'x'.md")
        assert chunk.similarity == pytest.approx(1, abs=1e-6)

    async def test_a_chunk_of_rows_keeps_its_place_in_its_table(self, index: ChunkIndex) -> None:
        text, place = indexed(0, "Port: Salt Quay", EAST), TableRange(2, 10, 14)
        given = replace(text, chunk=replace(text.chunk, table=place))
        await index.write(write(replace(text, chunk=replace(text.chunk, table=TableRange(2, 10, 13)))))

        await index.write(write(replace(given, embedding=None)))

        [found] = (await search(index)).chunks.values()
        assert found.chunk == given.chunk

    async def test_facts_of_a_document_are_taken_with_its_chunks_and_without(self, index: ChunkIndex) -> None:
        came = datetime(2026, 3, 1, 12, tzinfo=UTC)
        given = indexed(0, "ferry", EAST)
        await index.write(write(given, facts=DocumentFacts("Ferry guide", "md", ("travel", "Fähre"), came)))
        await index.write(write(facts=DocumentFacts("Guide", "md", (), came), chunk_count=1))
        await index.write(write(replace(given, embedding=None), filename="new.md"))

        [found] = (await search(index)).chunks.values()

        assert (found.chunk, found.filename) == (given.chunk, "new.md")

    async def test_the_leg_of_meaning_is_ordered_by_cosine_similarity(self, index: ChunkIndex) -> None:
        await index.write(write(indexed(0, "up", UP), indexed(1, "between", NORTH_EAST), indexed(2, "east", EAST)))

        found = await search(index, EAST)

        assert found.by_meaning == (ChunkId(GUIDE, 2), ChunkId(GUIDE, 1), ChunkId(GUIDE, 0))
        similarities = [found.chunks[chunk].similarity for chunk in found.by_meaning]
        assert similarities == pytest.approx([1, 0.8, 0], abs=1e-6)

    async def test_opposite_meanings_have_a_negative_similarity(self, index: ChunkIndex) -> None:
        await index.write(write(indexed(0, "west", (-1.0, 0.0, 0.0))))

        found = await search(index, EAST)

        assert found.chunks[ChunkId(GUIDE, 0)].similarity == pytest.approx(-1, abs=1e-6)

    async def test_equal_chunks_come_in_the_order_of_their_ids(self, index: ChunkIndex) -> None:
        await index.write(write(indexed(1, "x", EAST), indexed(0, "x", EAST), chunk_count=2, document=NOTES))
        await index.write(write(indexed(0, "x", EAST)))

        found = await search(index, EAST, ["x"])

        expected = (ChunkId(GUIDE, 0), ChunkId(NOTES, 0), ChunkId(NOTES, 1))
        assert found.by_meaning == expected
        assert found.by_words == self.words(*expected)

    async def test_the_leg_of_words_finds_only_chunks_with_a_term_and_prefers_rare_terms(
        self, index: ChunkIndex
    ) -> None:
        await index.write(
            write(
                indexed(0, "ferry ferry harbour", UP),
                indexed(1, "ferry kettle", UP),
                indexed(2, "moss grows", UP),
                indexed(3, "ferry times", UP),
            )
        )

        found = await search(index, EAST, ["ferry", "kettle"])

        assert found.by_words[:1] == self.words(ChunkId(GUIDE, 1))
        assert set(found.by_words) == set(self.words(ChunkId(GUIDE, 0), ChunkId(GUIDE, 1), ChunkId(GUIDE, 3)))
        assert set(found.chunks) == set(found.by_meaning) | set(found.by_words)

    async def test_a_repeated_term_and_a_shorter_chunk_rank_higher(self, index: ChunkIndex) -> None:
        await index.write(
            write(
                indexed(0, "moss and many other green plants of the forest", UP),
                indexed(1, "moss plants", UP),
                indexed(2, "moss moss", UP),
            )
        )

        found = await search(index, EAST, ["moss"])

        assert found.by_words == self.words(ChunkId(GUIDE, 2), ChunkId(GUIDE, 1), ChunkId(GUIDE, 0))

    async def test_counts_tell_how_many_of_the_tenants_chunks_hold_a_term(self, index: ChunkIndex) -> None:
        await index.write(write(indexed(0, "ferry times", UP), indexed(1, "ferry fares", UP)))
        await index.write(write(indexed(0, "moss", UP), document=NOTES))
        await index.write(write(indexed(0, "ferry", UP), tenant="blue"))

        counts = (await search(index, EAST, ["ferry", "times", "absent"], documents=(NOTES,))).counts

        assert counts.chunk_count == 3
        expected = {"ferry": 2, "times": 1} if self.counts_words else {}
        assert {term: count for term, count in counts.containing.items() if count} == expected

    async def test_each_leg_gives_at_most_limit_chunks(self, index: ChunkIndex) -> None:
        await index.write(write(*(indexed(place, f"ferry {place}", EAST) for place in range(5))))

        found = await search(index, EAST, ["ferry"], limit=2)

        assert len(found.by_meaning) == 2
        assert len(found.by_words) == (2 if self.finds_by_words else 0)

    async def test_search_can_be_narrowed_to_documents(self, index: ChunkIndex) -> None:
        await index.write(write(indexed(0, "ferry", EAST)))
        await index.write(write(indexed(0, "ferry", NORTH), document=NOTES))

        found = await search(index, EAST, ["ferry"], documents=(NOTES, "documents/" + "0" * 64))

        assert found.by_meaning == (ChunkId(NOTES, 0),)
        assert found.by_words == self.words(ChunkId(NOTES, 0))

    async def test_an_empty_index_finds_nothing(self, index: ChunkIndex) -> None:
        found = await search(index, EAST, ["ferry"])

        assert (found.by_meaning, found.by_words, found.counts.chunk_count) == ((), (), 0)

    async def test_tenants_see_and_change_only_their_own_chunks(self, index: ChunkIndex) -> None:
        await index.write(write(indexed(0, "ferry", EAST), tenant="red"))
        await index.write(write(indexed(0, "ferry ours", EAST), tenant="blue", filename="blue.md"))

        removed = await index.delete("red", GUIDE)

        assert removed == 1
        assert (await search(index, EAST, ["ferry"], tenant="red")).chunks == {}
        [blue] = (await search(index, EAST, ["ferry"], tenant="blue")).chunks.values()
        assert blue.chunk.text == "ferry ours"
        assert await index.fingerprints("red", GUIDE) == {}
        assert await index.statistics("blue") == IndexStatistics(1, 1)

    async def test_a_changed_chunk_replaces_its_predecessor_in_both_legs(self, index: ChunkIndex) -> None:
        await index.write(write(indexed(0, "old words", EAST)))

        await index.write(write(indexed(0, "new words", UP)))

        found = await search(index, UP, ["old", "new"])
        assert [chunk.chunk.text for chunk in found.chunks.values()] == ["new words"]
        assert found.chunks[ChunkId(GUIDE, 0)].similarity == pytest.approx(1, abs=1e-6)
        assert found.by_words == self.words(ChunkId(GUIDE, 0))
        assert "old" not in {term for term, count in found.counts.containing.items() if count}

    async def test_fingerprints_tell_what_is_stored(self, index: ChunkIndex) -> None:
        await index.write(write(indexed(0, "one", EAST), indexed(1, "two", UP)))

        assert await index.fingerprints("red", GUIDE) == {0: "fingerprint of one", 1: "fingerprint of two"}
        assert await index.fingerprints("red", NOTES) == {}

    async def test_a_chunk_without_an_embedding_keeps_the_stored_one_and_takes_its_new_place(
        self, index: ChunkIndex
    ) -> None:
        await index.write(write(indexed(0, "same", EAST, page=1)))

        outcome = await index.write(write(indexed(0, "same", None, page=2, headings=("Moved",))))

        assert outcome.missing == frozenset()
        [found] = (await search(index, EAST)).chunks.values()
        assert (found.chunk.page, found.chunk.headings) == (2, ("Moved",))
        assert found.similarity == pytest.approx(1, abs=1e-6)

    async def test_a_write_that_counts_on_an_embedding_that_is_gone_changes_nothing_and_says_which(
        self, index: ChunkIndex
    ) -> None:
        await index.write(write(indexed(0, "stays", EAST), filename="before.md"))

        outcome = await index.write(
            write(
                indexed(0, "stays", None),
                indexed(1, "never stored", None),
                indexed(2, "new", UP),
                filename="after.md",
                chunk_count=3,
            )
        )

        assert outcome.missing == frozenset({1})
        [found] = (await search(index)).chunks.values()
        assert found.filename == "before.md"

    async def test_stale_chunks_are_removed_and_counted(self, index: ChunkIndex) -> None:
        await index.write(write(*(indexed(place, f"part {place}", EAST) for place in range(4))))

        outcome = await index.write(write(indexed(0, "part 0", None), chunk_count=2))

        assert outcome.removed_count == 2
        assert sorted(await index.fingerprints("red", GUIDE)) == [0, 1]
        assert await index.statistics("red") == IndexStatistics(1, 2)

    async def test_a_write_without_chunks_renames_the_document(self, index: ChunkIndex) -> None:
        await index.write(write(indexed(0, "text", EAST), filename="old.md"))

        await index.write(write(filename="new.md", chunk_count=1))

        [found] = (await search(index)).chunks.values()
        assert found.filename == "new.md"

    async def test_a_document_with_a_name_but_no_chunks_is_not_counted(self, index: ChunkIndex) -> None:
        await index.write(write(filename="planned.md", chunk_count=3))

        assert await index.statistics("red") == IndexStatistics(0, 0)
        assert await index.delete("red", GUIDE) == 0

    async def test_deleting_tells_how_many_chunks_there_were(self, index: ChunkIndex) -> None:
        await index.write(write(indexed(0, "one", EAST), indexed(1, "two", UP)))

        assert await index.delete("red", GUIDE) == 2
        assert await index.delete("red", GUIDE) == 0
        assert (await search(index, EAST, ["one"])).chunks == {}

    async def test_another_model_is_refused_until_the_index_is_empty_again(self, open_index: OpenIndex) -> None:
        ours, theirs = open_index(MODEL), open_index(OTHER_MODEL)
        await ours.write(write(indexed(0, "text", EAST)))

        with pytest.raises(EmbeddingModelMismatch, match="three-axes"):
            await theirs.write(write(indexed(0, "text", EAST), document=NOTES))
        with pytest.raises(EmbeddingModelMismatch, match="three-other-axes"):
            await search(theirs, EAST, ["text"])

        assert await ours.delete("red", GUIDE) == 1
        await theirs.write(write(indexed(0, "text", EAST)))
        assert (await search(theirs, EAST)).by_meaning == (ChunkId(GUIDE, 0),)
        with pytest.raises(EmbeddingModelMismatch, match="three-other-axes"):
            await search(ours)

    async def test_a_model_of_another_dimension_is_refused_until_the_index_is_empty_again(
        self, open_index: OpenIndex
    ) -> None:
        if not self.takes_any_dimension:
            return  # its dimension is fixed for good; a service with another one does not start
        ours, theirs = open_index(MODEL), open_index(FLAT_MODEL)
        await ours.write(write(indexed(0, "text", EAST)))

        with pytest.raises(EmbeddingModelMismatch, match="three-axes"):
            await theirs.write(write(indexed(0, "text", (1.0, 0.0)), document=NOTES))
        with pytest.raises(EmbeddingModelMismatch, match="two-axes"):
            await search(theirs, (1.0, 0.0), ["text"])

        assert await ours.delete("red", GUIDE) == 1
        await theirs.write(write(indexed(0, "text", (1.0, 0.0))))
        assert (await search(theirs, (1.0, 0.0))).by_meaning == (ChunkId(GUIDE, 0),)

    async def test_simultaneous_writes_of_one_document_leave_one_whole_version(self, index: ChunkIndex) -> None:
        def version(name: str, count: int) -> DocumentWrite:
            chunks = [indexed(place, f"{name} {place}", EAST) for place in range(count)]
            return write(*chunks, filename=f"{name}.md")

        await asyncio.gather(*(index.write(version(name, 2 + place)) for place, name in enumerate("abcdef")))

        found = await search(index, EAST, list("abcdef"))
        assert len({chunk.filename for chunk in found.chunks.values()}) == 1
        statistics = await index.statistics("red")
        assert statistics.chunk_count == len(await index.fingerprints("red", GUIDE)) == len(found.by_meaning)
        assert set(found.by_words) == set(self.words(*found.by_meaning))

    async def test_simultaneous_writes_and_deletes_leave_all_of_a_document_or_nothing(self, index: ChunkIndex) -> None:
        chunks = [indexed(place, f"part {place}", EAST) for place in range(5)]

        await asyncio.gather(
            *(index.write(write(*chunks)) if turn % 2 else index.delete("red", GUIDE) for turn in range(12))
        )

        found = await search(index, EAST, ["part"])
        assert len(found.by_meaning) in (0, 5)
        assert (await index.statistics("red")).chunk_count == len(found.by_meaning)
        assert set(found.by_words) == set(self.words(*found.by_meaning))

    async def test_held_back_chunks_are_found_when_they_are_shown_and_not_before(self, index: ChunkIndex) -> None:
        await index.write(write(indexed(0, "ferry at nine", EAST), chunk_count=2, held_back=True))
        await index.write(write(indexed(1, "ferry at ten", NORTH), chunk_count=2, held_back=True))
        before = await search(index, EAST, ["ferry"])

        await index.show("red", GUIDE)
        await index.show("red", GUIDE)

        both = (ChunkId(GUIDE, 0), ChunkId(GUIDE, 1))
        found = await search(index, EAST, ["ferry"])
        assert before.by_meaning == (() if self.holds_back else both)
        assert before.by_words == (() if self.holds_back else self.words(*both))
        assert set(found.by_meaning) == set(both)
        assert set(found.by_words) == set(self.words(*both))
        assert await index.count("red", GUIDE) == 2

    async def test_what_is_shown_already_is_not_held_back_again(self, index: ChunkIndex) -> None:
        await index.write(write(indexed(0, "ferry at nine", EAST)))
        await index.write(write(indexed(0, "ferry at ten", EAST), held_back=True))

        assert (await search(index, EAST)).by_meaning == (ChunkId(GUIDE, 0),)

    async def test_a_successor_is_shown_as_its_predecessor_goes(self, index: ChunkIndex) -> None:
        await index.write(write(indexed(0, "ferry at nine", EAST)))
        await index.write(write(indexed(0, "ferry at ten", EAST), document=NOTES, held_back=True))

        assert await index.delete("red", GUIDE, successor=NOTES) == 1

        found = await search(index, EAST, ["ferry"])
        assert found.by_meaning == (ChunkId(NOTES, 0),)
        assert found.by_words == self.words(ChunkId(NOTES, 0))
        assert (await index.count("red", GUIDE), await index.count("red", NOTES)) == (0, 1)

    async def test_a_search_during_the_change_finds_one_of_both_in_all_its_legs(self, index: ChunkIndex) -> None:
        if not self.holds_back:
            return
        documents = [f"documents/{number:064x}" for number in range(12)]
        await index.write(write(indexed(0, "ferry at nine", EAST), document=documents[0]))
        for document in documents[1:]:
            await index.write(write(indexed(0, "ferry at ten", EAST), document=document, held_back=True))
        found: list[Retrieved] = []

        async def look() -> None:
            while len(found) < 200 and (not found or found[-1].by_meaning != (ChunkId(documents[-1], 0),)):
                found.append(await search(index, EAST, ["ferry"]))

        async def change() -> None:
            for old, new in pairwise(documents):
                await index.delete("red", old, successor=new)

        await asyncio.gather(look(), look(), change())

        assert all(len(each.by_meaning) == 1 and each.by_words == each.by_meaning for each in found)

    async def test_strange_words_are_stored_and_found(self, index: ChunkIndex) -> None:
        words = ["北京", "naïve\\n", "tab\tless", "'; DROP TABLE chunks; --", "%(tenant)s", "{curly}"]
        terms = dict.fromkeys(words, 1)
        given = IndexedChunk(Chunk(0, "\\N \\. {x} %s \t\r\n 🦊", 0, 13), "mark", terms, EAST)

        await index.write(write(given))

        found = await search(index, EAST, words)
        assert found.by_words == self.words(ChunkId(GUIDE, 0))
        assert found.chunks[ChunkId(GUIDE, 0)].chunk == given.chunk
        assert found.counts.containing == (dict.fromkeys(words, 1) if self.counts_words else {})

    async def test_check_says_that_the_index_can_be_reached(self, index: ChunkIndex) -> None:
        assert await index.check() is True
