"""The sql service put together: its parts stand in `wiring_*.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import timedelta

from protos.sql.v1.sql_service_pb2_grpc import add_SqlServiceServicer_to_server
from services.sql.adapters.postgres_identity import database_key, names_one_database
from services.sql.adapters.postgres_role import ONE_DATABASE
from services.sql.answering import Answering, AutoApproval
from services.sql.approvals import Approvals
from services.sql.approved_training import ApprovedTraining
from services.sql.auditing import Auditing
from services.sql.briefing import TrainingBriefing
from services.sql.business_terms import BusinessTerms
from services.sql.errors import ConfigurationRefused
from services.sql.generating import Generating
from services.sql.grounding.generator import GroundedGenerator
from services.sql.knowledge import SchemaKnowledge
from services.sql.learning import Learning
from services.sql.query_guard import QueryGuard
from services.sql.service import FAILURES, SqlServicer
from services.sql.settings import SqlSettings
from services.sql.statistics import Statistics
from services.sql.training import Training
from services.sql.wiring_generator import open_generator
from services.sql.wiring_stores import open_stores
from services.sql.wiring_target import MAX_RESULT_ROWS, open_target
from services.sql.wiring_training import open_meanings, open_rag, open_vectors
from services.transport.addresses import table_prefix_of
from services.transport.serving import ServiceDefinition

SERVICE_NAME = "diglot.sql.v1.SqlService"


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
        stores = await stack.enter_async_context(open_stores(settings))
        target = await stack.enter_async_context(open_target(settings, await stores.place()))
        store = stores.queries
        knowledge = await stack.enter_async_context(
            aclosing(
                SchemaKnowledge(
                    target.reader,
                    stores.schemas,
                    database=database,
                    check_seconds=settings.schema_check_seconds,
                    max_age_seconds=settings.schema_max_age_seconds,
                )
            )
        )
        guard = QueryGuard(max_rows=MAX_RESULT_ROWS)
        rag = await stack.enter_async_context(open_rag(settings))
        vectors = await stack.enter_async_context(open_vectors(settings, stores, rag))
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
        meanings = await stack.enter_async_context(open_meanings(rag))
        grounded = GroundedGenerator(meanings=meanings)
        terms = BusinessTerms(rag.documents, grounded.unlinked_words) if rag and settings.reads_documents else None
        generator, model_standing = await stack.enter_async_context(open_generator(settings, grounded, guard))
        generating = Generating(
            generator=generator,
            guard=guard,
            knowledge=knowledge,
            briefing=TrainingBriefing(approved=approved, vectors=vectors, terms=terms, database=database),
            target=target.database,
            store=store,
            keeps_for=timedelta(seconds=settings.approval_seconds),
        )
        approvals = Approvals(
            store=store,
            target=target.database,
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
                "target_role": target.watch.standing,
                "patterns_without_match": str(target.reader.unmatched) or "none",
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
            return await target.database.is_reachable() and await store.is_reachable()

        yield ServiceDefinition(
            name=SERVICE_NAME,
            domain="sql.diglot",
            failures=FAILURES,
            add_to=lambda server: add_SqlServiceServicer_to_server(servicer, server),
            checks={"": is_serving, "database": target.database.is_reachable, "query_store": store.is_reachable},
        )
