"""What indexing embeds, keeps and gives up on."""

from dataclasses import replace

import pytest

from services.rag.embedding_cache import CachedEmbedder
from services.rag.errors import ChunkInvalid, ChunkStoreUnavailable, EmbedderUnavailable, FactsInvalid, NameInvalid
from services.rag.indexing import Indexing
from services.rag.models import Chunk, DeleteOutcome, DocumentFacts, DocumentWrite, IndexOutcome, WriteOutcome
from tests.fakes.cache import FakeEmbeddingCache
from tests.fakes.rag import FakeChunkIndex, FakeEmbedder

GUIDE = "documents/" + "a" * 64


def chunk(index: int, text: str, **fields: object) -> Chunk:
    return replace(Chunk(index, text, 0, len(text)), **fields)  # type: ignore[arg-type]


class MeddledIndex(FakeChunkIndex):
    """An index whose document somebody else deletes just before each of the first writes."""

    def __init__(self, meddlings: int) -> None:
        super().__init__()
        self.meddlings = meddlings

    async def write(self, write: DocumentWrite) -> WriteOutcome:
        if self.meddlings:
            self.meddlings -= 1
            await self.delete(write.tenant, write.document)
        return await super().write(write)


async def test_only_new_and_changed_chunks_are_embedded() -> None:
    index, embedder = FakeChunkIndex(), FakeEmbedder()
    indexing = Indexing(index, embedder)
    await indexing.index("red", GUIDE, "a.md", [chunk(0, "one"), chunk(1, "two")], 2)
    embedder.embedded.clear()

    outcome = await indexing.index("red", GUIDE, "a.md", [chunk(0, "one"), chunk(1, "2nd"), chunk(2, "three")], 3)

    assert outcome == IndexOutcome(indexed_count=2, unchanged_count=1, removed_count=0)
    assert embedder.embedded == ["2nd", "three"]


async def test_a_chunk_is_embedded_under_the_title_and_its_headings_and_shown_without() -> None:
    index, embedder = FakeChunkIndex(), FakeEmbedder()
    given = chunk(0, "26 days a year.", headings=("Guide", "Time off"))

    await Indexing(index, embedder).index("red", GUIDE, "a.md", [given], 1, DocumentFacts("Staff\nhandbook"))

    assert embedder.embedded == ["Staff handbook > Guide > Time off\n26 days a year."]
    assert index.writes[0].chunks[0].chunk.text == "26 days a year."


async def test_words_that_a_chunk_says_itself_are_not_put_over_it_again() -> None:
    embedder = FakeEmbedder()
    given = chunk(0, "Time off\n\n26 days a year.", headings=("Guide", "Time off"))

    await Indexing(FakeChunkIndex(), embedder).index("red", GUIDE, "a.md", [given], 1, DocumentFacts("Guide"))

    assert embedder.embedded == ["Guide\nTime off\n\n26 days a year."]


@pytest.mark.parametrize(
    ("max_tokens", "header"),
    [(48, "One two > Three four > Five six"), (24, "One two > Five six"), (16, "Five six"), (4, "")],
)
async def test_a_header_takes_a_quarter_of_what_the_model_reads_at_most(max_tokens: int, header: str) -> None:
    embedder = FakeEmbedder(max_tokens=max_tokens)
    given = chunk(0, "text", headings=("Three four", "Five six"))

    await Indexing(FakeChunkIndex(), embedder).index("red", GUIDE, "a.md", [given], 1, DocumentFacts("One two"))

    assert embedder.embedded == [f"{header}\ntext" if header else "text"]


async def test_another_title_has_chunks_embedded_anew_and_the_same_one_not() -> None:
    index, embedder = FakeChunkIndex(), FakeEmbedder()
    indexing = Indexing(index, embedder)

    async def indexed_count(title: str) -> int:
        return (await indexing.index("red", GUIDE, "a.md", [chunk(0, "one")], 1, DocumentFacts(title))).indexed_count

    assert [await indexed_count(title) for title in ("Old", "Old", "New")] == [1, 0, 1]


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        (DocumentFacts(title="x" * 301), "facts.title"),
        (DocumentFacts(title="a\0b"), "facts.title"),
        (DocumentFacts(extension="tar.gz"), "facts.extension"),
        (DocumentFacts(tags=("ok", " ")), "facts.tags[1]"),
        (DocumentFacts(tags=("x" * 51,)), "facts.tags[0]"),
        (DocumentFacts(tags=tuple(map(str, range(51)))), "facts.tags"),
    ],
)
async def test_facts_that_are_not_kept_are_refused_before_anything_is_stored(facts: DocumentFacts, field: str) -> None:
    index = FakeChunkIndex()

    with pytest.raises(FactsInvalid) as caught:
        await Indexing(index, FakeEmbedder()).index("red", GUIDE, "a.md", [chunk(0, "one")], 1, facts)

    assert (caught.value.field, index.writes) == (field, [])


