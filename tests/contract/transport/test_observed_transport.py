"""Calls mean the same when somebody is told of them: the contract once more, with every line read that is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import grpc
import pytest

from services.transport.observing import start_telemetry, stop_telemetry
from tests.contract.transport.calling_contract import RetryContract, TelemetryContract
from tests.contract.transport.failure_contract import FailureContract
from tests.contract.transport.test_envelope_transport import OverTheEnvelope
from tests.contract.transport.test_grpc_transport import OverGrpc
from tests.contract.transport.transport_contract import SETTINGS, CalledContract, Carrier, TransportContract, failure_of
from tests.echo.echo_service_pb2 import EchoRequest
from tests.emf_format import read_emf


@pytest.fixture(autouse=True)
def _observed() -> Iterator[None]:
    start_telemetry("echo", SETTINGS.model_copy(update={"metrics": "emf"}))
    yield
    stop_telemetry()


def totals(capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    """What has been told of the service since the last look, summed."""
    told: Counter[str] = Counter()
    for line in capsys.readouterr().out.splitlines():
        for metric in read_emf(line):
            if set(metric.dimensions) == {"service"}:
                told[metric.name] += metric.value  # type: ignore[assignment]  # a sum of floats
    return dict(told)


class SizeContract(CalledContract):
    """What is counted of a call."""

    async def test_bytes_of_request_and_response_are_those_on_the_wire(
        self, carrier: Carrier, capsys: pytest.CaptureFixture[str]
    ) -> None:
        request = EchoRequest(text="hello", padding=b"x" * 1_000, padding_bytes=2_000)

        response = await carrier.stub.Echo(request)

        told = totals(capsys)
        assert told["rpc.server.request.size"] == request.ByteSize()
        assert told["rpc.server.response.size"] == response.ByteSize()
        assert told["errors"] == 0

    async def test_a_stream_counts_all_its_messages(self, carrier: Carrier, capsys: pytest.CaptureFixture[str]) -> None:
        messages = [message async for message in carrier.stub.StreamEcho(EchoRequest(text="hello", repeat=3))]

        assert totals(capsys)["rpc.server.response.size"] == sum(message.ByteSize() for message in messages)

    async def test_only_what_the_service_failed_at_counts_as_an_error(
        self, carrier: Carrier, capsys: pytest.CaptureFixture[str]
    ) -> None:
        await failure_of(carrier.stub.Echo(EchoRequest(fail_with="not_found")))
        refused = totals(capsys)
        await failure_of(carrier.stub.Echo(EchoRequest(fail_with="unlisted")))
        failed = totals(capsys)

        assert (refused["errors"], failed["errors"]) == (0, 1)

    async def test_a_status_set_without_an_error_is_told(
        self, carrier: Carrier, capsys: pytest.CaptureFixture[str]
    ) -> None:
        failure = await failure_of(carrier.stub.Echo(EchoRequest(fail_with="set_code")))

        assert failure.code is grpc.StatusCode.DATA_LOSS
        assert totals(capsys)["errors"] == 1


class TestTransportOverGrpc(OverGrpc, TransportContract):
    pass


class TestFailuresOverGrpc(OverGrpc, FailureContract):
    pass


class TestTelemetryOverGrpc(OverGrpc, TelemetryContract):
    pass


class TestRetriesOverGrpc(OverGrpc, RetryContract):
    pass


class TestSizesOverGrpc(OverGrpc, SizeContract):
    pass


class TestTransportOverTheEnvelope(OverTheEnvelope, TransportContract):
    pass


class TestFailuresOverTheEnvelope(OverTheEnvelope, FailureContract):
    pass


class TestTelemetryOverTheEnvelope(OverTheEnvelope, TelemetryContract):
    pass


class TestRetriesOverTheEnvelope(OverTheEnvelope, RetryContract):
    pass


class TestSizesOverTheEnvelope(OverTheEnvelope, SizeContract):
    pass
