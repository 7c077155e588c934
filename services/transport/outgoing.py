"""What surrounds every call made, on either transport: deadline, claim, request id, trace, retries.

`OutgoingChannel` wraps the channel that carries the bytes. Not client interceptors: those cost a task per call.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

import grpc

from services.transport.deadlines import call_timeout_seconds, inside_served_call
from services.transport.identity import CLAIM_KEY, ClaimSigner, current_caller
from services.transport.incoming import OPEN_SERVICES
from services.transport.observing import Fact, Observation, begin, is_traced
from services.transport.retries import RetriedCall, RetryBudget, is_idempotent
from services.transport.telemetry import (
    REQUEST_ID_KEY,
    TRACEPARENT_KEY,
    RequestContext,
    current_request,
    make_request,
)

Metadata = Iterable[tuple[str, str | bytes]]


class OutgoingCalls:
    """What all calls of one channel share."""

    def __init__(
        self,
        *,
        signer: ClaimSigner,
        timeout_seconds: float,
        budget: RetryBudget | None = None,
        facts: Mapping[str, Fact] | None = None,
    ) -> None:
        """`facts` are told of each call's span: the transport and the callee."""
        self.signer = signer
        self.timeout_seconds = timeout_seconds
        self.budget = budget or RetryBudget()
        self.facts = facts or {}

    def metadata(
        self, given: Metadata | None, request: RequestContext, *, claimed: bool
    ) -> tuple[tuple[str, str | bytes], ...]:
        """Metadata of a call: what the caller gave, and what it did not give of claim, request id and trace.

        Raises NoCaller: the method needs a claim and nobody is calling.
        """
        ours: tuple[tuple[str, str | bytes], ...] = (
            (REQUEST_ID_KEY, request.request_id),
            (TRACEPARENT_KEY, request.traceparent),
        )
        if not given:
            return (*ours, (CLAIM_KEY, self.signer.sign(current_caller()))) if claimed else ours
        theirs = tuple(given)
        present = {key for key, _ in theirs}
        if claimed and CLAIM_KEY not in present:
            ours = (*ours, (CLAIM_KEY, self.signer.sign(current_caller())))
        return (*theirs, *(pair for pair in ours if pair[0] not in present))


class _OutgoingMethod:
    def __init__(self, calls: OutgoingCalls, method: str, inner: Any) -> None:
        self._calls = calls
        self._method = method
        self._inner = inner
        self._claimed = not method.startswith(OPEN_SERVICES)
        self._retried: bool | None = None

    def _begin(self, given: Metadata | None) -> tuple[tuple[tuple[str, str | bytes], ...], Observation | None]:
        """The call's metadata, and its span where somebody is told of it. Questions about health have none."""
        request = current_request()
        if not (self._claimed and is_traced()):
            request = request or make_request(None, None)
            return self._calls.metadata(given, request, claimed=self._claimed), None
        request = make_request(None, None) if request is None else request.child()
        metadata = self._calls.metadata(given, request, claimed=True)
        name = self._method[1:]
        return metadata, begin("rpc.client", name, request, {**self._calls.facts, "rpc.method": name})


def _end_with(call: Any, observation: Observation | None) -> None:
    if observation is not None:
        call.add_done_callback(functools.partial(_end, observation))


def _end(observation: Observation, call: Any) -> None:
    code = _code_of_ended(call)
    observation.attributes["rpc.response.status_code"] = code.name
    observation.end(None if code is grpc.StatusCode.OK else code.name)


def _code_of_ended(call: Any) -> grpc.StatusCode:
    """The status of a call that has ended: its `code()` waits for nothing then, so that no task is needed for it."""
    asked = call.code()
    try:
        asked.send(None)
    except StopIteration as told:
        code: grpc.StatusCode = told.value
        return code
    except asyncio.CancelledError:
        return grpc.StatusCode.CANCELLED
    asked.close()
    return grpc.StatusCode.UNKNOWN


