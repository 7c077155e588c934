"""What a service carries on when it calls another while it serves a call itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from services.transport.channels import open_channel
from services.transport.errors import PassedOn, read_failure
from services.transport.identity import acting_as
from services.transport.serving import serving
from services.transport.telemetry import new_request
from tests.contract.transport.failure_contract import FAILED_CALLS
from tests.contract.transport.transport_contract import CALLER, SETTINGS, failure_of, unique
from tests.echo import echo_service_pb2_grpc
from tests.echo.echo_service_pb2 import EchoRequest
from tests.echo.servicer import EchoServicer, define_echo


class Relay(EchoServicer):
    """Asks the next echo service, and passes its failures on."""

    def __init__(self, next_stub: Any) -> None:
        super().__init__()
        self._next = next_stub

    async def Echo(self, request: Any, context: Any) -> Any:
        self.calls[request.text] += 1
        try:
            return await self._next.Echo(request)
        except grpc.aio.AioRpcError as error:
            raise PassedOn(read_failure(error)) from error


class Unfinished(echo_service_pb2_grpc.EchoServiceServicer):
    """Leaves every method to the generated base class."""


Unfinished.__abstractmethods__ = frozenset()


@dataclass(frozen=True)
class Chain:
    stub: Any
    relay: Relay
    end: EchoServicer


@pytest.fixture
async def chain() -> AsyncIterator[Chain]:
    end = EchoServicer()
    async with (
        serving(define_echo(end), listen="127.0.0.1:0", settings=SETTINGS) as end_target,
        open_channel(end_target, SETTINGS) as between,
    ):
        relay = Relay(echo_service_pb2_grpc.EchoServiceStub(between))
        async with (
            serving(define_echo(relay), listen="127.0.0.1:0", settings=SETTINGS) as relay_target,
            open_channel(relay_target, SETTINGS) as channel,
        ):
            with acting_as(CALLER):
                yield Chain(echo_service_pb2_grpc.EchoServiceStub(channel), relay, end)


async def test_identity_request_and_trace_reach_the_end(chain: Chain) -> None:
    with acting_as(CALLER), new_request("request-9", None) as request:
        response = await chain.stub.Echo(EchoRequest())

    assert (response.tenant, response.subject) == ("acme", "ada")
    assert response.metadata["diglot-request-id"] == "request-9"
    _, trace_id, span_id, _ = response.metadata["traceparent"].split("-")
    assert trace_id == request.trace_id
    assert span_id != request.span_id  # the relay's own


async def test_the_end_gets_less_time_than_the_relay(chain: Chain) -> None:
    with acting_as(CALLER):
        response = await chain.stub.Echo(EchoRequest(), timeout=2)

    assert 1_000 < response.remaining_ms < 2_000


async def test_a_failure_at_the_end_arrives_unchanged(chain: Chain) -> None:
    for name in ("not_found", "invalid", "exhausted", "passed_on"):
        with acting_as(CALLER):
            assert await failure_of(chain.stub.Echo(EchoRequest(fail_with=name))) == FAILED_CALLS[name]


async def test_only_the_first_caller_tries_again(chain: Chain) -> None:
    text = unique("chain")

    with acting_as(CALLER):
        response = await chain.stub.Echo(EchoRequest(text=text, fail_times=2))

    assert response.call_count == 3
    assert (chain.relay.calls[text], chain.end.calls[text]) == (3, 3)


async def test_a_method_a_servicer_leaves_out_is_unimplemented() -> None:
    async with (
        serving(define_echo(Unfinished()), listen="127.0.0.1:0", settings=SETTINGS) as target,  # type: ignore[abstract,arg-type]
        open_channel(target, SETTINGS) as channel,
    ):
        with acting_as(CALLER):
            stub: Any = echo_service_pb2_grpc.EchoServiceStub(channel)
            unary = await failure_of(stub.EchoOnce(EchoRequest()))
            streamed = await failure_of(stub.StreamEcho(EchoRequest()).read())

    assert (unary.code, unary.reason) == (grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN")
    assert streamed == unary
