"""The sql service whole, with the sentence model behind rag's rpc: words linked by what they mean."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from deploy.local.embedded_postgres import EmbeddedPostgres
from protos.rag.v1 import rag_service_pb2
from protos.sql.v1 import sql_service_pb2
from services.rag.adapters.minilm_embedder import MODEL, MiniLmEmbedder
from services.transport.identity import acting_as
from tests.fakes.sql_rag import RagForSql, serving_rag
from tests.integration.sql.running_service import ADA, TRANSPORT, running, settings_for
from tests.quality.evaluation_data import DEVELOPMENT
from tests.quality.sql_databases import load_database

if TYPE_CHECKING:
    from protos.sql.v1.sql_service_pb2_grpc import SqlServiceAsyncStub

QUESTION = "How many paperbacks are there?"


class SentenceRag(RagForSql):
    """Embeds as rag does."""

    def __init__(self, embedder: MiniLmEmbedder) -> None:
        super().__init__(dimension=MODEL.dimension)
        self._embedder = embedder

    async def EmbedTexts(
        self, request: rag_service_pb2.EmbedTextsRequest, context: object
    ) -> rag_service_pb2.EmbedTextsResponse:
        self._strike()
        self.embedded.extend(request.texts)
        vectors = await self._embedder.embed_passages(request.texts)
        embeddings = [rag_service_pb2.Embedding(values=vector) for vector in vectors]
        return rag_service_pb2.EmbedTextsResponse(embeddings=embeddings, model=MODEL.name, dimension=MODEL.dimension)


@pytest.fixture(scope="module")
def embedder() -> Iterator[MiniLmEmbedder]:
    model = MiniLmEmbedder()
    yield model
    model.close()


@pytest.fixture(scope="module")
def library_url(postgres_server: EmbeddedPostgres) -> str:
    return load_database(postgres_server, "library", DEVELOPMENT / "text_to_sql" / "library.sql")


async def asked(sql: SqlServiceAsyncStub, question: str = QUESTION) -> tuple[str, str]:
    """SQL and explanation; both empty where there is no query."""
    with acting_as(ADA):
        reply = await sql.GenerateSql(sql_service_pb2.GenerateSqlRequest(question=question))
    return reply.query.sql, reply.query.explanation


async def test_a_word_is_linked_once_the_names_are_embedded(
    library_url: str, store_url: str, tmp_path: Path, embedder: MiniLmEmbedder
) -> None:
    rag = SentenceRag(embedder)
    async with (
        serving_rag(rag, TRANSPORT) as target,
        running(settings_for(library_url, store_url, rag_target=target), tmp_path) as sql,
    ):
        plain, _ = await asked(sql, "How many books are there?")
        for _ in range(200):
            linked, explanation = await asked(sql)
            if linked:
                break
            await asyncio.sleep(0.05)

    assert linked == plain
    assert "“paperbacks” was taken to mean “book”." in explanation


async def test_without_rag_s_model_questions_are_read_as_they_stand(
    library_url: str, store_url: str, tmp_path: Path, embedder: MiniLmEmbedder
) -> None:
    rag = SentenceRag(embedder)
    rag.fault = grpc.StatusCode.UNAVAILABLE
    async with (
        serving_rag(rag, TRANSPORT) as target,
        running(settings_for(library_url, store_url, rag_target=target), tmp_path) as sql,
    ):
        plain, _ = await asked(sql, "How many books are there?")
        unlinked, _ = await asked(sql)

    assert "COUNT(*)" in plain
    assert unlinked == ""
