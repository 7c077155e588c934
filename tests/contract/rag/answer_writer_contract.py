"""What every writer of answers does, whatever writes them."""

import pytest

from services.rag.models import Chunk, DraftSentence, FoundChunk, Reading, TermCounts, WriterUsage
from services.rag.ports import AnswerWriter
from tests.fakes.rag import FakeEmbedder

FERRY = "The ferry Sigrid carries 240 passengers. A ticket costs 14 crowns for adults."
MOSS = "Mosses have no roots. They take up water through their leaves."


def passage(text: str, *, filename: str = "notes.txt", similarity: float = 0.6, index: int = 0) -> FoundChunk:
    return FoundChunk("documents/" + "a" * 64, filename, Chunk(index, text, 0, len(text)), similarity)


async def read(question: str, *passages: FoundChunk, tenant: str = "acme") -> Reading:
    [embedding] = await FakeEmbedder(max_tokens=256).embed_queries([question])
    return Reading(tenant, question, embedding, passages, TermCounts(len(passages)))


async def write(writer: AnswerWriter, reading: Reading) -> tuple[list[DraftSentence], list[WriterUsage]]:
    parts = [part async for part in writer.write(reading)]
    sentences = [part for part in parts if isinstance(part, DraftSentence)]
    usages = [part for part in parts if isinstance(part, WriterUsage)]
    assert parts == [*sentences, *usages]
    return sentences, usages


class AnswerWriterContract:
    @pytest.fixture
    def writer(self) -> AnswerWriter:
        """The writer under test; overridden per adapter."""
        raise AssertionError("a subclass gives the writer")

    async def test_every_sentence_is_backed_by_a_quote_from_a_passage(self, writer: AnswerWriter) -> None:
        passages = (passage(MOSS, similarity=0.1), passage(FERRY, index=1))

        sentences, _ = await write(writer, await read("How many passengers does the ferry Sigrid carry?", *passages))

        assert sentences
        for sentence in sentences:
            assert sentence.text.strip()
            assert sentence.quotes
            for quote in sentence.quotes:
                text = passages[quote.passage].chunk.text
                assert 0 <= quote.start < quote.end <= len(text)
        assert "240 passengers" in " ".join(sentence.text for sentence in sentences)

    async def test_the_usage_comes_once_and_last(self, writer: AnswerWriter) -> None:
        for question in ("How many passengers does the ferry carry?", "Who wrote the symphony?"):
            _, usages = await write(writer, await read(question, passage(FERRY)))

            assert len(usages) == 1

    async def test_what_one_tenant_was_told_cannot_be_seen_in_the_usage_of_another(self, writer: AnswerWriter) -> None:
        question = "How many passengers does the ferry carry?"
        _, first = await write(writer, await read(question, passage(FERRY)))

        _, foreign = await write(writer, await read(question, passage(FERRY), tenant="rival"))

        assert foreign == first

    async def test_passages_that_hold_no_answer_give_no_sentence(self, writer: AnswerWriter) -> None:
        reading = await read("Who composed that famous symphony?", passage(FERRY, similarity=0.05))

        sentences, _ = await write(writer, reading)

        assert sentences == []

    async def test_no_passages_give_no_sentence(self, writer: AnswerWriter) -> None:
        sentences, usages = await write(writer, await read("How many passengers does the ferry carry?"))

        assert (sentences, len(usages)) == ([], 1)

    async def test_it_has_a_name(self, writer: AnswerWriter) -> None:
        assert writer.name
