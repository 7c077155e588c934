"""A `grpc.aio.Channel` over Lambda invokes: generated stubs work on it unchanged."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar

import grpc

from services.transport.claim_check import ClaimCheckStore, open_claim_checks
from services.transport.envelope import Pairs, pack_call, unpack_reply
from services.transport.errors import (
    ENVELOPE_FAILURES,
    TRANSPORT_DOMAIN,
    BodyDamaged,
    ClaimCheckUnavailable,
    EnvelopeInvalid,
    PayloadTooLarge,
    describe_error,
    streaming_unsupported,
    transport_failure,
)
from services.transport.lambda_calls import (
    LambdaStreamCall,
    LambdaUnaryCall,
    Outcome,
    RefusedStreamStreamCall,
    RefusedStreamUnaryCall,
    failed_outcome,
)
from services.transport.lambda_invoke import BotoInvoker, Invoker, read_function_error
from services.transport.settings import TransportSettings

_NO_DEADLINE_SECONDS = 900.0  # Lambda's own limit
_USER_AGENT = ("user-agent", "diglot-lambda-channel/1")

Serializer = Callable[[Any], bytes]
Deserializer = Callable[[bytes], Any]
Metadata = Iterable[tuple[str, str | bytes]]
Tracked = TypeVar("Tracked", LambdaUnaryCall, LambdaStreamCall)


class _LambdaMethod:
    def __init__(
        self, channel: LambdaChannel, method: str, serialize: Serializer | None, deserialize: Deserializer | None
    ) -> None:
        self._channel = channel
        self._method = method
        self._serialize = serialize or bytes
        self._deserialize = deserialize or bytes

    async def _exchange(self, request: Any, timeout_seconds: float | None, metadata: Metadata | None) -> Outcome:
        channel = self._channel
        timeout_ms = None if timeout_seconds is None else round(timeout_seconds * 1_000, 3)
        sent: Pairs = (_USER_AGENT, *(metadata or ()))
        try:
            payload = await pack_call(self._method, sent, timeout_ms, self._serialize(request), channel.claim_checks)
        except (PayloadTooLarge, ClaimCheckUnavailable) as error:
            return failed_outcome(describe_error(error, ENVELOPE_FAILURES[type(error)], TRANSPORT_DOMAIN))
        reply = await channel.invoker.invoke(channel.function, payload, timeout_seconds or _NO_DEADLINE_SECONDS)
        if reply.failed:
            return failed_outcome(read_function_error(reply.payload))
        try:
            answer = await unpack_reply(reply.payload, channel.claim_checks)
        except EnvelopeInvalid:
            # Not our caller's fault, so not INVALID_ARGUMENT: the function is another one than we took it for.
            return failed_outcome(transport_failure(grpc.StatusCode.INTERNAL, "REPLY_INVALID"))
        except (BodyDamaged, ClaimCheckUnavailable) as error:
            return failed_outcome(describe_error(error, ENVELOPE_FAILURES[type(error)], TRANSPORT_DOMAIN))
        return Outcome(
            answer.status,
            answer.details,
            [self._deserialize(message) for message in answer.messages],
            answer.initial_metadata,
            answer.trailing_metadata,
        )


class LambdaUnaryUnary(_LambdaMethod, grpc.aio.UnaryUnaryMultiCallable[Any, Any]):
    def __call__(
        self, request: Any, *, timeout: float | None = None, metadata: Metadata | None = None, **options: Any
    ) -> LambdaUnaryCall:
        self._channel.check_open()

        async def exchange() -> Outcome:
            outcome = await self._exchange(request, timeout, metadata)
            if outcome.code is grpc.StatusCode.OK and len(outcome.messages) != 1:
                return failed_outcome(transport_failure(grpc.StatusCode.INTERNAL, "REPLY_INVALID"))
            return outcome

        return self._channel.track(LambdaUnaryCall(exchange, timeout))


class LambdaUnaryStream(_LambdaMethod, grpc.aio.UnaryStreamMultiCallable[Any, Any]):
    def __call__(
        self, request: Any, *, timeout: float | None = None, metadata: Metadata | None = None, **options: Any
    ) -> LambdaStreamCall:
        self._channel.check_open()
        return self._channel.track(LambdaStreamCall(lambda: self._exchange(request, timeout, metadata), timeout))


async def _refuse() -> Outcome:
    return failed_outcome(streaming_unsupported())


class LambdaStreamUnary(grpc.aio.StreamUnaryMultiCallable[Any, Any]):
    """Refuses: one invoke carries one request."""

    def __call__(
        self, request_iterator: Any = None, timeout: float | None = None, metadata: Any = None, *args: Any, **kw: Any
    ) -> RefusedStreamUnaryCall:
        return RefusedStreamUnaryCall(_refuse, timeout)


class LambdaStreamStream(grpc.aio.StreamStreamMultiCallable[Any, Any]):
    """Refuses: one invoke carries one request."""

    def __call__(
        self, request_iterator: Any = None, timeout: float | None = None, metadata: Any = None, *args: Any, **kw: Any
    ) -> RefusedStreamStreamCall:
        return RefusedStreamStreamCall(_refuse, timeout)


class LambdaChannel(grpc.aio.Channel):
    """Calls one function. Unary and server-streaming methods; a stream's messages arrive together.

    The caller stops waiting at its deadline, and at once when it cancels; the function goes on to its own deadline,
    because an invoke cannot be taken back.
    """

    def __init__(self, function: str, invoker: Invoker, *, claim_checks: ClaimCheckStore | None = None) -> None:
        self.function = function
        self.invoker = invoker
        self.claim_checks = claim_checks
        self._closed = asyncio.Event()
        self._calls: weakref.WeakSet[Any] = weakref.WeakSet()

    def check_open(self) -> None:
        """Raises UsageError once the channel is closed, as a gRPC channel does."""
        if self._closed.is_set():
            raise grpc.aio.UsageError("Channel is closed.")

    def track(self, call: Tracked) -> Tracked:
        """Remember a call, so that closing the channel ends it."""
        self._calls.add(call)
        return call

    def unary_unary(
        self,
        method: str,
        request_serializer: Serializer | None = None,
        response_deserializer: Deserializer | None = None,
        _registered_method: bool | None = False,
    ) -> LambdaUnaryUnary:
        return LambdaUnaryUnary(self, method, request_serializer, response_deserializer)

    def unary_stream(
        self,
        method: str,
        request_serializer: Serializer | None = None,
        response_deserializer: Deserializer | None = None,
        _registered_method: bool | None = False,
    ) -> LambdaUnaryStream:
        return LambdaUnaryStream(self, method, request_serializer, response_deserializer)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> LambdaStreamUnary:
        return LambdaStreamUnary()

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> LambdaStreamStream:
        return LambdaStreamStream()

    async def __aenter__(self) -> LambdaChannel:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        if self._closed.is_set():
            return
        self._closed.set()
        calls = [call for call in self._calls if not call.done()]
        if calls and grace:
            await asyncio.wait([asyncio.ensure_future(call.code()) for call in calls], timeout=grace)
        for call in calls:
            call.cancel()
        await self.invoker.close()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return grpc.ChannelConnectivity.SHUTDOWN if self._closed.is_set() else grpc.ChannelConnectivity.READY

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        if last_observed_state is self.get_state():
            await self._closed.wait()

    async def channel_ready(self) -> None:
        """Ready as soon as it is open: each call finds its own connection."""


def open_lambda_channel(function: str, settings: TransportSettings) -> LambdaChannel:
    """A channel to a function of this account and region, by name, name:alias or ARN."""
    return LambdaChannel(function, BotoInvoker(), claim_checks=open_claim_checks(settings))
