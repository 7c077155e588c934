"""What an answer keeps of what a writer gives."""

import re
from collections.abc import AsyncGenerator, Sequence

import pytest

from services.rag.answering import NOT_ANSWERED, Answering
from services.rag.errors import EmbedderUnavailable, QuestionInvalid
from services.rag.indexing import Indexing
from services.rag.models import Answer, AnswerSentence, Chunk, DraftSentence, Quote, Reading, WriterUsage
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
        self.given = 0
        self.closed = False

    async def write(self, reading: Reading) -> AsyncGenerator[DraftSentence | WriterUsage, None]:
        self.readings.append(reading)
        try:
            for part in self.parts:
                self.given += 1
                yield part
        finally:
            self.closed = True


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

    assert (answer.answered, answer.citations) == (False, ())
    assert answer.text == f"{NOT_ANSWERED} What comes nearest was looked at, in guide.md."
    assert len(answer.sources) == 1


async def test_in_vain_is_told_with_the_pages_looked_at_and_with_what_was_there_to_look_at() -> None:
    pages = [chunk(place, f"{FERRY} {place}", start=place * 30, page=place + 1) for place in range(2)]
    with_pages = await answering(ScriptedWriter(), pages)
    empty = await answering(ScriptedWriter(), [])

    looked_at = await with_pages.answer("red", "When does the ferry sail?")
    nothing = await empty.answer("red", "When does the ferry sail?")
    narrowed = await empty.answer("red", "When does the ferry sail?", documents=[GUIDE])

    assert sorted(re.findall(r"guide.md \(page \d\)", looked_at.text)) == ["guide.md (page 1)", "guide.md (page 2)"]
    assert nothing.text == f"{NOT_ANSWERED} There are none yet."
    assert narrowed.text == f"{NOT_ANSWERED} None of those that the question is narrowed to has any text."


async def test_a_citation_tells_the_headings_it_stands_under() -> None:
    writer = ScriptedWriter(DraftSentence("It sails at nine.", (Quote(0, 4, 9),)))
    under = Chunk(0, FERRY, 0, len(FERRY), None, ("Travel", "Ferries"))
    subject = await answering(writer, [under])

    answer = await subject.answer("red", "When does the ferry sail?")

    assert [citation.headings for citation in answer.citations] == [("Travel", "Ferries")]


async def test_sentences_come_as_they_are_backed_and_make_up_the_whole_answer_that_comes_last() -> None:
    writer = ScriptedWriter(
        DraftSentence("Oar | 12", (Quote(0, 0, 3),)),
        DraftSentence("Invented.", ()),
        DraftSentence("It sails.", (Quote(0, 4, 9),)),
        DraftSentence("At nine.", (Quote(0, 16, 20),)),
        WriterUsage(input_tokens=10),
    )
    subject = await answering(writer, [chunk(0, FERRY, start=0)])

    *sentences, whole = [part async for part in subject.stream("red", "When does the ferry sail?")]

    assert isinstance(whole, Answer)
    told = [sentence for sentence in sentences if isinstance(sentence, AnswerSentence)]
    assert [sentence.text for sentence in told] == ["Oar | 12", "\nIt sails.", " At nine."]
    assert "".join(sentence.text for sentence in told) == whole.text
    assert tuple(citation for sentence in told for citation in sentence.citations) == whole.citations
    assert whole == await subject.answer("red", "When does the ferry sail?")


async def test_whoever_stops_listening_stops_the_writer() -> None:
    writer = ScriptedWriter(*(DraftSentence(f"Sentence {place}.", (Quote(0, 0, 3),)) for place in range(3)))
    subject = await answering(writer, [chunk(0, FERRY, start=0)])

    parts = subject.stream("red", "When does the ferry sail?")
    await anext(parts)
    await parts.aclose()

    assert (writer.given, writer.closed) == (1, True)


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


async def test_eight_passages_are_read_or_as_many_as_are_to_be_listed() -> None:
    writer = ScriptedWriter()
    subject = await answering(writer, [chunk(place, f"{FERRY} {place}", start=place * 30) for place in range(12)])

    few = await subject.answer("red", "When does the ferry sail?")
    many = await subject.answer("red", "When does the ferry sail?", top_k=10)

    assert [len(reading.passages) for reading in writer.readings] == [8, 10]
    assert [len(answer.sources) for answer in (few, many)] == [3, 10]


async def test_what_is_cited_is_listed_before_what_is_not() -> None:
    writer = ScriptedWriter(*(DraftSentence(f"Sentence {place}.", (Quote(place, 0, 3),)) for place in (1, 6)))
    subject = await answering(writer, [chunk(place, f"{FERRY} {place}", start=place * 30) for place in range(8)])

    three = await subject.answer("red", "When does the ferry sail?", top_k=3)
    one = await subject.answer("red", "When does the ferry sail?", top_k=1)

    places = [[passage.id for passage in writer.readings[0].passages].index(each.found.id) for each in three.sources]
    assert places == [0, 1, 6]
    assert {each.found.id for each in one.sources} == {citation.chunk for citation in one.citations}


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
