"""The contract over the invoke envelope, in one process: channel, JSON, server, and nothing between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.transport.claim_check import LocalClaimChecks
from services.transport.identity import ClaimSigner
from services.transport.lambda_channel import LambdaChannel
from services.transport.lambda_invoke import InvokeReply
from services.transport.lambda_server import LambdaServer, make_lambda_server
from services.transport.outgoing import OutgoingCalls, OutgoingChannel
from tests.contract.transport.calling_contract import (
    IdentityContract,
    RetryContract,
    TelemetryContract,
)
from tests.contract.transport.failure_contract import FailureContract, HealthContract
from tests.contract.transport.transport_contract import (
    KEY,
    SETTINGS,
    Carrier,
    TransportContract,
)
from tests.echo.servicer import EchoServicer, define_echo


class DirectInvoker:
    """Hands the payload to a server of this process, through JSON as an invoke would."""

    def __init__(self, server: LambdaServer) -> None:
        self._server = server

    async def invoke(self, function: str, payload: bytes, timeout_seconds: float) -> InvokeReply:
        # Shielded: a caller that stops waiting does not stop a function.
        running = asyncio.create_task(self._server.handle(json.loads(payload), remaining_ms=60_000))
        return InvokeReply(json.dumps(await asyncio.shield(running)).encode())

    async def close(self) -> None:
        pass


class OverTheEnvelope:
    @pytest.fixture
    async def carrier(self, tmp_path: Path) -> AsyncIterator[Carrier]:
        settings = SETTINGS.model_copy(update={"claim_check_dir": tmp_path / "claims"})
        claim_checks = LocalClaimChecks(tmp_path / "claims", ttl_seconds=60)
        invoker = DirectInvoker(make_lambda_server(define_echo(EchoServicer()), settings))
        calls = OutgoingCalls(signer=ClaimSigner(KEY), timeout_seconds=SETTINGS.call_timeout_seconds)
        async with (
            OutgoingChannel(LambdaChannel("echo", invoker, claim_checks=claim_checks), calls) as channel,
            LambdaChannel("echo", invoker, claim_checks=claim_checks) as bare,
        ):
            yield Carrier(channel, bare, streams_requests=False)


class TestTransport(OverTheEnvelope, TransportContract):
    pass


class TestFailures(OverTheEnvelope, FailureContract):
    pass


class TestHealth(OverTheEnvelope, HealthContract):
    pass


class TestIdentity(OverTheEnvelope, IdentityContract):
    pass


class TestTelemetry(OverTheEnvelope, TelemetryContract):
    pass


class TestRetries(OverTheEnvelope, RetryContract):
    pass