async def test_facts_are_stored_with_each_tag_once_and_the_kind_in_small_letters() -> None:
    index = FakeChunkIndex()

    await Indexing(index, FakeEmbedder()).index(
        "red", GUIDE, "a.md", [chunk(0, "one")], 1, DocumentFacts("T", "PDF", ("b", "a", "b"))
    )

    assert index.writes[0].facts == DocumentFacts("T", "pdf", ("b", "a"))


async def test_a_heading_that_would_not_fit_is_left_out_and_the_chunk_still_stored() -> None:
    index, embedder = FakeChunkIndex(), FakeEmbedder(max_tokens=3)

    await Indexing(index, embedder).index("red", GUIDE, "a.md", [chunk(0, "one two three", headings=("Four",))], 1)

    assert embedder.embedded == ["one two three"]
    assert (await index.statistics("red")).chunk_count == 1


async def test_words_of_all_headings_find_a_chunk() -> None:
    index = FakeChunkIndex()

    await Indexing(index, FakeEmbedder()).index(
        "red", GUIDE, "a.md", [chunk(0, "26 days.", headings=("Handbook", "Vacation"))], 1
    )

    [written] = index.writes[0].chunks
    assert {"handbook", "vacat", "26", "day"} <= set(written.terms)


async def test_a_document_deleted_meanwhile_is_stored_whole_again() -> None:
    index, embedder = MeddledIndex(0), FakeEmbedder()
    indexing = Indexing(index, embedder)
    await indexing.index("red", GUIDE, "a.md", [chunk(0, "one"), chunk(1, "two")], 2)
    index.meddlings = 1

    outcome = await indexing.index("red", GUIDE, "a.md", [chunk(0, "one"), chunk(1, "2nd")], 2)

    assert outcome == IndexOutcome(indexed_count=2, unchanged_count=0, removed_count=0)
    assert sorted(await index.fingerprints("red", GUIDE)) == [0, 1]


async def test_a_chunk_too_long_for_the_model_is_refused_before_anything_is_stored() -> None:
    index, embedder = FakeChunkIndex(), FakeEmbedder(max_tokens=3)

    with pytest.raises(ChunkInvalid) as caught:
        await Indexing(index, embedder).index("red", GUIDE, "a.md", [chunk(0, "one"), chunk(1, "1 2 3 4")], 2)

    assert caught.value.field == "chunks[1].text"
    assert (index.writes, embedder.embedded) == ([], [])


async def test_an_embedder_that_is_away_stores_nothing() -> None:
    index, embedder = FakeChunkIndex(), FakeEmbedder()
    embedder.failing = True

    with pytest.raises(EmbedderUnavailable):
        await Indexing(index, embedder).index("red", GUIDE, "a.md", [chunk(0, "one")], 1)

    assert index.writes == []


async def test_a_store_that_is_away_is_told() -> None:
    index = FakeChunkIndex()
    index.failing = ChunkStoreUnavailable("away")

    with pytest.raises(ChunkStoreUnavailable):
        await Indexing(index, FakeEmbedder()).index("red", GUIDE, "a.md", [chunk(0, "one")], 1)


async def test_a_removal_forgets_cached_embeddings_of_the_passages_and_tells_what_was_there() -> None:
    index, embedder, cache = FakeChunkIndex(), FakeEmbedder(), FakeEmbeddingCache()
    cached = CachedEmbedder(embedder, cache)
    indexing = Indexing(index, cached, cached)
    headed = chunk(0, "26 days a year.", headings=("Guide", "Time off"))
    await indexing.index("red", GUIDE, "a.md", [headed, chunk(1, "two")], 2)
    await cached.embed_queries(["two"])

    outcome = await indexing.delete("red", GUIDE)

    assert outcome == DeleteOutcome(removed_count=2, forgotten_count=2, remaining_count=0)
    assert [(side, text) for _, side, text in cache.embeddings] == [("query", "two")]
    assert await indexing.delete("red", GUIDE) == DeleteOutcome(0, 0, 0)


async def test_a_successor_is_named_like_a_document() -> None:
    with pytest.raises(NameInvalid):
        await Indexing(FakeChunkIndex(), FakeEmbedder()).delete("red", GUIDE, "notes.txt")
