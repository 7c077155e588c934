"""Spans and metrics as a collector receives them, from real processes on both transports."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from services.transport.channels import open_channel
from services.transport.identity import Caller, acting_as
from services.transport.observing import start_telemetry, stop_telemetry
from services.transport.settings import TransportSettings
from services.transport.telemetry import annotate, new_request, span
from tests.contract.transport.transport_contract import failure_of
from tests.e2e.function_url import FunctionUrl
from tests.echo import echo_service_pb2_grpc
from tests.echo.echo_service_pb2 import EchoRequest
from tests.echo.servicer import SECRET_TEXT
from tests.fakes.rag_servicer import FakeRag
from tests.fakes.servicers import INTERNAL_KEY, served
from tests.fakes.sql_servicer import FakeSql
from tests.lambda_cluster import Function, LambdaCluster
from tests.lambda_runtime import REPOSITORY
from tests.otlp_collector import OtlpCollector, Span

CALLER = Caller("acme", "ada", frozenset({"user"}))
TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
QUESTION = "What are the zebrafish work hours?"
ECHO = "diglot.echo.v1.EchoService/Echo"
ASK, ASSESS = "diglot.router.v1.RouterService/AskQuestion", "diglot.rag.v1.RagService/AssessQuestion"
INTERNAL, SERVER, CLIENT, CONSUMER = 1, 2, 3, 5


@pytest.fixture
def collector() -> Iterator[OtlpCollector]:
    with OtlpCollector() as collector:
        yield collector


def settings(collector: OtlpCollector, **more: Any) -> TransportSettings:
    return TransportSettings(internal_key=INTERNAL_KEY, **{"otlp_endpoint": collector.endpoint, **more})


@pytest.fixture
def _telling(collector: OtlpCollector) -> Iterator[None]:
    start_telemetry("test", settings(collector))
    yield
    stop_telemetry()


def one(spans: list[Span], **facts: object) -> Span:
    (found,) = [each for each in spans if all(getattr(each, name) == value for name, value in facts.items())]
    return found


@pytest.mark.usefixtures("_telling")
async def test_a_question_is_one_trace_over_functions_and_servers_that_have_told_it_when_they_answer(
    collector: OtlpCollector,
) -> None:
    async with served(FakeRag({"handbook.md": "zebrafish work hours are 10 to 3"})) as rag, served(FakeSql({})) as sql:
        env = {"DIGLOT_INTERNAL_KEY": INTERNAL_KEY, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        targets = {
            f"GATEWAY_{name}_TARGET": f"lambda:diglot-{name.lower()}" for name in ("ROUTER", "RAG", "SQL", "INGEST")
        }
        functions = [
            Function("diglot-gateway", "gateway.handler.handler", env=env | targets),
            Function(
                "diglot-router",
                "services.router.handler.handler",
                env=env | {"ROUTER_RAG_TARGET": rag, "ROUTER_SQL_TARGET": sql},
            ),
        ]
        async with LambdaCluster(functions) as cluster:
            with httpx.Client(transport=FunctionUrl(cluster, "diglot-gateway"), base_url="https://x.on.aws") as client:
                reply = await asyncio.to_thread(
                    client.post,
                    "/query",
                    json={"query": QUESTION},
                    headers={"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"},
                )
            arrived = list(collector.spans)  # what the functions told before they answered, and might be frozen
            lines = [json.loads(line) for line in cluster.logs("diglot-gateway").splitlines() if line.startswith("{")]

    assert reply.status_code == 200
    request = one(arrived, service="gateway", kind=SERVER)
    asked = one(arrived, service="gateway", name=ASK)
    routed = one(arrived, service="router", kind=SERVER)
    assessed = one(arrived, service="router", name=ASSESS)
    judged = collector.wait_for(lambda seen: [each for each in seen.named(ASSESS) if each.service == "test"])[0]
    assert {each.trace_id for each in collector.spans} == {TRACE_ID}
    assert request.parent_id == PARENT_ID
    assert [each.parent_id for each in (asked, routed, assessed, judged)] == [
        each.span_id for each in (request, asked, routed, assessed)
    ]
    assert [each.kind for each in (asked, routed, assessed, judged)] == [CLIENT, SERVER, CLIENT, SERVER]
    (served_line,) = [line for line in lines if line["event"] == "http.served"]
    assert (served_line["trace_id"], served_line["span_id"]) == (TRACE_ID, request.span_id)
    assert request.name == "POST /query"
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["faas.coldstart"] is True
    assert request.attributes["diglot.request_id"] == reply.headers["X-Request-ID"]
    assert request.resource["faas.name"] == "diglot-gateway"
    assert (asked.attributes["rpc.system.name"], asked.attributes["faas.invoked_name"]) == (
        "aws_lambda",
        "diglot-router",
    )
    assert routed.attributes["rpc.method"] == ASK
    assert assessed.attributes["rpc.system.name"] == judged.attributes["rpc.system.name"] == "grpc"
    assert "zebrafish" not in repr(collector.spans)
    measured = {(point.service, point.name, point.unit) for point in collector.points}
    assert ("gateway", "http.server.request.duration", "s") in measured
    assert ("gateway", "rpc.client.call.duration", "s") in measured
    assert ("router", "rpc.server.call.duration", "s") in measured


@pytest.fixture
async def echo_server(collector: OtlpCollector) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    env = os.environ | {"DIGLOT_INTERNAL_KEY": INTERNAL_KEY, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.echo.server", "127.0.0.1:0"),
        cwd=REPOSITORY,
        env=env,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    while (line := json.loads(await process.stderr.readline()))["event"] != "server.listening":
        pass
    yield process, line["target"]
    if process.returncode is None:
        process.kill()
    await process.communicate()


@pytest.mark.usefixtures("_telling")
async def test_a_server_tells_what_failed_and_why_but_not_its_words(
    collector: OtlpCollector, echo_server: tuple[asyncio.subprocess.Process, str]
) -> None:
    process, target = echo_server

    async with open_channel(target, settings(collector)) as channel:
        stub: Any = echo_service_pb2_grpc.EchoServiceStub(channel)
        with acting_as(CALLER):
            await stub.Echo(EchoRequest(text=QUESTION))
            for kind in ("not_found", "unlisted"):
                await failure_of(stub.Echo(EchoRequest(fail_with=kind)))
            async for _ in stub.StreamEcho(EchoRequest(repeat=2)):
                pass
    process.send_signal(signal.SIGTERM)
    await process.wait()  # what it has not told by then is lost
    stop_telemetry()

    served_calls = [each for each in collector.spans if each.service == "echo"]
    made_calls = [each for each in collector.spans if each.service == "test"]
    outcomes = [
        (each.attributes["rpc.response.status_code"], each.is_error, each.attributes.get("diglot.reason"))
        for each in served_calls
        if each.name == ECHO
    ]
    assert outcomes == [
        ("OK", False, None),
        ("NOT_FOUND", False, "ECHO_NOT_FOUND"),
        ("INTERNAL", True, "UNEXPECTED"),
    ]
    assert [each.is_error for each in made_calls if each.name == ECHO] == [False, True, True]
    assert [each.parent_id for each in served_calls] == [each.span_id for each in made_calls]
    assert one(served_calls, name="diglot.echo.v1.EchoService/StreamEcho").kind == SERVER
    assert all(each.ended_ns >= each.started_ns for each in collector.spans)
    assert (made_calls[0].attributes["server.address"], f"127.0.0.1:{made_calls[0].attributes['server.port']}") == (
        "127.0.0.1",
        target,
    )
    told = repr(collector.spans) + repr(collector.points)
    assert SECRET_TEXT not in told
    assert QUESTION not in told
    counts = {
        point.attributes["rpc.response.status_code"]: point.count
        for point in collector.points
        if point.name == "rpc.server.call.duration" and point.attributes["rpc.method"] == ECHO
    }
    assert counts == {"OK": 1, "NOT_FOUND": 1, "INTERNAL": 1}


@pytest.mark.usefixtures("_telling")
async def test_a_call_that_was_tried_again_is_one_span_over_all_that_served_it(
    collector: OtlpCollector, echo_server: tuple[asyncio.subprocess.Process, str]
) -> None:
    _, target = echo_server

    async with open_channel(target, settings(collector)) as channel:
        stub: Any = echo_service_pb2_grpc.EchoServiceStub(channel)
        with acting_as(CALLER):
            await stub.Echo(EchoRequest(text="again", fail_times=2))
            slow = stub.Echo(EchoRequest(delay_ms=60_000))
            slow.cancel()
    served_calls = collector.wait_for(lambda seen: [each for each in seen.named(ECHO) if each.service == "echo"][2:])
    stop_telemetry()

    tried, cancelled = [each for each in collector.named(ECHO) if each.service == "test"]
    assert (tried.attributes["rpc.response.status_code"], tried.is_error) == ("OK", False)
    assert (cancelled.attributes["rpc.response.status_code"], cancelled.is_error) == ("CANCELLED", True)
    assert served_calls
    by_outcome = [
        (each.parent_id, each.attributes["rpc.response.status_code"])
        for each in collector.named(ECHO)
        if each.service == "echo" and each.parent_id == tried.span_id
    ]
    assert by_outcome == [(tried.span_id, code) for code in ("UNAVAILABLE", "UNAVAILABLE", "OK")]


@asynccontextmanager
async def echo_function(monkeypatch: pytest.MonkeyPatch, **env: str) -> AsyncIterator[tuple[LambdaCluster, Any]]:
    env = {"DIGLOT_INTERNAL_KEY": INTERNAL_KEY, **env}
    echo = Function("echo", "tests.echo.handler.handler", env=env, max_concurrency=1)
    async with LambdaCluster([echo]) as cluster:
        for name, value in cluster.caller_environment().items():
            monkeypatch.setenv(name, value)
        async with open_channel("lambda:echo", TransportSettings(internal_key=INTERNAL_KEY)) as channel:
            with acting_as(CALLER):
                yield cluster, echo_service_pb2_grpc.EchoServiceStub(channel)


def failed_exports(cluster: LambdaCluster) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in cluster.logs("echo").splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "telemetry.export_failed"]


@pytest.mark.parametrize(
    ("status", "cause"),
    [(None, "ConnectionError"), (301, "Redirected"), (401, "HTTP 401"), (503, "not taken in time")],
)
async def test_a_dead_collector_fails_no_call_and_is_told_of_once(
    collector: OtlpCollector, monkeypatch: pytest.MonkeyPatch, status: int | None, cause: str
) -> None:
    collector.status = status or 200
    endpoint = "http://127.0.0.1:9" if status is None else collector.endpoint  # the discard port: nobody listens

    async with echo_function(monkeypatch, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as (cluster, stub):
        texts = [(await stub.Echo(EchoRequest(text=str(number)))).text for number in range(5)]
        await stub.Echo(EchoRequest(delay_ms=2_500))  # the SDK tries for two seconds
        await stub.Echo(EchoRequest())
        failures = failed_exports(cluster)

    assert texts == ["0", "1", "2", "3", "4"]
    assert [(each["destination"], each["cause"]) for each in failures] == [("otlp", cause)]


async def test_a_collector_that_hangs_holds_up_no_call(
    collector: OtlpCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.delay_seconds = 600.0
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "600"}

    async with echo_function(monkeypatch, **told) as (_, stub):
        # Each of these would end with DEADLINE_EXCEEDED, did the function wait for the collector.
        texts = [(await stub.Echo(EchoRequest(text=str(number)), timeout=10)).text for number in range(5)]
        collector.wait_for(lambda seen: seen.is_asked)

    assert texts == ["0", "1", "2", "3", "4"]
    assert collector.spans == []


def test_opik_takes_traces_under_its_own_path_and_key_and_sees_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=of-the-collector")
    with OtlpCollector() as collector, OtlpCollector("/api/v1/private/otel") as opik:
        opik_url = opik.endpoint.removesuffix("/v1/private/otel")
        keys = {"opik_api_key": "of-opik", "opik_workspace": "acme", "opik_project_name": "diglot"}
        start_telemetry("test", settings(collector, otlp_headers="api-key=of%2Dit", opik_url_override=opik_url, **keys))
        with new_request("request-1", None), span("chat gpt-4o-mini", kind="client"):
            annotate({"gen_ai.usage.input_tokens": 17})
        stop_telemetry()

    (to_opik,), to_collector = opik.exports, collector.exports
    assert to_opik.path == "/api/v1/private/otel/v1/traces"
    assert (to_opik.headers["authorization"], to_opik.headers["comet-workspace"]) == ("of-opik", "acme")
    assert to_opik.headers["projectname"] == "diglot"
    assert to_opik.headers["content-type"] == "application/x-protobuf"
    assert "api-key" not in to_opik.headers
    assert {each.path: each.headers["api-key"] for each in to_collector} == {
        "/v1/traces": "of-it",
        "/v1/metrics": "of-it",
    }
    assert all("authorization" not in each.headers for each in to_collector)
    assert opik.named("chat gpt-4o-mini")[0].attributes["gen_ai.usage.input_tokens"] == 17
    assert os.environ["OTEL_EXPORTER_OTLP_HEADERS"] == "api-key=of-the-collector"


def fail_in_chat() -> None:
    with span("chat gpt-4o-mini", {"gen_ai.request.model": "gpt-4o-mini"}):
        annotate({"gen_ai.usage.input_tokens": 900, "gen_ai.usage.output_tokens": 40})
        raise ValueError("a secret prompt")


@pytest.mark.usefixtures("_telling")
def test_steps_nest_and_what_is_annotated_belongs_to_the_innermost(collector: OtlpCollector) -> None:
    with new_request("request-1", f"00-{TRACE_ID}-{PARENT_ID}-01"), span("answer"):
        annotate({"diglot.sources": 3})
        with pytest.raises(ValueError, match="secret"):
            fail_in_chat()
    stop_telemetry()

    answer, chat = one(collector.spans, name="answer"), one(collector.spans, name="chat gpt-4o-mini")
    assert (chat.trace_id, chat.parent_id, chat.kind) == (TRACE_ID, answer.span_id, INTERNAL)
    assert (answer.attributes["diglot.sources"], answer.is_error) == (3, False)
    assert (chat.attributes["error.type"], chat.is_error, chat.status_message) == ("ValueError", True, "")
    assert "secret" not in repr(collector.spans)
    tokens = {
        point.attributes["gen_ai.token.type"]: point.total
        for point in collector.points
        if point.name == "gen_ai.client.token.usage"
    }
    assert tokens == {"input": 900, "output": 40}


@pytest.mark.usefixtures("_telling")
def test_what_the_caller_does_not_sample_is_measured_and_not_traced(collector: OtlpCollector) -> None:
    with new_request("request-1", f"00-{TRACE_ID}-{PARENT_ID}-00"), span("chat", {"gen_ai.usage.input_tokens": 5}):
        pass
    stop_telemetry()

    assert collector.spans == []
    assert [point.name for point in collector.points] == ["gen_ai.client.token.usage"]
