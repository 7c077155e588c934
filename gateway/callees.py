"""The four services behind the gateway: their stubs, their health, and what a failed call says."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from enum import Enum
from typing import TypeVar

import grpc
from grpc_health.v1 import health_pb2_grpc

from protos.ingest.v1 import ingest_service_pb2_grpc
from protos.rag.v1 import rag_service_pb2_grpc
from protos.router.v1 import router_service_pb2_grpc
from protos.sql.v1 import sql_service_pb2_grpc
from services.transport.errors import RemoteFailure, read_failure

Reply = TypeVar("Reply")


class Service(Enum):
    """A service, by the name it has in /health and in reasons ("rag_service", RAG_SERVICE_UNAVAILABLE)."""

    ROUTER = "router_service"
    RAG = "rag_service"
    SQL = "sql_service"
    INGEST = "ingest_service"


class CalleeFailed(Exception):
    """A call to a service failed.

    `fields` maps field names of the call to those of the request it was made for; `unknown` is the reason for an id
    that cannot be one of the service's.
    """

    def __init__(self, service: Service, failure: RemoteFailure, fields: Mapping[str, str], unknown: str = "") -> None:
        super().__init__(failure.message)
        self.service = service
        self.failure = failure
        self.fields = fields
        self.unknown = unknown


class Callees:
    """Stubs over open channels, one per service."""

    def __init__(self, channels: Mapping[Service, grpc.aio.Channel]) -> None:
        self.router = router_service_pb2_grpc.RouterServiceStub(channels[Service.ROUTER])
        self.rag = rag_service_pb2_grpc.RagServiceStub(channels[Service.RAG])
        self.sql = sql_service_pb2_grpc.SqlServiceStub(channels[Service.SQL])
        self.ingest = ingest_service_pb2_grpc.IngestServiceStub(channels[Service.INGEST])
        self.health = {service: health_pb2_grpc.HealthStub(channel) for service, channel in channels.items()}


async def reply_of(
    service: Service, call: Awaitable[Reply], fields: Mapping[str, str] | None = None, *, unknown: str = ""
) -> Reply:
    """The reply of a call. Raises CalleeFailed."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise CalleeFailed(service, read_failure(error), fields or {}, unknown) from error
