"""CloudWatch's metric lines on the stdout of real Lambda runtime processes."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.transport.channels import open_channel
from services.transport.identity import Caller, acting_as
from services.transport.settings import TransportSettings
from tests.contract.transport.transport_contract import failure_of
from tests.e2e.function_url import FunctionUrl
from tests.echo import echo_service_pb2_grpc
from tests.echo.echo_service_pb2 import EchoRequest
from tests.emf_format import Metric, read_emf
from tests.lambda_cluster import Function, LambdaCluster

KEY = "k" * 32
NOBODY = {f"GATEWAY_{name}_TARGET": "127.0.0.1:9" for name in ("ROUTER", "RAG", "SQL", "INGEST")}


def metrics_of(cluster: LambdaCluster, function: str) -> list[list[Metric]]:
    """The metrics of each line, in their order."""
    return [read_emf(line) for line in cluster.logs(function).splitlines() if line.startswith('{"_aws"')]


def values(metrics: list[Metric], name: str, **dimensions: str) -> list[float]:
    return [metric.value for metric in metrics if metric.name == name and metric.dimensions == dimensions]


@pytest.fixture
async def cluster(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LambdaCluster]:
    env = {"DIGLOT_INTERNAL_KEY": KEY, "DIGLOT_METRICS": "emf"}
    functions = [
        Function("echo", "tests.echo.handler.handler", env=env, max_concurrency=1),
        Function("gateway", "gateway.handler.handler", env=env | NOBODY, max_concurrency=1),
    ]
    async with LambdaCluster(functions) as cluster:
        for name, value in cluster.caller_environment().items():
            monkeypatch.setenv(name, value)
        yield cluster


async def test_each_call_is_one_line_that_cloudwatch_takes(cluster: LambdaCluster) -> None:
    async with open_channel("lambda:echo", TransportSettings(internal_key=KEY)) as channel:
        stub: Any = echo_service_pb2_grpc.EchoServiceStub(channel)
        with acting_as(Caller("acme", "ada", frozenset())):
            await stub.Echo(EchoRequest(text="hello", padding_bytes=5_000))
            await failure_of(stub.EchoOnce(EchoRequest(fail_with="unlisted")))

    first, second = metrics_of(cluster, "echo")
    assert {metric.namespace for metric in first} == {"Diglot"}
    assert values(first, "faas.coldstarts", service="echo") == [1]
    assert values(second, "faas.coldstarts", service="echo") == []
    assert values(first, "errors", service="echo", method="Echo") == [0]
    assert values(second, "errors", service="echo", method="EchoOnce") == [1]
    assert values(first, "rpc.server.response.size", service="echo")[0] > 5_000
    assert values(first, "rpc.server.duration", service="echo")[0] > 0


async def test_the_gateway_tells_routes_and_never_paths(cluster: LambdaCluster) -> None:
    url = FunctionUrl(cluster, "gateway")
    with httpx.Client(transport=url, base_url="https://x.on.aws") as client:
        replies = [
            await asyncio.to_thread(client.get, path)
            for path in (f"/documents/{'a' * 64}", "/zebrafish?q=zebrafish", "/info")
        ]

    told = metrics_of(cluster, "gateway")
    routes = [metric.dimensions.get("route") for metrics in told for metric in metrics[:1]]
    assert [reply.status_code for reply in replies] == [503, 404, 200]
    assert routes == ["GET /documents/{document_id}", "GET", "GET /info"]
    assert [values(metrics, "errors", service="gateway") for metrics in told] == [[1], [0], [0]]
    size = values(told[2], "http.server.response.body.size", service="gateway")
    assert size == [len(replies[2].content)]
    assert "zebrafish" not in cluster.logs("gateway")


async def test_metrics_do_not_disturb_log_lines(cluster: LambdaCluster) -> None:
    with httpx.Client(transport=FunctionUrl(cluster, "gateway"), base_url="https://x.on.aws") as client:
        await asyncio.to_thread(client.get, "/openapi.json")

    lines = [json.loads(line) for line in cluster.logs("gateway").split(os.linesep) if line.startswith("{")]
    (served,) = [line for line in lines if line.get("event") == "http.served"]
    (measured,) = [line for line in lines if "_aws" in line]
    assert measured["request_id"] == served["request_id"]
    assert measured["trace_id"] == served["trace_id"]
