"""The gateway's Lambda handler, given the events of a Function URL (payload 2.0)."""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from protos.sql.v1 import sql_service_pb2
from services.router.settings import RouterSettings
from services.router.wiring import open_router
from services.transport.serving import serving
from tests.contract.gateway.house import CUSTOMERS, HOURS
from tests.fakes.ingest_servicer import FakeIngest
from tests.fakes.rag_servicer import FakeRag
from tests.fakes.servicers import INTERNAL_KEY, served, transport_settings
from tests.fakes.sql_servicer import FakeSql
from tests.logging_state import logging_as_it_was


@dataclass
class Backends:
    """The services on a loop of their own: the handler runs its own loop, one request at a time."""

    targets: dict[str, str] = field(default_factory=dict)
    _ready: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> dict[str, str]:
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()))
        self._thread.start()
        assert self._ready.wait(30)
        return self.targets

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        self._loop.close()

    async def _run(self) -> None:
        results: dict[str, sql_service_pb2.RunQueryResponse] = {"customers": CUSTOMERS}
        transport = transport_settings()
        async with (
            served(FakeRag({"handbook.md": HOURS})) as rag,
            served(FakeSql(results)) as sql,
            served(FakeIngest()) as ingest,
            open_router(RouterSettings(rag_target=rag, sql_target=sql, transport=transport)) as definition,
            serving(definition, listen="127.0.0.1:0", settings=transport) as router,
        ):
            self.targets = {"RAG": rag, "SQL": sql, "INGEST": ingest, "ROUTER": router}
            self._ready.set()
            await self._stop.wait()


@pytest.fixture(scope="module")
def function() -> Iterator[ModuleType]:
    with Backends() as targets, pytest.MonkeyPatch.context() as patch, logging_as_it_was():
        for name, target in targets.items():
            patch.setenv(f"GATEWAY_{name}_TARGET", target)
        patch.setenv("DIGLOT_INTERNAL_KEY", INTERNAL_KEY)
        sys.modules.pop("gateway.handler", None)
        module = importlib.import_module("gateway.handler")
        yield module
        module.close()
        sys.modules.pop("gateway.handler", None)


def url_event(
    method: str, path: str, body: bytes | None = None, *, headers: dict[str, str] | None = None, query: str = ""
) -> dict[str, Any]:
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "abc.lambda-url.eu-central-1.on.aws", **(headers or {})},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abc",
            "domainName": "abc.lambda-url.eu-central-1.on.aws",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "x"},
            "requestId": "r",
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }
    if body is not None:
        event |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return event


def ask(function: ModuleType, event: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    reply = function.handler(event, None)
    text = reply.get("body") or ""
    if reply.get("isBase64Encoded"):
        text = base64.b64decode(text).decode()
    return reply["statusCode"], reply["headers"], json.loads(text) if text else None


def test_warm_requests_reuse_the_channels_of_the_cold_start(function: ModuleType) -> None:
    for _ in range(3):
        status, _, body = ask(function, url_event("GET", "/health"))

        assert (status, body["status"]) == (200, "healthy")


def test_a_question_is_answered(function: ModuleType) -> None:
    question = json.dumps({"query": "How many customers do we have?", "auto_approve_sql": True}).encode()

    status, _, body = ask(function, url_event("POST", "/query", question, headers={"content-type": "application/json"}))

    assert status == 200
    assert body["results"] == [{"customer_count": 100}]


def test_a_base64_multipart_upload_arrives_byte_for_byte(function: ModuleType) -> None:
    content = bytes(range(256)) * 40
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\n\r\n' + content + b"\r\n--b--\r\n"

    status, _, body = ask(
        function, url_event("POST", "/upload", form, headers={"content-type": "multipart/form-data; boundary=b"})
    )

    assert (status, body["file_size_bytes"]) == (201, len(content))


def test_query_strings_arrive(function: ModuleType) -> None:
    status, _, body = ask(function, url_event("GET", "/documents", query="page_size=0"))

    assert (status, body["errors"][0]["field"]) == (422, "page_size")


def test_a_problem_is_text_with_its_media_type(function: ModuleType) -> None:
    reply = function.handler(url_event("GET", "/nope"), None)

    assert reply["statusCode"] == 404
    assert reply["headers"]["content-type"] == "application/problem+json"
    assert reply["isBase64Encoded"] is False
    assert json.loads(reply["body"])["reason"] == "PATH_UNKNOWN"


def test_a_scheduled_ping_keeps_the_environment_warm(function: ModuleType) -> None:
    assert function.handler({"source": "aws.events", "detail-type": "Scheduled Event"}, None) == {"status": "warm"}


@pytest.mark.parametrize("event", [{}, {"Records": [{"eventSource": "aws:sqs"}]}, {"requestContext": {}}])
def test_other_events_are_refused_by_name(function: ModuleType, event: dict[str, Any]) -> None:
    with pytest.raises(function.EventUnknown):
        function.handler(event, None)
