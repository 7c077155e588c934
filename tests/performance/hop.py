"""What one internal hop costs over the barest call of the same kind.

All are called in turn, one call each, in one run; a ratio is that of their medians. Calls are small, so that the cost
per call shows. Logging is on, as in production, into nowhere.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any
from unittest.mock import patch

import grpc

from services.transport.channels import open_channel
from services.transport.envelope import pack_call
from services.transport.identity import Caller, ClaimSigner, acting_as
from services.transport.serving import ServiceDefinition, serving
from services.transport.settings import TransportSettings
from services.transport.telemetry import configure_logging
from tests.echo import echo_service_pb2_grpc
from tests.echo.echo_service_pb2 import EchoRequest, EchoResponse
from tests.lambda_cluster import Function, LambdaCluster
from tests.logging_state import logging_as_it_was

WARM_UP_CALLS, GRPC_CALLS, LAMBDA_CALLS = 50, 2_000, 800
KEY = "the internal key of the measurements"
CALLER = Caller("default", "local", frozenset({"user", "admin"}))
REQUEST = EchoRequest(text="How many customers do we have?")

Call = Callable[[], Awaitable[object]]


class PlainEcho(echo_service_pb2_grpc.EchoServiceServicer):
    """Does as little as a method can."""

    async def Echo(self, request: Any, context: Any) -> Any:
        return EchoResponse(text=request.text)

    async def EchoOnce(self, request: Any, context: Any) -> Any:
        return await self.Echo(request, context)

    async def StreamEcho(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield await self.Echo(request, context)

    async def CollectEcho(self, request_iterator: Any, context: Any) -> Any:
        return EchoResponse()


def _define() -> ServiceDefinition:
    return ServiceDefinition(
        name="diglot.echo.v1.EchoService",
        domain="echo.diglot",
        failures={},
        add_to=lambda server: echo_service_pb2_grpc.add_EchoServiceServicer_to_server(PlainEcho(), server),
    )


async def _compare(ours: Call, *bare: Call, calls: int) -> list[float]:
    """Median milliseconds of ours and of each bare call, made in turn so that all meet the same machine."""
    seconds: list[list[float]] = [[] for _ in (ours, *bare)]
    for turn in range(WARM_UP_CALLS + calls):
        for call, kept in zip((ours, *bare), seconds, strict=True):
            started_at = time.perf_counter()
            await call()
            if turn >= WARM_UP_CALLS:  # connections, caches and clients are made by the first calls
                kept.append(time.perf_counter() - started_at)
    return [statistics.median(kept) * 1_000 for kept in seconds]


@contextmanager
def _logging_into_nowhere() -> Iterator[None]:
    """Log as a server does, and put everything back afterwards."""
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere), logging_as_it_was():
        configure_logging("echo", buffered=True)
        yield


async def _measure_grpc(settings: TransportSettings) -> dict[str, float]:
    server = grpc.aio.server()
    echo_service_pb2_grpc.add_EchoServiceServicer_to_server(PlainEcho(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with (
        serving(_define(), listen="127.0.0.1:0", settings=settings) as target,
        open_channel(target, settings) as channel,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as bare_channel,
    ):
        ours: Any = echo_service_pb2_grpc.EchoServiceStub(channel)
        bare: Any = echo_service_pb2_grpc.EchoServiceStub(bare_channel)
        ours_ms, bare_ms = await _compare(lambda: ours.Echo(REQUEST), lambda: bare.Echo(REQUEST), calls=GRPC_CALLS)
    await server.stop(None)
    return {"hop_grpc_over_bare_unary": ours_ms / bare_ms, "hop_grpc_ms": ours_ms, "bare_unary_ms": bare_ms}


async def _measure_lambda(settings: TransportSettings, endpoint_url: str) -> dict[str, float]:
    import boto3

    client = boto3.session.Session().client("lambda", endpoint_url=endpoint_url)
    claim = ClaimSigner(KEY).sign(CALLER)
    metadata = (
        ("user-agent", "diglot-lambda-channel/1"),
        ("diglot-request-id", "0" * 32),
        ("traceparent", f"00-{'1' * 32}-{'2' * 16}-01"),
        ("diglot-claim", claim),
    )
    payload = await pack_call("/diglot.echo.v1.EchoService/Echo", metadata, 30_000.0, REQUEST.SerializeToString(), None)

    def invoke_and_wait(function: str) -> object:
        reply = json.loads(client.invoke(FunctionName=function, Payload=payload)["Payload"].read())
        if "status" in reply and reply["status"] != "OK":
            raise RuntimeError(reply["details"])
        return reply

    async def invoke(function: str) -> object:
        return invoke_and_wait(function)

    async with open_channel("lambda:echo", settings) as channel:
        stub: Any = echo_service_pb2_grpc.EchoServiceStub(channel)
        ours_ms, bare_ms, threaded_ms, plain_ms = await _compare(
            lambda: stub.Echo(REQUEST),
            lambda: invoke("echo"),
            lambda: asyncio.to_thread(invoke_and_wait, "echo"),
            lambda: invoke("plain"),
            calls=LAMBDA_CALLS,
        )
    client.close()
    return {
        "hop_lambda_over_bare_invoke": ours_ms / bare_ms,
        "hop_lambda_over_awaited_invoke": ours_ms / threaded_ms,
        "hop_lambda_over_plain_function": ours_ms / plain_ms,
        "hop_lambda_ms": ours_ms,
        "bare_invoke_ms": bare_ms,
        "awaited_invoke_ms": threaded_ms,
        "plain_function_ms": plain_ms,
    }


def measure() -> dict[str, float]:
    """Ratios of our hop over a bare one, and the medians they come from.

    `hop_grpc_over_bare_unary`: our channel and server over grpc.aio alone. `hop_lambda_over_bare_invoke`: our channel
    over boto3 `invoke` with the same payload and the same function, which blocks the event loop meanwhile;
    `hop_lambda_over_awaited_invoke`: over the same on a thread. `hop_lambda_over_plain_function`: our channel and
    server over boto3 `invoke` of a function that hands back its event.
    """
    settings = TransportSettings(internal_key=KEY)
    functions = [
        Function("echo", "tests.echo.handler.handler", env={"DIGLOT_INTERNAL_KEY": KEY}, max_concurrency=1),
        Function("plain", "tests.echo.wild_handlers.return_event", max_concurrency=1),
    ]
    with _logging_into_nowhere(), acting_as(CALLER):
        figures = asyncio.run(_measure_grpc(settings))
        with LambdaCluster(functions) as cluster, patch.dict(os.environ, cluster.caller_environment()):
            figures |= asyncio.run(_measure_lambda(settings, cluster.endpoint_url))
    return figures


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
