"""What one internal hop costs over the barest call of the same kind.

Both are called in turn, in rounds, in one run; a ratio is the median of its rounds. Calls are small, so that the cost
per call shows. Logging is on, as in production, into nowhere.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import grpc

from services.transport.channels import open_channel
from services.transport.envelope import pack_call
from services.transport.identity import Caller, ClaimSigner, acting_as
from services.transport.serving import ServiceDefinition, serving
from services.transport.settings import TransportSettings
from services.transport.telemetry import BufferedHandler, JsonFormatter
from tests.echo import echo_service_pb2_grpc
from tests.echo.echo_service_pb2 import EchoRequest, EchoResponse
from tests.lambda_cluster import Function, LambdaCluster

GRPC_ROUNDS, GRPC_CALLS = 40, 50
LAMBDA_ROUNDS, LAMBDA_CALLS = 30, 20
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


async def _seconds_per_call(call: Call, calls: int) -> float:
    started_at = time.perf_counter()
    for _ in range(calls):
        await call()
    return (time.perf_counter() - started_at) / calls


async def _compare(ours: Call, bare: Call, *, rounds: int, calls: int) -> tuple[float, float, float]:
    """(median ratio, our median milliseconds, the bare call's)."""
    for call in (bare, ours):
        await _seconds_per_call(call, calls)  # connections, caches and clients are made by the first calls
    ours_seconds: list[float] = []
    bare_seconds: list[float] = []
    for turn in range(rounds):
        pairs = [(bare, bare_seconds), (ours, ours_seconds)]
        for call, seconds in reversed(pairs) if turn % 2 else pairs:
            seconds.append(await _seconds_per_call(call, calls))
    ratio = statistics.median(mine / other for mine, other in zip(ours_seconds, bare_seconds, strict=True))
    return ratio, statistics.median(ours_seconds) * 1_000, statistics.median(bare_seconds) * 1_000


@contextmanager
def _logging_into_nowhere() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with Path(os.devnull).open("w") as nowhere:
        handler = BufferedHandler(nowhere)
        handler.setFormatter(JsonFormatter("echo"))
        root.handlers[:] = [handler]
        root.setLevel(logging.INFO)
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)


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
        ratio, ours_ms, bare_ms = await _compare(
            lambda: ours.Echo(REQUEST), lambda: bare.Echo(REQUEST), rounds=GRPC_ROUNDS, calls=GRPC_CALLS
        )
    await server.stop(None)
    return {"hop_grpc_over_bare_unary": ratio, "hop_grpc_ms": ours_ms, "bare_unary_ms": bare_ms}


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

    async def invoke(function: str) -> object:
        reply = json.loads(client.invoke(FunctionName=function, Payload=payload)["Payload"].read())
        if "status" in reply and reply["status"] != "OK":
            raise RuntimeError(reply["details"])
        return reply

    async with open_channel("lambda:echo", settings) as channel:
        stub: Any = echo_service_pb2_grpc.EchoServiceStub(channel)
        same, ours_ms, bare_ms = await _compare(
            lambda: stub.Echo(REQUEST), lambda: invoke("echo"), rounds=LAMBDA_ROUNDS, calls=LAMBDA_CALLS
        )
        plain, _, plain_ms = await _compare(
            lambda: stub.Echo(REQUEST), lambda: invoke("plain"), rounds=LAMBDA_ROUNDS, calls=LAMBDA_CALLS
        )
    client.close()
    return {
        "hop_lambda_over_bare_invoke": same,
        "hop_lambda_over_plain_function": plain,
        "hop_lambda_ms": ours_ms,
        "bare_invoke_ms": bare_ms,
        "plain_function_ms": plain_ms,
    }


def measure() -> dict[str, float]:
    """Ratios of our hop over a bare one, and the medians they come from.

    `hop_grpc_over_bare_unary`: our channel and server over grpc.aio alone. `hop_lambda_over_bare_invoke`: our channel
    over boto3 `invoke` with the same payload and the same function. `hop_lambda_over_plain_function`: our channel and
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