class OutgoingUnaryUnary(_OutgoingMethod, grpc.aio.UnaryUnaryMultiCallable[Any, Any]):
    def __call__(
        self, request: Any, *, timeout: float | None = None, metadata: Metadata | None = None, **options: Any
    ) -> grpc.aio.UnaryUnaryCall[Any, Any]:
        calls = self._calls
        timeout = call_timeout_seconds(timeout, calls.timeout_seconds)
        sent, observation = self._begin(metadata)
        attempt = functools.partial(self._inner, request, metadata=sent, **options)
        if self._retried is None:  # at the first call: stubs are often made before their descriptors are needed
            self._retried = is_idempotent(self._method)
        if not self._retried or inside_served_call():
            call: grpc.aio.UnaryUnaryCall[Any, Any] = attempt(timeout=timeout)
        else:
            call = RetriedCall(lambda remaining: attempt(timeout=remaining), timeout, calls.budget)
        _end_with(call, observation)
        return call


class OutgoingUnaryStream(_OutgoingMethod, grpc.aio.UnaryStreamMultiCallable[Any, Any]):
    """Streams are not retried: what has been delivered cannot be taken back."""

    def __call__(
        self, request: Any, *, timeout: float | None = None, metadata: Metadata | None = None, **options: Any
    ) -> grpc.aio.UnaryStreamCall[Any, Any]:
        timeout = call_timeout_seconds(timeout, self._calls.timeout_seconds)
        sent, observation = self._begin(metadata)
        call: grpc.aio.UnaryStreamCall[Any, Any] = self._inner(request, timeout=timeout, metadata=sent, **options)
        _end_with(call, observation)
        return call


class OutgoingStreamUnary(_OutgoingMethod, grpc.aio.StreamUnaryMultiCallable[Any, Any]):
    def __call__(
        self,
        request_iterator: AsyncIterator[Any] | Iterator[Any] | None = None,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        *options: Any,
        **named_options: Any,
    ) -> grpc.aio.StreamUnaryCall[Any, Any]:
        timeout = call_timeout_seconds(timeout, self._calls.timeout_seconds)
        sent, observation = self._begin(metadata)
        call: grpc.aio.StreamUnaryCall[Any, Any] = self._inner(
            request_iterator, timeout, sent, *options, **named_options
        )
        _end_with(call, observation)
        return call


class OutgoingStreamStream(_OutgoingMethod, grpc.aio.StreamStreamMultiCallable[Any, Any]):
    def __call__(
        self,
        request_iterator: AsyncIterator[Any] | Iterator[Any] | None = None,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        *options: Any,
        **named_options: Any,
    ) -> grpc.aio.StreamStreamCall[Any, Any]:
        timeout = call_timeout_seconds(timeout, self._calls.timeout_seconds)
        sent, observation = self._begin(metadata)
        call: grpc.aio.StreamStreamCall[Any, Any] = self._inner(
            request_iterator, timeout, sent, *options, **named_options
        )
        _end_with(call, observation)
        return call


class OutgoingChannel(grpc.aio.Channel):
    """A channel that adds to every call what the callee expects of it."""

    def __init__(self, inner: grpc.aio.Channel, calls: OutgoingCalls) -> None:
        self._inner = inner
        self._calls = calls

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> OutgoingUnaryUnary:
        return OutgoingUnaryUnary(self._calls, method, self._inner.unary_unary(method, *args, **kwargs))

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> OutgoingUnaryStream:
        return OutgoingUnaryStream(self._calls, method, self._inner.unary_stream(method, *args, **kwargs))

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> OutgoingStreamUnary:
        return OutgoingStreamUnary(self._calls, method, self._inner.stream_unary(method, *args, **kwargs))

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> OutgoingStreamStream:
        return OutgoingStreamStream(self._calls, method, self._inner.stream_stream(method, *args, **kwargs))

    async def __aenter__(self) -> OutgoingChannel:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._inner.__aexit__(kind, error, trace)

    async def close(self, grace: float | None = None) -> None:
        await self._inner.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._inner.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._inner.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._inner.channel_ready()
