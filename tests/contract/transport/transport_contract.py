"""What a call means, whatever carries it. Each transport runs every class of this module."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.transport.errors import FieldViolation, RemoteFailure, read_failure
from services.transport.identity import Caller, acting_as
from services.transport.settings import TransportSettings
from tests.echo import echo_service_pb2_grpc
from tests.echo.echo_service_pb2 import EchoRequest, EchoResponse
from tests.echo.servicer import PASSED_ON, SECRET_TEXT

KEY = "an internal key of the tests, long enough"
CALLER = Caller("acme", "ada", frozenset({"user", "admin"}))
SETTINGS = TransportSettings(internal_key=KEY, call_timeout_seconds=20)  # type: ignore[arg-type]

EIGHT_MEGABYTES = 8_000_000
ROUNDING_MS = 200  # gRPC sends timeouts rounded up


@dataclass(frozen=True)
class Carrier:
    """Two channels to one echo service: as services use it, and without anything added to calls."""

    channel: grpc.aio.Channel
    bare: grpc.aio.Channel
    streams_requests: bool

    @property
    def stub(self) -> Any:
        return echo_service_pb2_grpc.EchoServiceStub(self.channel)

    @property
    def bare_stub(self) -> Any:
        return echo_service_pb2_grpc.EchoServiceStub(self.bare)


def unique(text: str) -> str:
    """A text no other test uses: the servicer counts calls by text."""
    return f"{text}-{uuid.uuid4().hex[:8]}"


async def failure_of(call: Any) -> RemoteFailure:
    """The failure a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return read_failure(caught.value)


def metadata_of(pairs: Any) -> dict[str, Any]:
    return dict(pairs)


