"""What helps with questions besides the schema, put together: the rag service, and vectors of what is taught."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass

from services.sql.grounding.meaning_links import MeaningLinks
from services.sql.ports import DocumentSearch, QuestionEmbedder, TrainingIndex
from services.sql.settings import SqlSettings
from services.sql.training_vectors import TrainingVectors
from services.sql.wiring_stores import Stores
from services.transport.identity import acting_as, current_caller

logger = logging.getLogger(__name__)

# A question can do without any of these three, and is to be answered by words in the same breath.
EMBEDDING_SECONDS = 0.8
SEARCH_SECONDS = 1.0
INDEX_SECONDS = 0.6


@dataclass(frozen=True)
class Rag:
    """What the rag service does for this one."""

    embedder: QuestionEmbedder
    documents: DocumentSearch


@asynccontextmanager
async def open_rag(settings: SqlSettings) -> AsyncIterator[Rag | None]:
    """The rag service; None where there is none."""
    if settings.rag_target is None:
        yield None
        return
    from services.sql.adapters.rag_documents import RagDocuments
    from services.sql.adapters.rag_embedder import RagEmbedder
    from services.transport.channels import open_channel

    async with open_channel(settings.rag_target, settings.transport) as channel:
        yield Rag(
            RagEmbedder(channel, timeout_seconds=EMBEDDING_SECONDS),
            RagDocuments(channel, timeout_seconds=SEARCH_SECONDS),
        )


@asynccontextmanager
async def open_vectors(settings: SqlSettings, stores: Stores, rag: Rag | None) -> AsyncIterator[TrainingVectors | None]:
    """What finds training by meaning; None where nothing can embed, or nothing compare vectors."""
    async with AsyncExitStack() as stack:
        index: TrainingIndex | None = None
        if rag is not None and settings.pinecone_api_key is not None:
            from pinecone import AsyncPinecone

            from services.sql.adapters.pinecone_training_index import PineconeTrainingIndex

            client = AsyncPinecone(
                api_key=settings.pinecone_api_key.get_secret_value(),
                host=str(settings.pinecone_host) if settings.pinecone_host else None,
                timeout=INDEX_SECONDS,
            )
            pinecone = PineconeTrainingIndex(client, index_name=settings.training_index, wait_seconds=INDEX_SECONDS)
            stack.push_async_callback(pinecone.close)
            index = pinecone
        elif rag is not None and stores.pool is not None:
            from services.sql.adapters.pgvector_training_index import PgvectorTrainingIndex, compares_vectors

            if await compares_vectors(stores.pool):
                index = PgvectorTrainingIndex(stores.pool)
        if rag is None or index is None:
            logger.info("training.found_by_words", extra={"index": "none"})
            yield None
            return
        yield await stack.enter_async_context(
            aclosing(
                TrainingVectors(
                    stores.training,
                    index,
                    rag.embedder,
                    apart=_apart,
                )
            )
        )


def _apart() -> AbstractContextManager[object]:
    """The caller of now, without the deadline of the call being served: work that outlives it."""
    return acting_as(current_caller())


@asynccontextmanager
async def open_meanings(rag: Rag | None) -> AsyncIterator[MeaningLinks | None]:
    """What links words of a question by what they mean; None where nothing can embed them."""
    if rag is None:
        yield None
        return
    async with aclosing(MeaningLinks(rag.embedder, apart=_apart)) as meanings:
        yield meanings
