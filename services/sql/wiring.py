"""The sql service put together."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from protos.sql.v1.sql_service_pb2_grpc import add_SqlServiceServicer_to_server
from services.sql.adapters.postgres_identity import Place, database_key, names_one_database, read_place
from services.sql.adapters.postgres_introspection import PostgresSchemaReader, ReadLimits
from services.sql.adapters.postgres_role import ONE_DATABASE, TargetWatch
from services.sql.adapters.postgres_session import RunLimits, open_target_pool
from services.sql.adapters.postgres_target import PostgresTarget
from services.sql.answering import Answering, AutoApproval
from services.sql.approvals import Approvals
from services.sql.approved_training import ApprovedTraining
from services.sql.auditing import Auditing
from services.sql.briefing import TrainingBriefing
from services.sql.business_terms import BusinessTerms
from services.sql.errors import ConfigurationRefused
from services.sql.generating import Generating
from services.sql.grounding.generator import GroundedGenerator
from services.sql.grounding.meaning_links import MeaningLinks
from services.sql.knowledge import SchemaKnowledge
from services.sql.learning import Learning
from services.sql.ports import (
    DocumentSearch,
    QueryStore,
    QuestionEmbedder,
    SchemaStore,
    SqlGenerator,
    TrainingIndex,
    TrainingStore,
)
from services.sql.query_guard import QueryGuard
from services.sql.service import FAILURES, SqlServicer
from services.sql.settings import SqlSettings
from services.sql.statistics import Statistics
from services.sql.training import Training
from services.sql.training_vectors import TrainingVectors
from services.transport.addresses import table_prefix_of
from services.transport.identity import acting_as, current_caller
from services.transport.serving import ServiceDefinition

if TYPE_CHECKING:
    import openai

    from services.sql.adapters.postgres_queries import StorePool
    from services.sql.adapters.vanna_model import VannaModel

logger = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "adapters" / "migrations"
SERVICE_NAME = "diglot.sql.v1.SqlService"

OPENAI_URL = "https://api.openai.com/v1"

MAX_RESULT_ROWS = 1_000
MAX_RESULT_BYTES = 4_000_000
# A question can do without any of these three, and is to be answered by words in the same breath.
EMBEDDING_SECONDS = 0.8
SEARCH_SECONDS = 1.0
INDEX_SECONDS = 0.6
_STRUCTURE_SECONDS = 15.0
# A run lives at most for its statement time and little more; whoever is EXECUTING much longer is dead.
_RUN_LEASE_MARGIN_SECONDS = 60.0


@dataclass(frozen=True)
class _Stores:
    """What the service keeps for itself. `pool` leads to the database it is kept in, None where it is none."""

    kind: str
    queries: QueryStore
    schemas: SchemaStore
    training: TrainingStore
    pool: StorePool | None = None


@dataclass(frozen=True)
class _Rag:
    """What the rag service does for this one."""

    embedder: QuestionEmbedder
    documents: DocumentSearch


@asynccontextmanager
async def open_sql(settings: SqlSettings) -> AsyncIterator[ServiceDefinition]:
    """Everything the service needs, opened in order and closed in reverse.

    Raises: ConfigurationRefused: the two addresses lead to one database, or the role is too powerful for production.
    """
    target_url, store_url = settings.database_url.get_secret_value(), settings.store_url.get_secret_value()
    if table_prefix_of(store_url) is None and names_one_database(target_url, store_url):
        raise ConfigurationRefused(ONE_DATABASE)
    database = database_key(target_url)
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(_open_stores(settings))
        target_pool = await stack.enter_async_context(
            open_target_pool(
                target_url,
                # One more, so that health is told and the schema read while every run is busy.
                max_connections=settings.max_concurrent_runs + 1,
                checkout_wait_seconds=settings.checkout_wait_seconds,
            )
        )
        watch = TargetWatch(
            refuses_powers=settings.is_production,
            store_place=await _place_of_store(stores.pool),
            seconds=settings.schema_check_seconds,
        )
        await watch.look_at_start(target_pool)

        target = PostgresTarget(
            target_pool,
            run_limits(settings),
            max_concurrent_runs=settings.max_concurrent_runs,
            wait_seconds=settings.checkout_wait_seconds,
            watch=watch,
        )
        store = stores.queries
        reader = PostgresSchemaReader(
            target_pool,
            ReadLimits(
                structure_seconds=_STRUCTURE_SECONDS,
                sample_seconds=settings.sample_seconds,
                sample_table_seconds=settings.sample_table_seconds,
                sample_rows=settings.sample_rows,
            ),
            visibility=settings.visibility,
        )
        knowledge = await stack.enter_async_context(
            aclosing(
                SchemaKnowledge(
                    reader,
                    stores.schemas,
                    database=database,
                    check_seconds=settings.schema_check_seconds,
                    max_age_seconds=settings.schema_max_age_seconds,
                )
            )
        )
        guard = QueryGuard(max_rows=MAX_RESULT_ROWS)
        rag = await stack.enter_async_context(_open_rag(settings))
        vectors = await stack.enter_async_context(_open_vectors(settings, stores, rag))
        approved = ApprovedTraining(stores.training, guard)
        training = Training(
            store=stores.training,
            approved=approved,
            vectors=vectors,
            guard=guard,
            knowledge=knowledge,
            database=database,
            max_items=settings.training_max_items,
        )
        meanings = await stack.enter_async_context(_open_meanings(rag))
        grounded = GroundedGenerator(meanings=meanings)
        terms = BusinessTerms(rag.documents, grounded.unlinked_words) if rag and settings.reads_documents else None
        generator, model_standing = await stack.enter_async_context(_open_generator(settings, grounded, guard))
        generating = Generating(
            generator=generator,
            guard=guard,
            knowledge=knowledge,
            briefing=TrainingBriefing(approved=approved, vectors=vectors, terms=terms, database=database),
            target=target,
            store=store,
            keeps_for=timedelta(seconds=settings.approval_seconds),
        )
        approvals = Approvals(
            store=store,
            target=target,
            guard=guard,
            knowledge=knowledge,
            learning=Learning(training) if settings.learn_from_approved else None,
        )
        answering = Answering(
            generating=generating,
            approvals=approvals,
            auto_approval=AutoApproval(settings.auto_approve, settings.auto_approve_cost),
        )
        statistics = Statistics(
            store=store,
            knowledge=knowledge,
            generating=generating,
            answering=answering,
            parts=lambda: {
                "query_store": stores.kind,
                "model": model_standing(),
                "target_role": watch.standing,
                "patterns_without_match": str(reader.unmatched) or "none",
                "training": "words" if vectors is None else vectors.kind,
                "document_terms": "off" if terms is None else "rag",
            },
        )
        servicer = SqlServicer(
            generating=generating,
            approvals=approvals,
            answering=answering,
            auditing=Auditing(store=store),
            knowledge=knowledge,
            statistics=statistics,
            training=training,
        )

        async def is_serving() -> bool:
            return await target.is_reachable() and await store.is_reachable()

        yield ServiceDefinition(
            name=SERVICE_NAME,
            domain="sql.diglot",
            failures=FAILURES,
            add_to=lambda server: add_SqlServiceServicer_to_server(servicer, server),
            checks={"": is_serving, "database": target.is_reachable, "query_store": store.is_reachable},
        )


@asynccontextmanager
async def _open_rag(settings: SqlSettings) -> AsyncIterator[_Rag | None]:
    if settings.rag_target is None:
        yield None
        return
    from services.sql.adapters.rag_documents import RagDocuments
    from services.sql.adapters.rag_embedder import RagEmbedder
    from services.transport.channels import open_channel

    async with open_channel(settings.rag_target, settings.transport) as channel:
        yield _Rag(
            RagEmbedder(channel, timeout_seconds=EMBEDDING_SECONDS),
            RagDocuments(channel, timeout_seconds=SEARCH_SECONDS),
        )


@asynccontextmanager
async def _open_vectors(
    settings: SqlSettings, stores: _Stores, rag: _Rag | None
) -> AsyncIterator[TrainingVectors | None]:
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
async def _open_meanings(rag: _Rag | None) -> AsyncIterator[MeaningLinks | None]:
    """What links words of a question by what they mean; None where nothing can embed them."""
    if rag is None:
        yield None
        return
    async with aclosing(MeaningLinks(rag.embedder, apart=_apart)) as meanings:
        yield meanings


@asynccontextmanager
async def _open_generator(
    settings: SqlSettings, grounded: GroundedGenerator, guard: QueryGuard
) -> AsyncIterator[tuple[SqlGenerator, Callable[[], str]]]:
    """What writes queries, and what statistics say of its model."""
    match settings.chosen_generator:
        case "grounded":
            yield grounded, lambda: "off"
        case "vanna":
            if importlib.util.find_spec("vanna") is None:
                raise ConfigurationRefused(
                    "SQL_GENERATOR=vanna needs packages that are not installed: "
                    "pip install -r requirements/sql.txt, or set SQL_GENERATOR=grounded"
                )
            from services.sql.adapters.vanna_generator import PromptLimits, VannaGenerator

            generator = VannaGenerator(
                lambda: _load_model(settings),
                model_name=settings.model,
                grounded=grounded,
                guard=guard,
                limits=PromptLimits(
                    max_schema_tokens=settings.prompt_schema_tokens,
                    reply_seconds=settings.model_seconds,
                    with_values=settings.prompt_values,
                ),
                max_concurrent_replies=settings.max_concurrent_replies,
            )
            try:
                yield generator, lambda: generator.standing
            finally:
                generator.close()


def _load_model(settings: SqlSettings) -> VannaModel:
    from services.sql.adapters.openai_chat import OpenAiChat
    from services.sql.adapters.vanna_model import VannaModel

    return VannaModel(OpenAiChat(model_client(settings), model=settings.model))


def model_client(settings: SqlSettings) -> openai.OpenAI:
    """What asks the model, at the address and with the key of the settings."""
    import openai

    return openai.OpenAI(
        api_key=settings.openai_api_key.get_secret_value() if settings.openai_api_key else "",
        # Never left to the SDK, which would take an empty OPENAI_BASE_URL for an address.
        base_url=str(settings.openai_base_url or OPENAI_URL),
        max_retries=0,  # OpenAiChat itself tries again, within the time that is left
    )


@asynccontextmanager
async def _open_stores(settings: SqlSettings) -> AsyncIterator[_Stores]:
    store_url = settings.store_url.get_secret_value()
    lease_seconds = settings.statement_seconds + settings.lock_seconds + _RUN_LEASE_MARGIN_SECONDS
    run_lease = timedelta(seconds=lease_seconds)
    match table_prefix_of(store_url):
        case None:
            from services.sql.adapters.postgres_queries import PostgresQueryStore
            from services.sql.adapters.postgres_schemas import PostgresSchemaStore
            from services.sql.adapters.postgres_training import PostgresTrainingStore
            from services.storage.postgres import open_store

            async with open_store(store_url, schema="sql", migrations=MIGRATIONS) as pool:
                queries = PostgresQueryStore(pool, run_lease=run_lease)
                yield _Stores("postgresql", queries, PostgresSchemaStore(pool), PostgresTrainingStore(pool), pool)
        case prefix:
            from services.sql.adapters.dynamodb_stores import open_dynamodb_stores

            kept_for = timedelta(days=settings.query_retention_days)
            async with open_dynamodb_stores(prefix, run_lease=run_lease, queries_kept_for=kept_for) as stores:
                yield _Stores("dynamodb", *stores)


def run_limits(settings: SqlSettings) -> RunLimits:
    """What one run may take, by the settings."""
    return RunLimits(
        statement_seconds=settings.statement_seconds,
        lock_seconds=settings.lock_seconds,
        work_memory_kilobytes=settings.work_memory_kilobytes,
        max_plan_cost=settings.max_plan_cost,
        max_rows=MAX_RESULT_ROWS,
        max_bytes=MAX_RESULT_BYTES,
    )


async def _place_of_store(pool: StorePool | None) -> Place | None:
    if pool is None:
        return None
    async with pool.connection() as connection:
        return await read_place(connection)
