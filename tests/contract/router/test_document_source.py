from collections.abc import AsyncIterator

import pytest

from services.router.adapters.rag_client import RagClient
from services.router.errors import SourceRefused, SourceTimeout, SourceUnavailable
from services.router.models import NO_FILTERS, DocumentAnswer, DocumentFilters
from tests.contract.router.document_source_contract import ASKED, HELD, DocumentBench, DocumentSourceContract
from tests.fakes.rag_servicer import FakeRag
from tests.fakes.router import FakeDocumentSource, document_answer
from tests.fakes.served_sources import PATIENCE_SECONDS, served_source


class InMemoryBench:
    """The fake, scripted to hold what the contract asks for."""

    def __init__(self) -> None:
        self.source = ScriptedDocuments({ASKED: 0.9})

    async def stop(self) -> None:
        self.source.failure = SourceUnavailable("rag")

    def refuse(self, reason: str) -> None:
        self.source.failure = SourceRefused("rag", reason, "It went wrong.", remote=object())

    def stall(self) -> None:
        self.source.failure = SourceTimeout("rag")


class ScriptedDocuments(FakeDocumentSource):
    async def answer(self, question: str, *, top_k: int, filters: DocumentFilters = NO_FILTERS) -> DocumentAnswer:
        if question in self.scores:
            self.reply = document_answer(HELD, page=2)
        return await super().answer(question, top_k=top_k, filters=filters)


class TestFakeDocumentSource(DocumentSourceContract):
    @pytest.fixture
    def bench(self) -> DocumentBench:
        return InMemoryBench()


class TestRagClient(DocumentSourceContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[DocumentBench]:
        rag = FakeRag({"handbook.md": HELD})
        async with served_source(
            rag, rag.faults, lambda channel: RagClient(channel, assess_timeout_seconds=PATIENCE_SECONDS)
        ) as bench:
            yield bench
