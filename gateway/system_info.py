"""GET /info and GET /stats: what is in use, and how much of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Literal, TypeVar

from fastapi import APIRouter
from pydantic import Field

from gateway.answers import Answer
from gateway.callees import CalleeFailed, Callees, Service, reply_of
from gateway.context import Asked, Settings
from gateway.problems import problem_docs
from gateway.questions import MAX_QUESTION_CHARACTERS, MAX_TOP_K
from gateway.settings import GatewaySettings
from gateway.version import VERSION
from protos.ingest.v1 import ingest_service_pb2
from protos.rag.v1 import rag_service_pb2
from protos.sql.v1 import sql_service_pb2
from services.transport.observing import telemetry_parts

router = APIRouter(tags=["system"])

Reply = TypeVar("Reply")
Counts = dict[str, int]


class Adapters(Answer):
    """Parts in use; null where the service that knows cannot be asked."""

    embedding_model: str | None
    embedding_dimension: int | None
    chunk_index: str | None
    answer_writer: str | None
    sql_generator: str | None
    file_store: str | None


class Limits(Answer):
    """What is taken at most."""

    max_file_bytes: int
    async_file_bytes: int = Field(description="POST /upload waits for a larger file only with `?mode=wait`.")
    max_question_characters: int
    max_top_k: int
    served_extensions: list[str] | None


class Features(Answer):
    """What this installation does."""

    identity: Literal["none", "api_key", "jwt"]
    auto_approve_sql: Literal["never", "allowed", "cost_below"] | None
    auto_approve_sql_cost: float | None = Field(
        description="The cost of a plan below which `cost_below` lets a query run; null under other policies."
    )


class Info(Answer):
    """The installation."""

    name: str
    version: str
    environment: str
    features: Features
    adapters: Adapters
    parts: dict[str, dict[str, str] | None] = Field(
        description=(
            "Parts that settings choose or leave out, by service: what each is, “off” where it is left out; "
            "null where the service cannot be asked."
        ),
        examples=[
            {
                "gateway": {"traces": "off"},
                "rag": {"embedding_cache": "memory"},
                "sql": {"model": "off"},
                "ingest": None,
            }
        ],
    )
    limits: Limits
    links: dict[str, str]


class DocumentStats(Answer):
    """The tenant's files."""

    document_count: int
    total_size_bytes: int
    jobs_by_state: Counts
    parsed_file_count: int = Field(description="Since the ingest service started.")
    uptime_seconds: float


class IndexStats(Answer):
    """The tenant's searchable passages."""

    document_count: int
    chunk_count: int
    embedding_model: str
    embedded_text_count: int = Field(description="Since the rag service started.")
    uptime_seconds: float


class QueryStats(Answer):
    """The tenant's SQL queries."""

    queries_by_state: Counts
    table_count: int
    generator: str
    uptime_seconds: float


class Stats(Answer):
    """Counts; null where the service that counts cannot be asked."""

    status: Literal["success", "degraded"]
    documents: DocumentStats | None
    index: IndexStats | None
    queries: QueryStats | None


Counted = tuple[
    rag_service_pb2.GetStatsResponse | None,
    sql_service_pb2.GetStatsResponse | None,
    ingest_service_pb2.GetStatsResponse | None,
]


@router.get("/info", summary="What is in use", response_model=Info, responses=problem_docs())
async def info(callees: Asked, settings: Settings) -> Info:
    """Version, parts in use, limits and links."""
    rag, sql, ingest = await _count(callees, settings)
    return Info(
        name="Diglot",
        version=VERSION,
        environment=settings.environment,
        features=Features(
            identity=settings.identity,
            auto_approve_sql=None if sql is None else _policy(sql.auto_approve_policy),
            auto_approve_sql_cost=sql.auto_approve_cost
            if sql is not None and sql.HasField("auto_approve_cost")
            else None,
        ),
        adapters=Adapters(
            embedding_model=None if rag is None else rag.embedding_model,
            embedding_dimension=None if rag is None else rag.embedding_dimension,
            chunk_index=None if rag is None else rag.index_kind,
            answer_writer=None if rag is None else rag.writer,
            sql_generator=None if sql is None else sql.generator,
            file_store=None if ingest is None else ingest.storage_backend,
        ),
        parts={
            "gateway": dict(telemetry_parts(settings.transport)),
            "rag": None if rag is None else dict(rag.parts),
            "sql": None if sql is None else dict(sql.parts),
            "ingest": None if ingest is None else dict(ingest.parts),
        },
        limits=Limits(
            max_file_bytes=settings.max_file_bytes
            if ingest is None
            else min(settings.max_file_bytes, ingest.max_file_bytes or settings.max_file_bytes),
            async_file_bytes=settings.async_file_bytes,
            max_question_characters=MAX_QUESTION_CHARACTERS,
            max_top_k=MAX_TOP_K,
            served_extensions=None if ingest is None else list(ingest.served_extensions),
        ),
        links={"health": "/health", "stats": "/stats", "docs": "/docs", "openapi": "/openapi.json"},
    )


@router.get("/stats", summary="Counts", response_model=Stats, responses=problem_docs())
async def stats(callees: Asked, settings: Settings) -> Stats:
    """What the tenant has stored and asked."""
    rag, sql, ingest = await _count(callees, settings)
    return Stats(
        status="degraded" if None in (rag, sql, ingest) else "success",
        documents=None
        if ingest is None
        else DocumentStats(
            document_count=ingest.document_count,
            total_size_bytes=ingest.total_size_bytes,
            jobs_by_state=dict(ingest.jobs_by_state),
            parsed_file_count=ingest.parsed_file_count,
            uptime_seconds=ingest.uptime.ToMicroseconds() / 1e6,
        ),
        index=None
        if rag is None
        else IndexStats(
            document_count=rag.document_count,
            chunk_count=rag.chunk_count,
            embedding_model=rag.embedding_model,
            embedded_text_count=rag.embedded_text_count,
            uptime_seconds=rag.uptime.ToMicroseconds() / 1e6,
        ),
        queries=None
        if sql is None
        else QueryStats(
            queries_by_state=dict(sql.queries_by_state),
            table_count=sql.table_count,
            generator=sql.generator,
            uptime_seconds=sql.uptime.ToMicroseconds() / 1e6,
        ),
    )


def _policy(name: str) -> Literal["never", "allowed", "cost_below"]:
    """The policy by its name; one that this version does not know lets nothing run that it could tell of."""
    return "allowed" if name == "allowed" else "cost_below" if name == "cost_below" else "never"


async def _count(callees: Callees, settings: GatewaySettings) -> Counted:
    """The statistics of the three services that have any, asked all at once."""
    timeout_seconds = settings.stats_timeout_seconds
    return await asyncio.gather(
        _or_none(Service.RAG, callees.rag.GetStats(rag_service_pb2.GetStatsRequest(), timeout=timeout_seconds)),
        _or_none(Service.SQL, callees.sql.GetStats(sql_service_pb2.GetStatsRequest(), timeout=timeout_seconds)),
        _or_none(
            Service.INGEST, callees.ingest.GetStats(ingest_service_pb2.GetStatsRequest(), timeout=timeout_seconds)
        ),
    )


async def _or_none(service: Service, call: Awaitable[Reply]) -> Reply | None:
    try:
        return await reply_of(service, call)
    except CalleeFailed:
        return None
