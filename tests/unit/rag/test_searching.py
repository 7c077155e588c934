"""What a search looks for, and in which order it gives what it found."""

from services.rag.indexing import Indexing
from services.rag.models import Chunk, ChunkId, FoundChunk, IndexQuery, Retrieved, TermCounts
from services.rag.searching import Searching, fuse
from tests.fakes.rag import FakeChunkIndex, FakeEmbedder

GUIDE = "documents/" + "a" * 64


class WatchedIndex(FakeChunkIndex):
    """Keeps what its searches gave."""

    def __init__(self) -> None:
        super().__init__()
        self.retrieved: list[Retrieved] = []

    async def search(self, query: IndexQuery) -> Retrieved:
        self.retrieved.append(await super().search(query))
        return self.retrieved[-1]


def found(index: int, similarity: float) -> FoundChunk:
    return FoundChunk(GUIDE, "guide.md", Chunk(index, "text", 0, 4, None), similarity)


def test_of_chunks_that_swap_their_ranks_the_nearer_in_meaning_comes_first() -> None:
    far, near = found(0, 0.3), found(1, 0.4)
    retrieved = Retrieved(
        {far.id: far, near.id: near},
        by_meaning=(near.id, far.id),
        by_words=(far.id, near.id),
        counts=TermCounts(2, {}),
    )

    assert [scored.found for scored in fuse(retrieved)] == [near, far]


async def test_the_word_that_asks_is_not_looked_for() -> None:
    index, embedder = WatchedIndex(), FakeEmbedder()
    texts = ("This page explains itself.", "Ferries sail at nine.")
    chunks = [Chunk(place, text, 0, len(text), None) for place, text in enumerate(texts)]
    await Indexing(index, embedder).index("red", GUIDE, "guide.md", chunks, len(chunks))

    await Searching(index, embedder).find("red", "explain the ferries", limit=5)

    [retrieved] = index.retrieved
    assert retrieved.by_words == (ChunkId(GUIDE, 1),)
