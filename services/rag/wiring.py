"""The rag service put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from protos.rag.v1.rag_service_pb2_grpc import add_RagServiceServicer_to_server
from services.rag.answering import Answering
from services.rag.assessing import Assessing
from services.rag.embedding import MeteredEmbedder, TextEmbedding
from services.rag.indexing import Indexing
from services.rag.models import EmbeddingModel
from services.rag.ports import AnswerWriter, ChunkIndex, Embedder
from services.rag.searching import Searching
from services.rag.service import FAILURES, RagServicer
from services.rag.settings import RagSettings
from services.rag.statistics import Counting
from services.transport.serving import ServiceDefinition

SERVICE_NAME = "diglot.rag.v1.RagService"


@asynccontextmanager
async def open_rag(settings: RagSettings) -> AsyncIterator[ServiceDefinition]:
    """Everything the service needs, opened in order and closed in reverse."""
    async with AsyncExitStack() as stack:
        # First, because it loads its model in the background while the store is opened.
        embedder = MeteredEmbedder(await stack.enter_async_context(_open_embedder(settings)))
        index = await stack.enter_async_context(_open_index(settings, embedder.model))
        searching = Searching(index, embedder)
        answering = Answering(searching, _writer(settings, embedder))
        servicer = RagServicer(
            indexing=Indexing(index, embedder),
            searching=searching,
            answering=answering,
            assessing=Assessing(searching, embedder),
            text_embedding=TextEmbedding(embedder),
            counting=Counting(index, embedder, answering),
        )

        async def is_serving() -> bool:
            return await embedder.check() and await index.check()

        yield ServiceDefinition(
            name=SERVICE_NAME,
            domain="rag.diglot",
            failures=FAILURES,
            add_to=lambda server: add_RagServiceServicer_to_server(servicer, server),
            checks={"": is_serving, "embedder": embedder.check, "chunk_index": index.check},
        )


@asynccontextmanager
async def _open_embedder(settings: RagSettings) -> AsyncIterator[Embedder]:
    match settings.embedder:
        case "minilm":
            from services.rag.adapters.minilm_embedder import MiniLmEmbedder

            embedder = MiniLmEmbedder(threads=settings.embedder_threads)
            embedder.load_in_background()
            try:
                yield embedder
            finally:
                embedder.close()


@asynccontextmanager
async def _open_index(settings: RagSettings, model: EmbeddingModel) -> AsyncIterator[ChunkIndex]:
    match settings.chunk_index:
        case "pgvector":
            from services.rag.adapters.pgvector_index import MIGRATIONS, SCHEMA, PgvectorIndex
            from services.storage.postgres import open_store

            async with open_store(
                settings.store_url.get_secret_value(),
                schema=SCHEMA,
                migrations=MIGRATIONS,
                max_connections=settings.max_store_connections,
                checkout_wait_seconds=settings.store_wait_seconds,
            ) as pool:
                yield PgvectorIndex(pool, model)


def _writer(settings: RagSettings, embedder: Embedder) -> AnswerWriter:
    match settings.answer_writer:
        case "extractive":
            from services.rag.adapters.extractive_writer import ExtractiveWriter

            return ExtractiveWriter(embedder, min_certainty=settings.min_certainty)
