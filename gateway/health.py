"""GET /health: whether the parts behind the gateway serve."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Literal

import grpc
from fastapi import APIRouter
from grpc_health.v1 import health_pb2
from pydantic import Field

from gateway.answers import Answer
from gateway.callees import Callees, Service
from gateway.context import Asked, Settings
from gateway.problems import problem_docs
from gateway.version import VERSION

router = APIRouter(tags=["system"])

State = Literal["healthy", "unhealthy"]
# Part → the service that knows and the name of its check; "" is the service itself.
CHECKS: dict[str, tuple[Service, str]] = {
    "embedding_service": (Service.RAG, "embedder"),
    "vector_service": (Service.RAG, "chunk_index"),
    "rag_service": (Service.RAG, ""),
    "sql_service": (Service.SQL, ""),
    "ingest_service": (Service.INGEST, ""),
    "router_service": (Service.ROUTER, ""),
}


class Services(Answer):
    """Each part."""

    embedding_service: State
    vector_service: State
    rag_service: State
    sql_service: State
    ingest_service: State
    router_service: State


class Health(Answer):
    """`degraded` still serves whatever does not need the unhealthy part, so the status of the reply is 200."""

    status: Literal["healthy", "degraded"]
    timestamp: str = Field(description="ISO 8601, UTC.", examples=["2026-11-21T08:00:00.000000+00:00"])
    environment: str = Field(examples=["development"])
    version: str = Field(examples=[VERSION])
    services: Services


@router.get("/health", summary="Health", response_model=Health, responses=problem_docs())
async def health(callees: Asked, settings: Settings) -> Health:
    """Ask every part, all at once."""
    states = await asyncio.gather(
        *(_state(callees, service, check, settings.health_timeout_seconds) for service, check in CHECKS.values())
    )
    services = dict(zip(CHECKS, states, strict=True))
    return Health(
        status="healthy" if set(states) == {"healthy"} else "degraded",
        timestamp=datetime.now(UTC).isoformat(),
        environment=settings.environment,
        version=VERSION,
        services=Services(**services),
    )


async def _state(callees: Callees, service: Service, check: str, timeout_seconds: float) -> State:
    request = health_pb2.HealthCheckRequest(service=check)
    try:
        async with asyncio.timeout(timeout_seconds):
            reply = await callees.health[service].Check(request, timeout=timeout_seconds)
    except (grpc.aio.AioRpcError, TimeoutError):
        return "unhealthy"
    return "healthy" if reply.status == health_pb2.HealthCheckResponse.SERVING else "unhealthy"
