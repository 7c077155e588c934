"""What every embedder and every search of documents must do."""

import pytest

from services.sql.errors import TextTooLong
from services.sql.ports import DocumentSearch, QuestionEmbedder
from services.sql.training_models import Passage
from services.transport.identity import Caller, acting_as

LONGEST = 500  # characters that the embedders of the suite read
PASSAGES = (
    Passage("VIP means segment = Premium.", "glossary.md", 3, ("Handbook", "Terms")),
    Passage("¿Qué? 😀", "notes.txt"),
)
ADA = Caller("acme", "ada", frozenset())


class EmbedderContract:
    """Subclasses give an `embedder` that reads LONGEST characters."""

    @pytest.fixture
    def embedder(self) -> QuestionEmbedder:
        raise AssertionError("a subclass gives the embedder")

    async def test_each_text_gets_a_vector_of_length_one_in_order(self, embedder: QuestionEmbedder) -> None:
        with acting_as(ADA):
            found = await embedder.embed(["many customers", "some orders", "many customers"])

        assert len(found) == 3
        assert [sum(value * value for value in vector) for vector in found] == [pytest.approx(1, abs=1e-4)] * 3
        assert list(found[0]) == list(found[2])
        assert list(found[0]) != list(found[1])

    async def test_the_model_is_told_with_its_dimension(self, embedder: QuestionEmbedder) -> None:
        with acting_as(ADA):
            found = await embedder.embed(["text"])

        assert found.model.endswith(f"/{len(found[0])}")

    async def test_a_text_too_long_is_refused(self, embedder: QuestionEmbedder) -> None:
        with acting_as(ADA), pytest.raises(TextTooLong):
            await embedder.embed(["short", "x" * (LONGEST + 1)])


class DocumentSearchContract:
    """Subclasses give `documents` whose tenant "acme" has PASSAGES."""

    @pytest.fixture
    def documents(self) -> DocumentSearch:
        raise AssertionError("a subclass gives the search")

    async def test_passages_come_with_document_page_and_headings(self, documents: DocumentSearch) -> None:
        with acting_as(ADA):
            assert await documents.passages("What is VIP?", limit=9) == list(PASSAGES)

    async def test_no_more_come_than_asked_for(self, documents: DocumentSearch) -> None:
        with acting_as(ADA):
            assert await documents.passages("What is VIP?", limit=1) == [PASSAGES[0]]

    async def test_it_says_that_there_is_a_document(self, documents: DocumentSearch) -> None:
        with acting_as(ADA):
            assert await documents.has_any()