class TransportContract:
    """Calls that succeed, what they carry, and how they end early."""

    @pytest.fixture
    async def carrier(self) -> Any:
        raise AssertionError("each transport gives its own")

    @pytest.fixture(autouse=True)
    def _caller(self) -> Iterator[None]:
        with acting_as(CALLER):
            yield

    async def test_a_unary_call_is_answered(self, carrier: Carrier) -> None:
        response = await carrier.stub.Echo(EchoRequest(text="hello – 你好"))

        assert response.text == "hello – 你好"

    async def test_the_callee_knows_the_caller(self, carrier: Carrier) -> None:
        response = await carrier.stub.Echo(EchoRequest(text="who"))

        assert (response.tenant, response.subject) == ("acme", "ada")

    async def test_metadata_travels_to_the_callee(self, carrier: Carrier) -> None:
        response = await carrier.stub.Echo(EchoRequest(), metadata=(("mirror-text", "a value"),))

        assert response.metadata["mirror-text"] == "a value"

    async def test_binary_metadata_travels_both_ways(self, carrier: Carrier) -> None:
        call = carrier.stub.Echo(EchoRequest(), metadata=(("mirror-bytes-bin", b"\x00\x80\xff"),))

        await call

        assert metadata_of(await call.trailing_metadata())["mirror-bytes-bin"] == b"\x00\x80\xff"

    async def test_initial_and_trailing_metadata_travel_back(self, carrier: Carrier) -> None:
        call = carrier.stub.Echo(EchoRequest(), metadata=(("ask-initial", "yes"),))

        await call

        initial, trailing = metadata_of(await call.initial_metadata()), metadata_of(await call.trailing_metadata())
        assert initial["echo-initial"] == "first"
        assert initial["echo-initial-bin"] == b"\x00\xff"
        assert trailing["echo-trailing-bin"] == b"\x01\xfe"

    async def test_a_finished_call_tells_its_status(self, carrier: Carrier) -> None:
        call = carrier.stub.Echo(EchoRequest())
        finished: list[object] = []
        call.add_done_callback(finished.append)

        await call
        await asyncio.sleep(0)

        assert await call.code() is grpc.StatusCode.OK
        assert call.done()
        assert not call.cancelled()
        assert len(finished) == 1

    async def test_calls_at_the_same_time_do_not_mix(self, carrier: Carrier) -> None:
        texts = [unique("parallel") for _ in range(8)]

        responses = await asyncio.gather(*(carrier.stub.Echo(EchoRequest(text=text, delay_ms=20)) for text in texts))

        assert [response.text for response in responses] == texts

    async def test_a_large_request_arrives_whole(self, carrier: Carrier) -> None:
        text = "x" * EIGHT_MEGABYTES

        response = await carrier.stub.Echo(EchoRequest(text="short", padding=text.encode()))

        assert response.text == "short"

    async def test_a_large_response_arrives_whole(self, carrier: Carrier) -> None:
        response = await carrier.stub.Echo(EchoRequest(padding_bytes=EIGHT_MEGABYTES))

        assert len(response.padding) == EIGHT_MEGABYTES

    async def test_a_message_beyond_64_mebibytes_is_refused(self, carrier: Carrier) -> None:
        failure = await failure_of(carrier.stub.EchoOnce(EchoRequest(padding=bytes(64 * 1024 * 1024 + 1))))

        assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "PAYLOAD_TOO_LARGE")
        assert failure.domain == "transport.diglot"

    # Deadlines

    async def test_the_deadline_travels(self, carrier: Carrier) -> None:
        response = await carrier.stub.Echo(EchoRequest(), timeout=5)

        assert 3_000 < response.remaining_ms <= 5_000 + ROUNDING_MS

    async def test_a_call_without_a_deadline_gets_the_default_one(self, carrier: Carrier) -> None:
        response = await carrier.stub.Echo(EchoRequest())

        assert 15_000 < response.remaining_ms <= 20_000 + ROUNDING_MS

    async def test_the_caller_stops_waiting_at_its_deadline(self, carrier: Carrier) -> None:
        started_at = time.monotonic()

        failure = await failure_of(carrier.stub.Echo(EchoRequest(text="slow", delay_ms=5_000), timeout=0.3))

        assert (failure.code, failure.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
        assert failure.domain == "transport.diglot"
        assert 0.25 < time.monotonic() - started_at < 2

    async def test_the_callee_stops_at_the_deadline(self, carrier: Carrier) -> None:
        text = unique("stopped")

        await failure_of(carrier.stub.Echo(EchoRequest(text=text, delay_ms=60_000), timeout=0.3))

        assert await self._is_stopped(carrier, text)

    async def test_a_deadline_in_the_past_sends_nothing(self, carrier: Carrier) -> None:
        text = unique("late")

        failure = await failure_of(carrier.stub.EchoOnce(EchoRequest(text=text), timeout=0))
        response = await carrier.stub.EchoOnce(EchoRequest(text=text))

        assert failure.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert response.call_count == 1

    @staticmethod
    async def _is_stopped(carrier: Carrier, text: str) -> bool:
        """Whether the servicer says, within some seconds, that the call with this text was stopped."""
        for _ in range(50):
            call = carrier.stub.Echo(EchoRequest(text="ask"))
            await call
            if text in metadata_of(await call.trailing_metadata())["echo-cancelled"].split(","):
                return True
            await asyncio.sleep(0.1)
        return False

    # Cancellation

    async def test_cancelling_a_call_ends_it_at_once(self, carrier: Carrier) -> None:
        call = carrier.stub.Echo(EchoRequest(text="slow", delay_ms=1_500))
        await asyncio.sleep(0.1)
        started_at = time.monotonic()

        call.cancel()

        with pytest.raises(asyncio.CancelledError):
            await call
        assert call.cancelled()
        assert await call.code() is grpc.StatusCode.CANCELLED
        assert time.monotonic() - started_at < 1

    async def test_cancelling_the_waiting_task_cancels_the_call(self, carrier: Carrier) -> None:
        call = carrier.stub.Echo(EchoRequest(text="slow", delay_ms=1_500))

        async def wait() -> None:
            await call

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0.1)

        waiting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert call.cancelled()

    # Streams

    async def test_a_stream_arrives_in_order(self, carrier: Carrier) -> None:
        numbers = [message.call_count async for message in carrier.stub.StreamEcho(EchoRequest(repeat=20))]

        assert numbers == list(range(1, 21))

    async def test_an_empty_stream_ends(self, carrier: Carrier) -> None:
        assert [message async for message in carrier.stub.StreamEcho(EchoRequest(repeat=0))] == []

    async def test_a_stream_can_be_read_message_by_message(self, carrier: Carrier) -> None:
        call = carrier.stub.StreamEcho(EchoRequest(text="one", repeat=1))

        first, end = await call.read(), await call.read()

        assert first.text == "one"
        assert end is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK

    async def test_a_large_stream_arrives_whole(self, carrier: Carrier) -> None:
        call = carrier.stub.StreamEcho(EchoRequest(repeat=5, padding_bytes=2_000_000))

        assert [len(message.padding) async for message in call] == [2_000_000] * 5

    async def test_a_stream_can_fail_after_some_messages(self, carrier: Carrier) -> None:
        call = carrier.stub.StreamEcho(EchoRequest(repeat=3, fail_with="not_found"))

        numbers = [(await call.read()).call_count for _ in range(3)]

        assert numbers == [1, 2, 3]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert read_failure(caught.value).reason == "ECHO_NOT_FOUND"

    async def test_a_stream_ends_at_its_deadline(self, carrier: Carrier) -> None:
        text = unique("stream")

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in carrier.stub.StreamEcho(EchoRequest(text=text, repeat=1_000, delay_ms=100), timeout=0.4):
                pass

        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert await self._is_stopped(carrier, text)

    async def test_a_stream_can_be_cancelled(self, carrier: Carrier) -> None:
        call = carrier.stub.StreamEcho(EchoRequest(repeat=20, delay_ms=100))
        await asyncio.sleep(0.1)

        call.cancel()

        with pytest.raises(asyncio.CancelledError):
            async for _ in call:
                pass
        assert await call.code() is grpc.StatusCode.CANCELLED

    async def test_a_stream_of_requests_works_over_grpc_and_is_refused_by_functions(self, carrier: Carrier) -> None:
        async def requests() -> Any:
            for text in ("a", "b", "c"):
                yield EchoRequest(text=text)

        call = carrier.stub.CollectEcho(requests())

        if carrier.streams_requests:
            assert (await call).text == "abc"
        else:
            failure = await failure_of(call)
            assert (failure.code, failure.reason) == (grpc.StatusCode.UNIMPLEMENTED, "STREAMING_UNSUPPORTED")


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


class FailureContract:
    """How failures arrive."""

    @pytest.fixture
    async def carrier(self) -> Any:
        raise AssertionError("each transport gives its own")

    @pytest.fixture(autouse=True)
    def _caller(self) -> Iterator[None]:
        with acting_as(CALLER):
            yield

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


class HealthContract:
    """grpc.health.v1, which anybody may ask."""

    @pytest.fixture
    async def carrier(self) -> Any:
        raise AssertionError("each transport gives its own")

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
        assert time.monotonic() - started_at < 4

    async def test_an_unknown_name_is_not_found(self, carrier: Carrier) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health_pb2_grpc.HealthStub(carrier.bare).Check(health_pb2.HealthCheckRequest(service="nobody"))

        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
