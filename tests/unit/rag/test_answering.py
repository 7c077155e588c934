"""What an answer keeps of what a writer gives."""

from collections.abc import AsyncIterator, Sequence

import pytest

from services.rag.answering import NOT_ANSWERED, Answering
from services.rag.errors import EmbedderUnavailable, QuestionInvalid
from services.rag.indexing import Indexing
from services.rag.models import Chunk, DraftSentence, Quote, Reading, WriterUsage
from services.rag.ports import AnswerWriter
from services.rag.searching import Searching
from tests.fakes.rag import FakeAnswerWriter, FakeChunkIndex, FakeEmbedder

GUIDE = "documents/" + "a" * 64
FERRY, MOSS = "The ferry sails at nine.", "Moss has no roots."


class ScriptedWriter:
    name = "scripted"

    def __init__(self, *parts: DraftSentence | WriterUsage) -> None:
        self.parts = parts
        self.readings: list[Reading] = []

    async def write(self, reading: Reading) -> AsyncIterator[DraftSentence | WriterUsage]:
        self.readings.append(reading)
        for part in self.parts:
            yield part


async def answering(writer: AnswerWriter, chunks: Sequence[Chunk]) -> Answering:
    index, embedder = FakeChunkIndex(), FakeEmbedder()
    if chunks:
        await Indexing(index, embedder).index("red", GUIDE, "guide.md", chunks, len(chunks))
    return Answering(Searching(index, embedder), writer)


def chunk(index: int, text: str, *, start: int, length: int | None = None, page: int | None = None) -> Chunk:
    return Chunk(index, text, start, start + (len(text) if length is None else length), page)


async def test_a_citation_tells_the_characters_of_the_document() -> None:
    writer = ScriptedWriter(DraftSentence("It sails at nine.", (Quote(0, 4, 9),)))
    subject = await answering(writer, [chunk(0, FERRY, start=500, page=7)])

    answer = await subject.answer("red", "When does the ferry sail?")

    [citation] = answer.citations
    assert (citation.quote, citation.start, citation.end, citation.page) == ("ferry", 504, 509, 7)
    assert citation.chunk.name == f"{GUIDE}/chunks/0"


async def test_a_quote_from_a_chunk_that_is_not_verbatim_is_placed_at_the_whole_chunk() -> None:
    writer = ScriptedWriter(DraftSentence("It sails at nine.", (Quote(0, 4, 9),)))
    subject = await answering(writer, [chunk(0, FERRY, start=500, length=90)])

    answer = await subject.answer("red", "When does the ferry sail?")

    assert [(citation.start, citation.end) for citation in answer.citations] == [(500, 590)]


async def test_sentences_without_a_true_quote_are_left_out() -> None:
    writer = ScriptedWriter(
        DraftSentence("Invented.", ()),
        DraftSentence("Past the end.", (Quote(0, 0, 10_000),)),
        DraftSentence("No such passage.", (Quote(9, 0, 3),)),
        DraftSentence("Backwards.", (Quote(0, 9, 4),)),
        DraftSentence("It sails at nine.", (Quote(0, 0, 10_000), Quote(0, 0, 9))),
        WriterUsage(input_tokens=10, output_tokens=5),
    )
    subject = await answering(writer, [chunk(0, FERRY, start=0)])

    answer = await subject.answer("red", "When does the ferry sail?")

    assert answer.text == "It sails at nine."
    assert [citation.sentence_index for citation in answer.citations] == [0]
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.embedded_texts) == (10, 5, 1)


async def test_an_answer_of_which_nothing_is_backed_is_none() -> None:
    subject = await answering(ScriptedWriter(DraftSentence("Invented.", ())), [chunk(0, FERRY, start=0)])

    answer = await subject.answer("red", "When does the ferry sail?")

    assert (answer.answered, answer.text, answer.citations) == (False, NOT_ANSWERED, ())
    assert len(answer.sources) == 1


async def test_sentences_are_numbered_and_rows_end_their_lines() -> None:
    writer = ScriptedWriter(
        DraftSentence("Oar | 12", (Quote(0, 0, 3),)),
        DraftSentence("It sails.", (Quote(0, 4, 9), Quote(0, 10, 15))),
        DraftSentence("At nine.", (Quote(0, 16, 20),)),
    )
    subject = await answering(writer, [chunk(0, FERRY, start=0)])

    answer = await subject.answer("red", "When does the ferry sail?")

    assert answer.text == "Oar | 12\nIt sails. At nine."
    assert [citation.sentence_index for citation in answer.citations] == [0, 1, 1, 2]


async def test_the_writer_reads_at_most_top_k_passages() -> None:
    writer = ScriptedWriter()
    subject = await answering(writer, [chunk(place, f"{FERRY} {place}", start=place * 30) for place in range(5)])

    await subject.answer("red", "When does the ferry sail?")
    await subject.answer("red", "When does the ferry sail?", top_k=2)

    assert [len(reading.passages) for reading in writer.readings] == [3, 2]


async def test_a_blank_question_reaches_no_part() -> None:
    writer = ScriptedWriter()
    subject = await answering(writer, [])

    with pytest.raises(QuestionInvalid):
        await subject.answer("red", " \t")

    assert writer.readings == []


async def test_an_embedder_that_is_away_is_told() -> None:
    embedder = FakeEmbedder()
    embedder.failing = True
    subject = Answering(Searching(FakeChunkIndex(), embedder), FakeAnswerWriter())

    with pytest.raises(EmbedderUnavailable):
        await subject.answer("red", "When does the ferry sail?")
