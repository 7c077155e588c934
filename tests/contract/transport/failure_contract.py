"""How failures arrive, and how health is told, whatever carries the call."""

from __future__ import annotations

import time
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.transport.errors import FieldViolation, RemoteFailure, read_failure
from tests.contract.transport.transport_contract import (
    CalledContract,
    CarriedContract,
    Carrier,
    failure_of,
    metadata_of,
)
from tests.echo.echo_service_pb2 import EchoRequest, EchoResponse
from tests.echo.servicer import PASSED_ON, SECRET_TEXT

ECHO = "echo.diglot"
FAILED_CALLS = {
    "not_found": RemoteFailure(grpc.StatusCode.NOT_FOUND, "ECHO_NOT_FOUND", ECHO, "no such echo", {"name": "echoes/7"}),
    "invalid": RemoteFailure(
        grpc.StatusCode.INVALID_ARGUMENT,
        "ECHO_INVALID",
        ECHO,
        "text is too loud",
        fields=(FieldViolation("text", "text is too loud"),),
    ),
    "busy": RemoteFailure(grpc.StatusCode.UNAVAILABLE, "ECHO_BUSY", ECHO, "come back later"),
    "very_busy": RemoteFailure(
        grpc.StatusCode.UNAVAILABLE, "ECHO_BUSY", ECHO, "come back a little later", retry_after_seconds=0.01
    ),
    "exhausted": RemoteFailure(
        grpc.StatusCode.RESOURCE_EXHAUSTED, "ECHO_EXHAUSTED", ECHO, "no more echoes today", retry_after_seconds=7
    ),
    "conflict": RemoteFailure(
        grpc.StatusCode.FAILED_PRECONDITION, "ECHO_CONFLICT", ECHO, "die Höhle ist verschüttet – 洞窟"
    ),
    "passed_on": PASSED_ON,
    "unlisted": RemoteFailure(grpc.StatusCode.INTERNAL, "UNEXPECTED", ECHO, "The service failed unexpectedly."),
}


class FailureContract(CalledContract):
    """How failures arrive."""

    @pytest.mark.parametrize("name", FAILED_CALLS)
    async def test_a_domain_error_arrives_with_its_details(self, carrier: Carrier, name: str) -> None:
        assert await failure_of(carrier.stub.EchoOnce(EchoRequest(fail_with=name))) == FAILED_CALLS[name]

    @pytest.mark.parametrize("name", FAILED_CALLS)
    async def test_a_failing_stream_arrives_with_the_same_details(self, carrier: Carrier, name: str) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in carrier.stub.StreamEcho(EchoRequest(repeat=1, fail_with=name)):
                pass

        assert read_failure(caught.value) == FAILED_CALLS[name]
        assert caught.value.details() == FAILED_CALLS[name].message

    async def test_an_unlisted_error_reveals_nothing(self, carrier: Carrier) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await carrier.stub.Echo(EchoRequest(fail_with="unlisted"))

        told = f"{caught.value.details()} {caught.value.trailing_metadata()} {caught.value.debug_error_string()}"
        assert SECRET_TEXT not in told
        assert "ValueError" not in told

    async def test_a_failed_call_still_brings_the_metadata_set_before(self, carrier: Carrier) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await carrier.stub.Echo(EchoRequest(fail_with="conflict"))

        assert metadata_of(caught.value.trailing_metadata())["echo-trailing-bin"] == b"\x01\xfe"

    async def test_an_abort_by_hand_is_left_alone(self, carrier: Carrier) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await carrier.stub.Echo(EchoRequest(fail_with="abort"))

        assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE
        assert caught.value.details() == "aborted by hand"
        assert metadata_of(caught.value.trailing_metadata()) == {"echo-abort": "yes"}

    async def test_a_status_set_by_hand_is_left_alone(self, carrier: Carrier) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await carrier.stub.Echo(EchoRequest(fail_with="set_code"))

        assert caught.value.code() is grpc.StatusCode.DATA_LOSS
        assert caught.value.details() == "set by hand"

    async def test_an_unknown_method_is_unimplemented(self, carrier: Carrier) -> None:
        method: Any = carrier.channel.unary_unary(
            "/diglot.echo.v1.EchoService/Shout",
            request_serializer=EchoRequest.SerializeToString,
            response_deserializer=EchoResponse.FromString,
        )

        failure = await failure_of(method(EchoRequest()))

        assert (failure.code, failure.reason) == (grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN")
        assert failure.domain == "transport.diglot"


HealthStatus = health_pb2.HealthCheckResponse


class HealthContract(CarriedContract):
    """grpc.health.v1, which anybody may ask."""

    @pytest.mark.parametrize(
        ("name", "status"),
        [
            ("", HealthStatus.SERVING),
            ("diglot.echo.v1.EchoService", HealthStatus.SERVING),
            ("fine", HealthStatus.SERVING),
            ("raising", HealthStatus.NOT_SERVING),
        ],
    )
    async def test_health_is_told_without_a_claim(self, carrier: Carrier, name: str, status: int) -> None:
        stub = health_pb2_grpc.HealthStub(carrier.bare)

        response = await stub.Check(health_pb2.HealthCheckRequest(service=name))

        assert response.status == status

    async def test_health_needs_no_caller(self, carrier: Carrier) -> None:
        response = await health_pb2_grpc.HealthStub(carrier.channel).Check(health_pb2.HealthCheckRequest())

        assert response.status == HealthStatus.SERVING

    async def test_a_check_that_hangs_is_not_serving_after_two_seconds(self, carrier: Carrier) -> None:
        started_at = time.monotonic()

        response = await health_pb2_grpc.HealthStub(carrier.bare).Check(
            health_pb2.HealthCheckRequest(service="hanging"), timeout=10
        )

        assert response.status == HealthStatus.NOT_SERVING
        assert time.monotonic() - started_at < 6

    async def test_an_unknown_name_is_not_found(self, carrier: Carrier) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health_pb2_grpc.HealthStub(carrier.bare).Check(health_pb2.HealthCheckRequest(service="nobody"))

        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
