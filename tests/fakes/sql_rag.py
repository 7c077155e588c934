"""The rag service as the sql service sees it: embeddings by hashed words, and passages that it is given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import grpc

from protos.rag.v1 import chunk_pb2, rag_service_pb2
from protos.rag.v1.rag_service_pb2_grpc import RagServiceServicer, add_RagServiceServicer_to_server
from services.sql.training_models import Passage
from services.transport.errors import PassedOn
from services.transport.identity import current_caller
from services.transport.serving import ServiceDefinition, serving
from services.transport.settings import TransportSettings
from tests.fakes.servicers import failure, unknown_method
from tests.openai_server import embedding_of


class RagForSql(RagServiceServicer):
    """`passages` by tenant; `fault` ends every call; a text of more than `longest` characters is refused."""

    def __init__(self, *, dimension: int = 64) -> None:
        self.dimension = dimension
        self.model = "words"
        self.longest = 4_000
        self.passages: dict[str, list[Passage]] = {}
        self.fault: grpc.StatusCode | None = None
        self.embedded: list[str] = []
        self.searches: list[rag_service_pb2.SearchChunksRequest] = []
        self.counts = 0

    async def EmbedTexts(
        self, request: rag_service_pb2.EmbedTextsRequest, context: object
    ) -> rag_service_pb2.EmbedTextsResponse:
        self._strike()
        self.embedded.extend(request.texts)
        if any(len(text) > self.longest for text in request.texts):
            raise PassedOn(failure(grpc.StatusCode.INVALID_ARGUMENT, "TEXTS_INVALID", domain="rag.diglot"))
        embeddings = [rag_service_pb2.Embedding(values=embedding_of(text, self.dimension)) for text in request.texts]
        return rag_service_pb2.EmbedTextsResponse(embeddings=embeddings, model=self.model, dimension=self.dimension)

    async def GetStats(
        self, request: rag_service_pb2.GetStatsRequest, context: object
    ) -> rag_service_pb2.GetStatsResponse:
        self._strike()
        self.counts += 1
        return rag_service_pb2.GetStatsResponse(document_count=len(self._own()))

    async def SearchChunks(
        self, request: rag_service_pb2.SearchChunksRequest, context: object
    ) -> rag_service_pb2.SearchChunksResponse:
        self._strike()
        self.searches.append(request)
        return rag_service_pb2.SearchChunksResponse(chunks=map(_chunk, self._own()))

    async def IndexChunks(self, request: object, context: object) -> NoReturn:
        raise PassedOn(unknown_method("rag.diglot"))

    def StreamAnswer(self, request: object, context: object) -> NoReturn:
        raise PassedOn(unknown_method("rag.diglot"))

    DeleteDocumentChunks = ShowDocumentChunks = AnswerQuestion = AssessQuestion = IndexChunks

    def _own(self) -> list[Passage]:
        return self.passages.get(current_caller().tenant, [])

    def _strike(self) -> None:
        if self.fault is not None:
            raise PassedOn(failure(self.fault, "CHUNK_STORE_UNAVAILABLE", domain="rag.diglot"))


@asynccontextmanager
async def serving_rag(rag: RagForSql, settings: TransportSettings) -> AsyncIterator[str]:
    """The target it listens at."""
    definition = ServiceDefinition(
        name="diglot.rag.v1.RagService",
        domain="rag.diglot",
        failures={},
        add_to=lambda server: add_RagServiceServicer_to_server(rag, server),
        checks={},
    )
    async with serving(definition, listen="127.0.0.1:0", settings=settings) as target:
        yield target


def _chunk(passage: Passage) -> chunk_pb2.ScoredChunk:
    chunk = chunk_pb2.Chunk(text=passage.text, headings=passage.headings, page=passage.page or None)
    return chunk_pb2.ScoredChunk(chunk=chunk, filename=passage.document, similarity_score=0.5)
