"""The rag service put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from protos.rag.v1.rag_service_pb2_grpc import add_RagServiceServicer_to_server
from services.rag.answering import Answering
from services.rag.assessing import Assessing
from services.rag.embedding import MeteredEmbedder, TextEmbedding
from services.rag.embedding_cache import CachedEmbedder
from services.rag.indexing import Indexing
from services.rag.models import EmbeddingModel
from services.rag.ports import AnswerWriter, ChunkIndex, Embedder
from services.rag.reranking import Reranking
from services.rag.searching import Searching
from services.rag.service import FAILURES, RagServicer
from services.rag.settings import RagSettings
from services.rag.statistics import Counting
from services.transport.serving import ServiceDefinition

if TYPE_CHECKING:
    from services.rag.adapters.openai_client import OpenAiClient

SERVICE_NAME = "diglot.rag.v1.RagService"


@asynccontextmanager
async def open_rag(settings: RagSettings) -> AsyncIterator[ServiceDefinition]:
    """Everything the service needs, opened in order and closed in reverse."""
    async with AsyncExitStack() as stack:
        openai = await stack.enter_async_context(_open_openai(settings))
        # Before the index, because it loads its model in the background while the store is opened.
        metered = MeteredEmbedder(await stack.enter_async_context(_open_embedder(settings, openai)))
        embedder = await stack.enter_async_context(_open_embedding_cache(settings, metered))
        index = await stack.enter_async_context(_open_index(settings, embedder.model))
        searching = Searching(index, embedder, await stack.enter_async_context(_open_reranking(settings)))
        answering = Answering(searching, _writer(settings, embedder, openai))
        servicer = RagServicer(
            indexing=Indexing(index, embedder, embedder if isinstance(embedder, CachedEmbedder) else None),
            searching=searching,
            answering=answering,
            assessing=Assessing(searching, embedder),
            text_embedding=TextEmbedding(embedder),
            counting=Counting(
                index, metered, answering, searching=searching, parts={"embedding_cache": _cache_kind(settings)}
            ),
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
async def _open_openai(settings: RagSettings) -> AsyncIterator[OpenAiClient | None]:
    """One client for all that use it; none, and no import of the SDK, when nothing does."""
    if settings.openai_api_key is None or "openai" not in (settings.chosen_embedder, settings.chosen_answer_writer):
        yield None
        return
    from services.rag.adapters.openai_client import OPENAI_URL, OpenAiClient

    base_url = str(settings.openai_base_url or OPENAI_URL)
    client = OpenAiClient(api_key=settings.openai_api_key.get_secret_value(), base_url=base_url)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def _open_embedder(settings: RagSettings, openai: OpenAiClient | None) -> AsyncIterator[Embedder]:
    match settings.chosen_embedder:
        case "minilm":
            from services.rag.adapters.minilm_embedder import MiniLmEmbedder

            embedder = MiniLmEmbedder(threads=settings.embedder_threads)
            embedder.load_in_background()
            try:
                yield embedder
            finally:
                embedder.close()
        case "openai":
            from services.rag.adapters.openai_embedder import OpenAiEmbedder

            assert openai is not None
            yield OpenAiEmbedder(
                openai,
                model=settings.embedding_model,
                dimensions=settings.embedding_dimensions,
                timeout_seconds=settings.embedding_timeout_seconds,
            )


def _cache_kind(settings: RagSettings) -> str:
    return settings.cache_kind if settings.cache_ttl_embeddings_seconds else "off"


@asynccontextmanager
async def _open_embedding_cache(settings: RagSettings, embedder: Embedder) -> AsyncIterator[Embedder]:
    """The embedder behind a cache of what it has embedded, unless there is to be none."""
    if not settings.cache_ttl_embeddings_seconds:
        yield embedder
        return
    from services.rag.adapters.cached_embeddings import CachedEmbeddings
    from services.storage.open_cache import open_cache

    async with open_cache(settings) as cache:
        embeddings = CachedEmbeddings(cache, ttl_seconds=settings.cache_ttl_embeddings_seconds)
        yield CachedEmbedder(embedder, embeddings)


@asynccontextmanager
async def _open_index(settings: RagSettings, model: EmbeddingModel) -> AsyncIterator[ChunkIndex]:
    match settings.chosen_chunk_index:
        case "pgvector":
            from services.rag.adapters.pgvector_index import MIGRATIONS, SCHEMA, PgvectorIndex
            from services.storage.postgres import open_store

            assert settings.store_url is not None
            async with open_store(
                settings.store_url.get_secret_value().strip(),
                schema=SCHEMA,
                migrations=MIGRATIONS,
                max_connections=settings.max_store_connections,
                checkout_wait_seconds=settings.store_wait_seconds,
            ) as pool:
                yield PgvectorIndex(pool, model)
        case "pinecone":
            from services.rag.adapters.pinecone_opening import open_pinecone_index

            assert settings.pinecone_api_key is not None
            async with open_pinecone_index(
                model,
                api_key=settings.pinecone_api_key.get_secret_value(),
                name=settings.pinecone_index_name,
                host=settings.pinecone_host,
                environment=settings.pinecone_environment,
                metric=settings.pinecone_metric,
                wait_seconds=settings.pinecone_wait_seconds,
            ) as index:
                yield index


@asynccontextmanager
async def _open_reranking(settings: RagSettings) -> AsyncIterator[Reranking | None]:
    if settings.rerank_url is None:
        yield None
        return
    from services.rag.adapters.http_reranker import open_http_reranker

    key = settings.rerank_api_key
    async with open_http_reranker(
        url=str(settings.rerank_url),
        api_key=key.get_secret_value() if key else "",
        model=settings.rerank_model,
        wait_seconds=settings.rerank_wait_seconds,
    ) as reranker:
        yield Reranking(reranker, candidates=settings.rerank_candidates, wait_seconds=settings.rerank_wait_seconds)


def _writer(settings: RagSettings, embedder: Embedder, openai: OpenAiClient | None) -> AnswerWriter:
    match settings.chosen_answer_writer:
        case "extractive":
            from services.rag.adapters.extractive_writer import ExtractiveWriter

            return ExtractiveWriter(embedder, min_certainty=settings.min_certainty)
        case "openai":
            from services.rag.adapters.openai_writer import OpenAiWriter

            assert openai is not None
            return OpenAiWriter(
                openai,
                model=settings.answer_model,
                timeout_seconds=settings.answer_timeout_seconds,
                max_passage_tokens=settings.answer_passage_tokens,
            )
