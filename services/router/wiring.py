"""The router, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from protos.router.v1 import router_service_pb2_grpc
from services.router.adapters.rag_client import RagClient
from services.router.adapters.sql_client import SqlClient
from services.router.asking import Asking
from services.router.routing import Thresholds
from services.router.service import FAILURES, RouterServicer
from services.router.settings import RouterSettings
from services.transport.channels import open_channel
from services.transport.serving import ServiceDefinition

SERVICE_NAME = "diglot.router.v1.RouterService"
DOMAIN = "router.diglot"


@asynccontextmanager
async def open_router(settings: RouterSettings) -> AsyncIterator[ServiceDefinition]:
    """The router with its two channels, which close with it."""
    async with (
        open_channel(settings.rag_target, settings.transport) as rag,
        open_channel(settings.sql_target, settings.transport) as sql,
    ):
        servicer = RouterServicer(
            Asking(
                documents=RagClient(rag, assess_timeout_seconds=settings.assess_timeout_seconds),
                database=SqlClient(sql, assess_timeout_seconds=settings.assess_timeout_seconds),
                thresholds=Thresholds(floor=settings.min_score),
            )
        )
        yield ServiceDefinition(
            name=SERVICE_NAME,
            domain=DOMAIN,
            failures=FAILURES,
            add_to=lambda server: router_service_pb2_grpc.add_RouterServiceServicer_to_server(servicer, server),
            checks={"": _serves},
        )


async def _serves() -> bool:
    """The router holds nothing that could break; the health of its sources is theirs to tell."""
    return True
