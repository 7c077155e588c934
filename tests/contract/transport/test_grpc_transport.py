"""The contract over gRPC, on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest

from services.transport.channels import MESSAGE_OPTIONS, open_channel
from services.transport.serving import serving
from tests.contract.transport.calling_contract import (
    IdentityContract,
    RetryContract,
    TelemetryContract,
)
from tests.contract.transport.failure_contract import FailureContract, HealthContract
from tests.contract.transport.transport_contract import (
    SETTINGS,
    Carrier,
    TransportContract,
)
from tests.echo.servicer import EchoServicer, define_echo


class OverGrpc:
    @pytest.fixture
    async def carrier(self) -> AsyncIterator[Carrier]:
        async with (
            serving(define_echo(EchoServicer()), listen="127.0.0.1:0", settings=SETTINGS) as target,
            open_channel(target, SETTINGS) as channel,
            grpc.aio.insecure_channel(target, options=MESSAGE_OPTIONS) as bare,
        ):
            yield Carrier(channel, bare, streams_requests=True)


class TestTransport(OverGrpc, TransportContract):
    pass


class TestFailures(OverGrpc, FailureContract):
    pass


class TestHealth(OverGrpc, HealthContract):
    pass


class TestIdentity(OverGrpc, IdentityContract):
    pass


class TestTelemetry(OverGrpc, TelemetryContract):
    pass


class TestRetries(OverGrpc, RetryContract):
    pass
