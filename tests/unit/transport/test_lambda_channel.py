from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc
import pytest

from services.transport.errors import read_failure
from services.transport.lambda_channel import LambdaChannel
from services.transport.lambda_invoke import InvokeReply, read_function_error
from tests.echo import echo_service_pb2_grpc
from tests.echo.echo_service_pb2 import EchoRequest


class HangingInvoker:
    """Never answers; remembers what it was asked."""

    def __init__(self) -> None:
        self.payloads: list[dict[str, Any]] = []
        self.closed = False

    async def invoke(self, function: str, payload: bytes, timeout_seconds: float) -> InvokeReply:
        self.payloads.append(json.loads(payload))
        await asyncio.sleep(3_600)
        raise AssertionError

    async def close(self) -> None:
        self.closed = True


class FailingInvoker(HangingInvoker):
    """Has a fault of its own."""

    async def invoke(self, function: str, payload: bytes, timeout_seconds: float) -> InvokeReply:
        raise ZeroDivisionError("secret")


def stub_on(invoker: HangingInvoker) -> tuple[LambdaChannel, Any]:
    channel = LambdaChannel("echo", invoker)
    return channel, echo_service_pb2_grpc.EchoServiceStub(channel)


async def test_the_caller_stops_waiting_though_the_invoke_hangs() -> None:
    _, stub = stub_on(HangingInvoker())

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Echo(EchoRequest(), timeout=0.02)

    assert read_failure(caught.value).reason == "DEADLINE_EXCEEDED"


async def test_the_remaining_time_travels_in_milliseconds() -> None:
    invoker = HangingInvoker()
    _, stub = stub_on(invoker)

    with pytest.raises(grpc.aio.AioRpcError):
        await stub.Echo(EchoRequest(), timeout=0.0255)

    assert invoker.payloads[0]["timeout_ms"] == 25.5


async def test_closing_the_channel_cancels_its_calls_and_releases_the_invoker() -> None:
    invoker = HangingInvoker()
    channel, stub = stub_on(invoker)
    call = stub.Echo(EchoRequest())
    await asyncio.sleep(0)

    await channel.close()
    await channel.close()

    assert await call.code() is grpc.StatusCode.CANCELLED
    assert invoker.closed
    assert channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN
    with pytest.raises(grpc.aio.UsageError):
        stub.Echo(EchoRequest())


async def test_a_fault_of_our_own_is_internal_and_reveals_nothing() -> None:
    _, stub = stub_on(FailingInvoker())

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Echo(EchoRequest())

    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(caught.value)


async def test_an_open_channel_is_ready() -> None:
    channel, _ = stub_on(HangingInvoker())

    await channel.channel_ready()

    assert channel.get_state() is grpc.ChannelConnectivity.READY


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [
        (
            {"errorMessage": "2026-11-21T07:00:00Z 1b2c Task timed out after 3.00 seconds"},
            grpc.StatusCode.DEADLINE_EXCEEDED,
            "FUNCTION_TIMED_OUT",
        ),
        (
            {"errorType": "Sandbox.Timedout", "errorMessage": ""},
            grpc.StatusCode.DEADLINE_EXCEEDED,
            "FUNCTION_TIMED_OUT",
        ),
        ({"errorType": "Function.ResponseSizeTooLarge"}, grpc.StatusCode.RESOURCE_EXHAUSTED, "PAYLOAD_TOO_LARGE"),
        ({"errorType": "Runtime.ExitError"}, grpc.StatusCode.UNAVAILABLE, "FUNCTION_ERROR"),
        ("text", grpc.StatusCode.UNAVAILABLE, "FUNCTION_ERROR"),
        (None, grpc.StatusCode.UNAVAILABLE, "FUNCTION_ERROR"),
    ],
)
def test_a_function_error_is_read_by_its_kind(payload: object, code: grpc.StatusCode, reason: str) -> None:
    failure = read_function_error(json.dumps(payload).encode())

    assert (failure.code, failure.reason) == (code, reason)


def test_a_function_error_that_is_no_json_is_unavailable() -> None:
    assert read_function_error(b"<html>").code is grpc.StatusCode.UNAVAILABLE
