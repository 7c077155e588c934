"""How questions are scored without being answered."""

import pytest

from services.rag.assessing import Assessing
from services.rag.errors import QuestionInvalid
from services.rag.indexing import Indexing
from services.rag.models import Chunk
from services.rag.searching import Searching
from tests.fakes.rag import FakeChunkIndex, FakeEmbedder

GUIDE = "documents/" + "a" * 64
TEXT = "Core working hours are from 10 AM to 3 PM. Customers are sorted into four segments by what they spent."


async def assessing(embedder: FakeEmbedder, *, filename: str = "guide.md") -> Assessing:
    index = FakeChunkIndex()
    await Indexing(index, embedder).index("red", GUIDE, filename, [Chunk(0, TEXT, 0, len(TEXT))], 1)
    embedder.embedded.clear()
    return Assessing(Searching(index, embedder), embedder)


async def test_a_stated_fact_scores_above_a_mere_mention_and_that_above_nothing() -> None:
    subject = await assessing(FakeEmbedder())

    _, [stated, mentioned, foreign] = await subject.assess(
        "red", "x", ["What are the core working hours?", "How many customers do we have?", "Who composed the opera?"]
    )

    assert stated.score > 0.6
    assert mentioned.score < 0.3
    assert foreign.score < 0.3
    assert stated.document == GUIDE
    assert "guide.md" in stated.reason


async def test_question_and_parts_are_embedded_once_and_together() -> None:
    embedder = FakeEmbedder()
    subject = await assessing(embedder)

    whole, parts = await subject.assess("red", "core hours", ["core hours", "segments"])

    assert embedder.embedded == ["core hours", "segments"]
    assert parts[0] == whole


async def test_reasons_stay_short_whatever_a_file_is_called() -> None:
    subject = await assessing(FakeEmbedder(), filename="long " * 51)

    assessment, _ = await subject.assess("red", "What are the core working hours?")

    assert len(assessment.reason) <= 300


async def test_a_bad_part_is_named() -> None:
    subject = await assessing(FakeEmbedder())

    with pytest.raises(QuestionInvalid) as caught:
        await subject.assess("red", "fine", ["fine", "\n"])

    assert caught.value.field == "parts[1]"
