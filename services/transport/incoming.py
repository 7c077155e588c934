"""What surrounds every served call on either transport: request ids and logs, the caller's claim, mapped errors.

One interceptor does all three, and wraps each method once: what it adds to a call is a few microseconds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from contextvars import ContextVar
from types import TracebackType
from typing import Any

import grpc

from services.transport.deadlines import enter_served_call
from services.transport.errors import (
    STATUS_CODES,
    STATUS_DETAILS_KEY,
    TRANSPORT_DOMAIN,
    UNEXPECTED_MESSAGE,
    ClaimRefused,
    Failure,
    RemoteFailure,
    describe_error,
    find_failure,
    status_details,
)
from services.transport.identity import CLAIM_KEY, ClaimVerifier, enter_caller
from services.transport.observing import Fact, Observation, begin, is_observed
from services.transport.telemetry import REQUEST_ID_KEY, TRACEPARENT_KEY, enter_request, make_request

logger = logging.getLogger(__name__)

# Orchestrators and operators' tools ask these without knowing the internal key; they reveal nothing of a tenant.
OPEN_SERVICES = ("/grpc.health.v1.Health/", "/grpc.reflection.")

# Those by which a server says that it failed itself, as OpenTelemetry's conventions for gRPC have it.
_SERVER_ERRORS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
# Set where a request is read, which is in the same task as what serves it.
_request_bytes: ContextVar[int] = ContextVar("diglot_request_bytes", default=0)

_UNEXPECTED = Failure(grpc.StatusCode.INTERNAL, "UNEXPECTED")


class ServedCalls(grpc.aio.ServerInterceptor):
    """Wraps the methods of one service. It must be the last interceptor, because it remembers the handlers it wraps."""

    def __init__(
        self,
        *,
        domain: str,
        failures: Mapping[type[Exception], Failure],
        verifier: ClaimVerifier,
        system: str = "grpc",
    ) -> None:
        self.domain = domain
        self.failures = failures
        self.verifier = verifier
        self.system = system
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        method: str = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is not None:
            return wrapped
        handler = await continuation(handler_call_details)
        # None: nobody knows the method; the server itself answers UNIMPLEMENTED.
        if handler is None or method.startswith(OPEN_SERVICES):
            return handler
        wrapped = self._wrap(method, handler)
        self._wrapped[method] = wrapped
        return wrapped

    def _wrap(self, method: str, handler: Any) -> grpc.RpcMethodHandler[Any, Any]:
        behaviour = handler.unary_unary or handler.stream_unary or handler.unary_stream or handler.stream_stream
        read, write = handler.request_deserializer, handler.response_serializer
        # Sizes are counted only for whom they are told to: then responses are serialized here, and not again later.
        is_counted = is_observed() and read is not None and write is not None
        serialize = write

        def read_counted(data: bytes) -> Any:
            _request_bytes.set(len(data))
            return handler.request_deserializer(data)

        if is_counted:
            read, write = read_counted, None

        async def answer_once(request: Any, context: Any) -> Any:
            async with ServedCall(self, method, context) as call:
                call.admit()
                response = await behaviour(request, context)
                return call.counted(serialize(response)) if is_counted and response is not None else response

        async def answer_in_stream(request: Any, context: Any) -> AsyncIterator[Any]:
            async with ServedCall(self, method, context) as call:
                call.admit()
                # A client that hangs up must stop the servicer's generator too, and whatever it holds open.
                async with aclosing(behaviour(request, context)) as messages:
                    async for message in messages:
                        yield call.counted(serialize(message)) if is_counted else message

        make: Any
        if handler.response_streaming:
            make = grpc.stream_stream_rpc_method_handler if handler.request_streaming else None
            make = make or grpc.unary_stream_rpc_method_handler
            return make(answer_in_stream, read, write)  # type: ignore[no-any-return]
        make = (
            grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
        )
        return make(answer_once, read, write)  # type: ignore[no-any-return]


class ServedCall:
    """One call from its metadata to its log line and its span."""

    __slots__ = ("_calls", "_claim", "_context", "_method", "_observation", "_started_at")

    def __init__(self, calls: ServedCalls, method: str, context: Any) -> None:
        self._calls = calls
        self._method = method
        self._context = context

    async def __aenter__(self) -> ServedCall:
        self._started_at = time.perf_counter()
        claim = request_id = traceparent = None
        for key, value in self._context.invocation_metadata() or ():
            if key == CLAIM_KEY:
                claim = value
            elif key == REQUEST_ID_KEY:
                request_id = value
            elif key == TRACEPARENT_KEY:
                traceparent = value
        self._claim = claim
        request = make_request(request_id, traceparent)
        enter_request(request)
        self._observation: Observation | None = None
        if is_observed():
            name = self._method[1:]
            facts: dict[str, Fact] = {"rpc.system.name": self._calls.system, "rpc.method": name}
            self._observation = begin("rpc.server", name, request, facts)
            if self._observation is not None:
                self._observation.request_bytes = _request_bytes.get()
        enter_served_call(self._context.time_remaining())
        return self

    def counted(self, message: bytes) -> bytes:
        """The message, whose bytes are added to those of the response."""
        if self._observation is not None:
            self._observation.response_bytes += len(message)
        return message

    def admit(self) -> None:
        """Let the caller in. Raises ClaimRefused."""
        enter_caller(self._calls.verifier.verify(self._claim))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, grpc.aio.AbortError | GeneratorExit):
            self._log(_code_of(self._context))
            return
        if isinstance(error, asyncio.CancelledError):
            remaining = self._context.time_remaining()
            late = remaining is not None and remaining <= 0
            self._log(grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED)
            return
        if not isinstance(error, Exception):
            return
        failure = self._describe(error)
        if failure is None:
            failure = RemoteFailure(_UNEXPECTED.code, _UNEXPECTED.reason, self._calls.domain, UNEXPECTED_MESSAGE)
            logger.error("rpc.failed", exc_info=error, extra=self._facts(failure.code, failure.reason))
            self._end(failure.code, failure.reason)
        else:
            self._log(failure.code, failure.reason)
        trailers = (*(self._context.trailing_metadata() or ()), (STATUS_DETAILS_KEY, status_details(failure)))
        await self._context.abort(failure.code, failure.message, trailers)

    def _describe(self, error: Exception) -> RemoteFailure | None:
        remote = getattr(error, "remote", None)
        if isinstance(remote, RemoteFailure):
            return remote
        if isinstance(error, ClaimRefused):
            refusal = Failure(grpc.StatusCode.UNAUTHENTICATED, error.reason)
            return describe_error(error, refusal, self._calls.domain)
        listed = find_failure(self._calls.failures, error)
        if listed is not None:
            return describe_error(error, listed, self._calls.domain)
        # The generated base class sets UNIMPLEMENTED and raises for a method that a servicer leaves out.
        if isinstance(error, NotImplementedError) and _code_of(self._context) is grpc.StatusCode.UNIMPLEMENTED:
            unknown = Failure(grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN")
            return describe_error(error, unknown, TRANSPORT_DOMAIN)
        return None

    def _log(self, code: grpc.StatusCode, reason: str | None = None) -> None:
        if logger.isEnabledFor(logging.INFO):
            # One line for each call: what logger.info does besides, finding its caller for one, is left out.
            record = logging.LogRecord(logger.name, logging.INFO, __file__, 0, "rpc.served", None, None)
            record.__dict__.update(self._facts(code, reason))
            logger.handle(record)
        self._end(code, reason)

    def _end(self, code: grpc.StatusCode, reason: str | None) -> None:
        if self._observation is None:
            return
        self._observation.attributes["rpc.response.status_code"] = code.name
        if reason is not None:
            self._observation.attributes["diglot.reason"] = reason
        self._observation.end(code.name if code in _SERVER_ERRORS else None)

    def _facts(self, code: grpc.StatusCode, reason: str | None) -> dict[str, object]:
        elapsed_ms = round((time.perf_counter() - self._started_at) * 1_000, 3)
        facts: dict[str, object] = {"method": self._method, "status": code.name, "elapsed_ms": elapsed_ms}
        if reason is not None:
            facts["reason"] = reason
        return facts


def _code_of(context: Any) -> grpc.StatusCode:
    """The status set so far. grpc.aio keeps it as a number, our own context as the enum."""
    code = context.code()
    if isinstance(code, int):
        return STATUS_CODES.get(code, grpc.StatusCode.UNKNOWN)
    return code if isinstance(code, grpc.StatusCode) else grpc.StatusCode.OK
