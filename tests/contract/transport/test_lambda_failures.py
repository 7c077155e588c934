"""What can go wrong between a caller and a function, over real invokes and real processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
import pytest

from services.transport.channels import open_channel
from services.transport.identity import acting_as
from services.transport.settings import TransportSettings
from tests.contract.transport.transport_contract import CALLER, KEY, SETTINGS, failure_of
from tests.echo import echo_service_pb2_grpc
from tests.echo.echo_service_pb2 import EchoRequest
from tests.echo.servicer import SECRET_TEXT
from tests.lambda_cluster import Function, FunctionNotReady, LambdaCluster

ENV = {"DIGLOT_INTERNAL_KEY": KEY}
ECHO = "tests.echo.handler.handler"
WILD = "tests.echo.wild_handlers"

FUNCTIONS = [
    Function("echo", ECHO, env=ENV, max_concurrency=1, timeout_seconds=10),
    Function("sleeping", f"{WILD}.sleep", timeout_seconds=1),
    Function("crashing", f"{WILD}.crash"),
    Function("failing", f"{WILD}.fail"),
    Function("foreign", f"{WILD}.greet"),
    Function("flooding", f"{WILD}.flood"),
    Function("broken", "tests.echo.broken_handler.handler", env=ENV),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[LambdaCluster]:
    with LambdaCluster(FUNCTIONS, warm=False) as cluster:
        yield cluster


Stubs = Callable[[str], AbstractAsyncContextManager[Any]]


@pytest.fixture
def stub_of(cluster: LambdaCluster, monkeypatch: pytest.MonkeyPatch) -> Stubs:
    for name, value in cluster.caller_environment().items():
        monkeypatch.setenv(name, value)

    @asynccontextmanager
    async def open_stub(name: str, settings: TransportSettings = SETTINGS) -> AsyncIterator[Any]:
        async with open_channel(f"lambda:{name}", settings) as channel:
            with acting_as(CALLER):
                yield echo_service_pb2_grpc.EchoServiceStub(channel)

    return open_stub


async def test_a_function_past_its_timeout_is_deadline_exceeded(stub_of: Stubs) -> None:
    async with stub_of("sleeping") as stub:
        failure = await failure_of(stub.EchoOnce(EchoRequest()))

    assert (failure.code, failure.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "FUNCTION_TIMED_OUT")


async def test_a_caller_waits_no_longer_than_its_deadline_for_a_function_that_hangs(stub_of: Stubs) -> None:
    async with stub_of("sleeping") as stub:
        failure = await failure_of(stub.EchoOnce(EchoRequest(), timeout=0.3))

    # After its own second the function would have been reported as timed out.
    assert (failure.code, failure.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")


@pytest.mark.parametrize("name", ["crashing", "failing", "broken"])
async def test_a_function_error_is_unavailable_and_reveals_nothing(stub_of: Stubs, name: str) -> None:
    async with stub_of(name) as stub:
        failure = await failure_of(stub.EchoOnce(EchoRequest()))

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "FUNCTION_ERROR")
    assert (failure.domain, failure.message) == ("transport.diglot", "The function failed.")
    assert SECRET_TEXT.encode() not in failure.status_bytes


async def test_an_initialisation_that_fails_is_tried_anew_with_each_call(
    stub_of: Stubs, cluster: LambdaCluster
) -> None:
    async with stub_of("broken") as stub:
        await failure_of(stub.EchoOnce(EchoRequest()))
        starts = cluster.logs("broken").count("function.init_failed")
        await failure_of(stub.EchoOnce(EchoRequest()))

    assert cluster.logs("broken").count("function.init_failed") > starts
    assert '"error": "ConnectionError"' in cluster.logs("broken")
    assert SECRET_TEXT not in cluster.logs("broken")


def test_a_warm_cluster_tells_which_function_cannot_be_initialised() -> None:
    cluster = LambdaCluster([Function("broken", "tests.echo.broken_handler.handler", env=ENV)])

    with pytest.raises(FunctionNotReady, match=r"broken cannot be initialised"):
        cluster.start()


async def test_a_throttled_call_is_resource_exhausted_and_says_how_long_to_wait(
    stub_of: Stubs, cluster: LambdaCluster
) -> None:
    async with stub_of("echo") as stub:
        await stub.Echo(EchoRequest())
        running = stub.Echo(EchoRequest(delay_ms=1_000))
        await asyncio.sleep(0.3)

        failure = await failure_of(stub.Echo(EchoRequest()))
        await running

    assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "FUNCTION_THROTTLED")
    assert failure.retry_after_seconds == 1


async def test_a_killed_process_is_replaced_for_the_next_call(stub_of: Stubs, cluster: LambdaCluster) -> None:
    async with stub_of("echo") as stub:
        await stub.Echo(EchoRequest())
        running = stub.EchoOnce(EchoRequest(delay_ms=5_000))
        await asyncio.sleep(0.3)

        cluster.kill("echo")

        assert (await failure_of(running)).reason == "FUNCTION_ERROR"
        assert (await stub.Echo(EchoRequest(text="again"))).text == "again"


async def test_an_idempotent_call_survives_a_killed_process(stub_of: Stubs, cluster: LambdaCluster) -> None:
    async with stub_of("echo") as stub:
        await stub.Echo(EchoRequest())
        running = stub.Echo(EchoRequest(text="kept", delay_ms=500))
        await asyncio.sleep(0.2)

        cluster.kill("echo")

        assert (await running).text == "kept"


async def test_an_unknown_function_is_unavailable(stub_of: Stubs) -> None:
    async with stub_of("nobody") as stub:
        failure = await failure_of(stub.EchoOnce(EchoRequest()))

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "FUNCTION_UNKNOWN")


async def test_an_endpoint_nobody_serves_is_unavailable(stub_of: Stubs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:9")

    async with stub_of("echo") as stub:
        failure = await failure_of(stub.EchoOnce(EchoRequest()))

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "FUNCTION_UNREACHABLE")


async def test_missing_credentials_are_told(
    stub_of: Stubs, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    nothing = str(tmp_path_factory.mktemp("aws") / "none")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", nothing)
    monkeypatch.setenv("AWS_CONFIG_FILE", nothing)

    async with stub_of("echo") as stub:
        failure = await failure_of(stub.EchoOnce(EchoRequest()))

    assert (failure.code, failure.reason) == (grpc.StatusCode.PERMISSION_DENIED, "AWS_CONFIGURATION_MISSING")


async def test_a_reply_that_is_no_envelope_is_internal(stub_of: Stubs) -> None:
    async with stub_of("foreign") as stub:
        failure = await failure_of(stub.EchoOnce(EchoRequest()))

    assert (failure.code, failure.reason) == (grpc.StatusCode.INTERNAL, "REPLY_INVALID")


async def test_a_reply_past_the_invoke_limit_is_resource_exhausted(stub_of: Stubs) -> None:
    async with stub_of("flooding") as stub:
        failure = await failure_of(stub.EchoOnce(EchoRequest()))

    assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("request_", [EchoRequest(padding=bytes(5_000_000)), EchoRequest(padding_bytes=5_000_000)])
async def test_a_large_body_without_a_store_is_refused_naming_the_limit(stub_of: Stubs, request_: EchoRequest) -> None:
    async with stub_of("echo") as stub:
        failure = await failure_of(stub.EchoOnce(request_))

    assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "PAYLOAD_TOO_LARGE")
    assert "4,200,000" in failure.message


async def test_the_largest_inline_bodies_fit_into_an_invoke(stub_of: Stubs) -> None:
    size = 4_200_000 - 1_000

    async with stub_of("echo") as stub:
        response = await stub.Echo(EchoRequest(padding=bytes(size), padding_bytes=size))

    assert len(response.padding) == size


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ([], "event"),
        ({}, "version"),
        ({"version": 2}, "version"),
        ({"version": 1, "method": "Echo"}, "method"),
        ({"version": 1, "method": "/a.B/C", "timeout_ms": "soon", "metadata": []}, "timeout_ms"),
        ({"version": 1, "method": "/a.B/C", "metadata": {"a": "b"}}, "metadata"),
        ({"version": 1, "method": "/a.B/C", "metadata": [["a-bin", "%"]]}, "metadata"),
        ({"version": 1, "method": "/a.B/C", "metadata": []}, "body"),
        ({"version": 1, "method": "/a.B/C", "metadata": [], "body": ""}, "sha256"),
        ({"version": 1, "method": "/a.B/C", "metadata": [], "body": "%", "sha256": ""}, "body"),
        ({"version": 1, "method": "/a.B/C", "metadata": [], "claim": "../key", "sha256": ""}, "claim"),
    ],
)
def test_a_malformed_event_is_invalid_and_names_the_part(cluster: LambdaCluster, event: object, field: str) -> None:
    result = cluster.invoke("echo", json.dumps(event).encode())

    reply = json.loads(result.payload)
    assert result.error is None
    assert reply["status"] == "INVALID_ARGUMENT"
    assert reply["details"].startswith(f"{field}: ")
