"""Chunks as they are cut, under the headers they are embedded with: the model reads every word of both."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.adapters.wordpiece_tokens import WordPieceTokens
from services.ingest.chunking import Chunker
from services.ingest.composing import Piece, compose
from services.ingest.models import BlockKind, EmbeddingLimits
from services.rag.adapters.minilm_embedder import MiniLmEmbedder
from services.rag.indexing import Indexing
from services.rag.models import Chunk, DocumentFacts, Embedding
from tests.fakes.rag import FakeChunkIndex

DOCUMENT = "documents/" + "d" * 64

texts = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)
    | st.sampled_from(["word", "Sentence.", "日本語の文章です。", "x" * 300, "1,234.56", "naïveté", "İstanbul"]),
    min_size=1,
    max_size=150,
).map(" ".join)
pieces = st.lists(
    st.builds(Piece, st.sampled_from([BlockKind.PARAGRAPH, BlockKind.ROW]), texts)
    | st.builds(Piece, st.just(BlockKind.HEADING), texts.map(lambda text: text[:80]), st.integers(1, 4)),
    min_size=1,
    max_size=6,
)


class Tokenizing(MiniLmEmbedder):
    """The model's own tokenizer, and instead of its embeddings a note of what was to be embedded."""

    def __init__(self) -> None:
        super().__init__(threads=1)
        self.read: list[str] = []

    async def embed_passages(self, texts: Sequence[str]) -> list[Embedding]:
        self.read += texts
        return [(1.0,) + (0.0,) * (self.model.dimension - 1)] * len(texts)


@pytest.fixture(scope="module")
def embedder() -> Iterator[Tokenizing]:
    embedder = Tokenizing()
    yield embedder
    embedder.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=pieces, title=texts.map(lambda text: text[:300]))
async def test_every_passage_with_its_header_is_within_what_the_model_reads(
    found: list[Piece], title: str, embedder: Tokenizing
) -> None:
    limits = EmbeddingLimits(embedder.model.name, embedder.max_tokens)
    document = compose([*found, Piece(BlockKind.PARAGRAPH, "the end")])
    chunks = Chunker(WordPieceTokens(), overlap_tokens=50).within(limits).chunk(document)
    given_chunks = [Chunk(each.index, each.text, each.start, each.end, each.page, each.headings) for each in chunks]
    embedder.read.clear()

    for first in range(0, len(chunks), 256):
        part = given_chunks[first : first + 256]
        await Indexing(FakeChunkIndex(model=embedder.model), embedder).index(
            "red", DOCUMENT, "a.txt", part, len(chunks), DocumentFacts(title)
        )

    assert [text.endswith(chunk.text) for text, chunk in zip(embedder.read, chunks, strict=True)] == [True] * len(
        chunks
    )
    assert max(await embedder.count_tokens(embedder.read)) <= embedder.max_tokens
