"""GET /health: whether the parts behind the gateway serve."""

from __future__ import annotations

import asyncio
import contextlib
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
    """Ask every service, all at once."""
    states = await asyncio.gather(*(_states(callees, service, settings.health_timeout_seconds) for service in Service))
    told = {part: state for of_service in states for part, state in of_service.items()}
    services = {part: told.get(part, "unhealthy") for part in CHECKS}
    return Health(
        status="healthy" if set(services.values()) == {"healthy"} else "degraded",
        timestamp=datetime.now(UTC).isoformat(),
        environment=settings.environment,
        version=VERSION,
        services=Services(**services),
    )


async def _states(callees: Callees, service: Service, timeout_seconds: float) -> dict[str, State]:
    """What one service says of its parts within the time; a part it does not speak of is missing.

    One check after another: asked side by side, a service that runs as a function would start one copy for each check.
    """
    states: dict[str, State] = {}
    with contextlib.suppress(grpc.aio.AioRpcError, TimeoutError):
        async with asyncio.timeout(timeout_seconds):
            for part, (asked, check) in CHECKS.items():
                if asked is service:
                    request = health_pb2.HealthCheckRequest(service=check)
                    reply = await callees.health[service].Check(request, timeout=timeout_seconds)
                    serves = reply.status == health_pb2.HealthCheckResponse.SERVING
                    states[part] = "healthy" if serves else "unhealthy"
    return states
