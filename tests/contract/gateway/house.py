"""The gateway in process, before the real router and fake rag, sql and ingest services on real sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from gateway.settings import GatewaySettings
from gateway.wiring import open_gateway
from protos.sql.v1 import sql_query_pb2, sql_service_pb2
from services.router.settings import RouterSettings
from services.router.wiring import open_router
from services.transport.serving import serving
from tests.fakes.ingest_servicer import FakeIngest
from tests.fakes.rag_servicer import FakeRag
from tests.fakes.servicers import served, transport_settings
from tests.fakes.sql_servicer import FakeSql

HOURS = "Remote work core hours are 10 AM to 3 PM"
MAX_FILE_BYTES = 2_000_000


def _result(name: str, kind: str, *values: sql_query_pb2.Value) -> sql_service_pb2.RunQueryResponse:
    column = sql_query_pb2.Column(name=name, type=kind)
    rows = [sql_query_pb2.Row(values=[value]) for value in values]
    return sql_service_pb2.RunQueryResponse(result=sql_query_pb2.ResultTable(columns=[column], rows=rows))


CUSTOMERS = _result("customer_count", "int8", sql_query_pb2.Value(integer_value=100))
SALES = _result("total_sales", "numeric", sql_query_pb2.Value(decimal_value="12345678901234567.89"))


@dataclass
class House:
    """Everything a test may ask, look into, or stop (by closing the stack of its server)."""

    app: FastAPI
    client: httpx.AsyncClient
    rag: FakeRag
    sql: FakeSql
    ingest: FakeIngest
    servers: dict[str, AsyncExitStack]

    async def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        # json.dumps escapes what UTF-8 cannot hold; httpx would refuse to send it.
        content, headers = json.dumps(body), {"Content-Type": "application/json"}
        return await self.client.post(path, content=content, headers=headers)

    async def upload(self, content: bytes, filename: str = "policy.txt") -> httpx.Response:
        return await self.client.post("/upload", files={"file": (filename, content)})

    async def stop(self, name: str) -> None:
        await self.servers[name].aclose()


@asynccontextmanager
async def open_house(*, own_machine_alone: bool = False, **settings: Any) -> AsyncIterator[House]:
    """The whole house; `settings` are further ones of the gateway."""
    rag, ingest = FakeRag({"handbook.md": HOURS}), FakeIngest(max_bytes=MAX_FILE_BYTES)
    sql = FakeSql({"customers": CUSTOMERS, "total sales": SALES})
    async with AsyncExitStack() as stack:
        servers = {
            name: await stack.enter_async_context(AsyncExitStack()) for name in ("rag", "sql", "ingest", "router")
        }
        targets = {
            "rag": await servers["rag"].enter_async_context(served(rag)),
            "sql": await servers["sql"].enter_async_context(served(sql)),
            "ingest": await servers["ingest"].enter_async_context(served(ingest)),
        }
        transport = transport_settings()
        router_settings = RouterSettings(rag_target=targets["rag"], sql_target=targets["sql"], transport=transport)
        definition = await servers["router"].enter_async_context(open_router(router_settings))
        targets["router"] = await servers["router"].enter_async_context(
            serving(definition, listen="127.0.0.1:0", settings=transport)
        )
        gateway_settings = GatewaySettings(
            router_target=targets["router"],
            rag_target=targets["rag"],
            sql_target=targets["sql"],
            ingest_target=targets["ingest"],
            transport=transport,
            **{"max_file_bytes": MAX_FILE_BYTES, "environment": "test", **settings},
        )
        app = await stack.enter_async_context(open_gateway(gateway_settings, own_machine_alone=own_machine_alone))
        client = await stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")
        )
        yield House(app, client, rag, sql, ingest, servers)


def problem(response: httpx.Response, status: int, reason: str, field: str = "") -> dict[str, Any]:
    """The problem of a response, after checking what every problem must have."""
    body: dict[str, Any] = response.json()
    assert response.status_code == status, body
    assert response.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "instance", "reason", "request_id"} <= set(body)
    assert body["status"] == status
    assert body["reason"] == reason, body
    assert body["type"] == f"urn:diglot:problem:{reason.lower().replace('_', '-')}"
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["instance"] == response.request.url.path
    if field:
        assert [fault["field"] for fault in body["errors"]] == [field]
    if status in (429, 503):
        assert int(response.headers["retry-after"]) >= 1
    return body
