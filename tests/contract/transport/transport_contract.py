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

from services.transport.errors import RemoteFailure, read_failure
from services.transport.identity import Caller, acting_as
from services.transport.settings import TransportSettings
from tests.echo import echo_service_pb2_grpc
from tests.echo.echo_service_pb2 import EchoRequest

KEY = "an internal key of the tests, long enough"
CALLER = Caller("acme", "ada", frozenset({"user", "admin"}))
SETTINGS = TransportSettings(internal_key=KEY, call_timeout_seconds=20)

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


class CarriedContract:
    """What every suite of a transport needs: the transport."""

    @pytest.fixture
    async def carrier(self) -> Any:
        raise AssertionError("each transport gives its own")


class CalledContract(CarriedContract):
    """The same, for calls that somebody makes."""

    @pytest.fixture(autouse=True)
    def _caller(self) -> Iterator[None]:
        with acting_as(CALLER):
            yield


class TransportContract(CalledContract):
    """Calls that succeed, what they carry, and how they end early."""

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
        assert 0.25 < time.monotonic() - started_at < 4

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
