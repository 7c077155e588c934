"""The suites of embedder and document search on the stand-ins and on a rag service behind a socket."""

from collections.abc import AsyncIterator

import grpc
import pytest

from services.sql.adapters.rag_documents import RagDocuments
from services.sql.adapters.rag_embedder import RagEmbedder
from services.sql.errors import KnowledgeUnavailable, TextTooLong
from services.sql.ports import DocumentSearch, QuestionEmbedder
from services.sql.training_models import Passage
from services.transport.channels import open_channel
from services.transport.identity import Caller, acting_as
from tests.contract.sql.rag_ports_contract import LONGEST, PASSAGES, DocumentSearchContract, EmbedderContract
from tests.fakes.servicers import transport_settings
from tests.fakes.sql_rag import RagForSql, serving_rag
from tests.fakes.sql_training import FakeDocuments, FakeEmbedder

ADA = Caller("acme", "ada", frozenset())


@pytest.fixture
def rag() -> RagForSql:
    rag = RagForSql()
    rag.longest = LONGEST
    rag.passages["acme"] = list(PASSAGES)
    return rag


@pytest.fixture
async def channel(rag: RagForSql) -> AsyncIterator[grpc.aio.Channel]:
    settings = transport_settings()
    async with serving_rag(rag, settings) as target, open_channel(target, settings) as channel:
        yield channel


class TestFakeEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> QuestionEmbedder:
        return FakeEmbedder(longest=LONGEST)


class TestRagEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self, channel: grpc.aio.Channel) -> QuestionEmbedder:
        return RagEmbedder(channel, timeout_seconds=5)


class TestFakeDocuments(DocumentSearchContract):
    @pytest.fixture
    def documents(self) -> DocumentSearch:
        return FakeDocuments(list(PASSAGES))


class TestRagDocuments(DocumentSearchContract):
    @pytest.fixture
    def documents(self, channel: grpc.aio.Channel) -> DocumentSearch:
        return RagDocuments(channel, timeout_seconds=5)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.NOT_FOUND])
async def test_a_rag_service_that_fails_is_told_as_unavailable(
    rag: RagForSql, channel: grpc.aio.Channel, code: grpc.StatusCode
) -> None:
    rag.fault = code
    embedder, documents = RagEmbedder(channel, timeout_seconds=5), RagDocuments(channel, timeout_seconds=5)

    with acting_as(ADA):
        for attempt in (embedder.embed(["text"]), documents.has_any(), documents.passages("text", limit=1)):
            with pytest.raises(KnowledgeUnavailable):
                await attempt


async def test_a_tenant_finds_its_own_documents_alone(rag: RagForSql, channel: grpc.aio.Channel) -> None:
    documents = RagDocuments(channel, timeout_seconds=5)
    rag.passages["umbrella"] = [Passage("theirs", "secret.md")]

    with acting_as(ADA):
        found = await documents.passages("text", limit=9)
    with acting_as(Caller("nobody", "ada", frozenset())):
        assert not await documents.has_any()

    assert found == list(PASSAGES)


async def test_a_text_too_long_is_told_apart_from_a_service_that_is_away(
    rag: RagForSql, channel: grpc.aio.Channel
) -> None:
    with acting_as(ADA), pytest.raises(TextTooLong):
        await RagEmbedder(channel, timeout_seconds=5).embed(["short", "x" * (LONGEST + 1)])
