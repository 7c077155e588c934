"""Servicers behind a Lambda event: the same registration, interceptors and context as on a gRPC server."""

from __future__ import annotations

import asyncio
import atexit
import inspect
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from grpc_health.v1 import health_pb2_grpc

from services.transport.claim_check import ClaimCheckStore, open_claim_checks
from services.transport.envelope import CallEnvelope, ReplyEnvelope, pack_reply, unpack_call
from services.transport.errors import (
    ENVELOPE_FAILURES,
    STATUS_DETAILS_KEY,
    TRANSPORT_DOMAIN,
    BodyDamaged,
    ClaimCheckUnavailable,
    EnvelopeInvalid,
    EventFailed,
    PayloadTooLarge,
    RemoteFailure,
    ServiceNotOpened,
    describe_error,
    status_details,
    streaming_unsupported,
    transport_failure,
    why_not_started,
)
from services.transport.health import HealthServicer
from services.transport.identity import ClaimVerifier
from services.transport.incoming import ServedCalls
from services.transport.lambda_context import LambdaContext
from services.transport.observing import (
    begin,
    flush_before_freeze,
    is_traced,
    start_telemetry,
    stop_telemetry,
)
from services.transport.serving import OpenService, ServiceDefinition
from services.transport.settings import TransportSettings
from services.transport.telemetry import configure_logging, new_request

logger = logging.getLogger(__name__)

_MAX_MARGIN_MS = 250.0
_MARGIN_SHARE = 0.1
_CANCEL_GRACE_SECONDS = 0.1
_LAST_WORD_SECONDS = 0.05
_CLOSE_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True)
class _CallDetails(grpc.HandlerCallDetails):
    method: str
    invocation_metadata: Any


class LambdaServer(grpc.aio.Server):
    """Runs the method an event names. Unary and server-streaming methods; a stream's messages are collected."""

    def __init__(
        self, interceptors: Sequence[grpc.aio.ServerInterceptor] = (), *, claim_checks: ClaimCheckStore | None = None
    ) -> None:
        self._interceptors = tuple(interceptors)
        self._claim_checks = claim_checks
        self._generic: list[grpc.GenericRpcHandler] = []
        self._registered: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        self._generic.extend(generic_rpc_handlers)

    def add_registered_method_handlers(
        self, service: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        for name, handler in method_handlers.items():
            self._registered[f"/{service}/{name}"] = handler

    async def handle(self, event: object, *, remaining_ms: float) -> dict[str, Any]:
        """Run one invoke and return its reply envelope; never raises.

        The method gets the call's own time or what the environment has left, less a margin in which the reply can
        still be sent, whichever is shorter.
        """
        began_at = time.monotonic()
        allowed_ms = max(0.0, remaining_ms - min(_MAX_MARGIN_MS, remaining_ms * _MARGIN_SHARE))
        try:
            async with asyncio.timeout(allowed_ms / 1_000):  # a large body is fetched first
                call = await unpack_call(event, self._claim_checks)
        except TimeoutError:
            return await pack_reply(_failed(transport_failure(grpc.StatusCode.DEADLINE_EXCEEDED)), None)
        except (EnvelopeInvalid, BodyDamaged, ClaimCheckUnavailable) as error:
            failure = describe_error(error, ENVELOPE_FAILURES[type(error)], TRANSPORT_DOMAIN)
            logger.warning("envelope.refused", extra={"reason": failure.reason, "field": getattr(error, "field", None)})
            return await pack_reply(_failed(failure), None)
        left_ms = max(0.0, allowed_ms - (time.monotonic() - began_at) * 1_000)
        timeout_ms = left_ms if call.timeout_ms is None else min(call.timeout_ms, left_ms)
        reply = await self._run(call, timeout_ms / 1_000)
        left_seconds = remaining_ms / 1_000 - (time.monotonic() - began_at) - _LAST_WORD_SECONDS
        try:
            async with asyncio.timeout(left_seconds):  # a large body is stored first
                return await pack_reply(reply, self._claim_checks)
        except TimeoutError:
            failure = transport_failure(grpc.StatusCode.DEADLINE_EXCEEDED)
        except (PayloadTooLarge, ClaimCheckUnavailable) as error:
            failure = describe_error(error, ENVELOPE_FAILURES[type(error)], TRANSPORT_DOMAIN)
        except ValueError as error:
            logger.exception("reply.unsendable", exc_info=error, extra={"method": call.method})
            failure = transport_failure(grpc.StatusCode.INTERNAL)
        return await pack_reply(_failed(failure), None)

    async def _run(self, call: CallEnvelope, timeout_seconds: float) -> ReplyEnvelope:
        context = LambdaContext(call.metadata, timeout_seconds)
        messages: list[bytes] = []
        # A task of its own: it gets its own context variables, and can be left behind at the deadline.
        task = asyncio.create_task(self._dispatch(call, context, messages))
        try:
            done, _ = await asyncio.wait({task}, timeout=timeout_seconds)
        except asyncio.CancelledError:
            task.cancel()  # the environment is shutting down
            raise
        if not done:
            context.finish(cancelled=True)
            task.cancel()
            await asyncio.wait({task}, timeout=_CANCEL_GRACE_SECONDS)
            late = transport_failure(grpc.StatusCode.DEADLINE_EXCEEDED)
            return _failed(late, tuple(messages), context.initial)
        context.finish()
        failure = task.result()
        if failure is not None:
            return _failed(failure, tuple(messages), context.initial)
        return ReplyEnvelope(
            context.code(), context.details(), context.initial, context.trailing_metadata(), tuple(messages)
        )

    async def _dispatch(
        self, call: CallEnvelope, context: LambdaContext, messages: list[bytes]
    ) -> RemoteFailure | None:
        """Run the method into `context` and `messages`; a failure that is not the method's own is returned."""
        try:
            handler = await self._find(_CallDetails(call.method, call.metadata), self._interceptors)
            if handler is None:
                return transport_failure(grpc.StatusCode.UNIMPLEMENTED)
            if handler.request_streaming:
                return streaming_unsupported()
            try:
                request = handler.request_deserializer(call.body) if handler.request_deserializer else call.body
            except Exception:
                unreadable = EnvelopeInvalid("body", f"is no request of {call.method}")
                return describe_error(unreadable, ENVELOPE_FAILURES[EnvelopeInvalid], TRANSPORT_DOMAIN)
            serialize = handler.response_serializer or bytes
            if handler.response_streaming:
                await _collect(handler.unary_stream, request, context, serialize, messages)
            else:
                response = await handler.unary_unary(request, context)
                if context.code() is grpc.StatusCode.OK:
                    messages.append(serialize(response))
        except grpc.aio.AbortError:
            return None
        except Exception:
            # Methods behind ServedCalls never come here: only health, and a serializer given a wrong message.
            logger.exception("rpc.failed", extra={"method": call.method})
            return transport_failure(grpc.StatusCode.INTERNAL)
        return None

    async def _find(self, details: _CallDetails, interceptors: tuple[grpc.aio.ServerInterceptor, ...]) -> Any:
        if interceptors:

            async def proceed(passed: Any) -> Any:
                return await self._find(passed, interceptors[1:])

            return await interceptors[0].intercept_service(proceed, details)
        registered = self._registered.get(details.method)
        if registered is not None:
            return registered
        for generic in self._generic:
            handler = generic.service(details)
            if handler is not None:
                return handler
        return None

    def add_insecure_port(self, address: str) -> NoReturn:
        raise grpc.aio.UsageError("a function listens on no port")

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> NoReturn:
        raise grpc.aio.UsageError("a function listens on no port")

    async def start(self) -> None:
        """Nothing to start: events are handed to `handle`."""

    async def stop(self, grace: float | None) -> None:
        """Nothing to stop: no call outlives its `handle`."""

    async def wait_for_termination(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 -- the base class names it
        return True


async def _collect(
    behaviour: Any, request: Any, context: LambdaContext, serialize: Callable[[Any], bytes], messages: list[bytes]
) -> None:
    replies = behaviour(request, context)
    if inspect.isawaitable(replies):
        await replies
        messages.extend(serialize(message) for message in context.written)
        return
    async with aclosing(replies):
        async for message in replies:
            messages.append(serialize(message))


def _failed(
    failure: RemoteFailure, messages: tuple[bytes, ...] = (), initial: tuple[tuple[str, str | bytes], ...] = ()
) -> ReplyEnvelope:
    trailers = ((STATUS_DETAILS_KEY, status_details(failure)),)
    return ReplyEnvelope(failure.code, failure.message, initial, trailers, messages)


def make_lambda_server(definition: ServiceDefinition, settings: TransportSettings) -> LambdaServer:
    """A server of one service and its health, ready for events."""
    verifier = ClaimVerifier(settings.internal_key.get_secret_value())
    interceptor = ServedCalls(
        domain=definition.domain, failures=definition.failures, verifier=verifier, system="aws_lambda"
    )
    server = LambdaServer([interceptor], claim_checks=open_claim_checks(settings))
    definition.add_to(server)
    health = HealthServicer(definition.name, definition.checks, watchable=False)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    return server


def lambda_handler(
    open_service: OpenService, settings: TransportSettings, service_name: str
) -> Callable[[Any, Any], dict[str, Any]]:
    """Open the service now, in the environment's initialisation, and return the function that Lambda calls.

    One event loop and one lifetime per environment, so that pools and models survive from call to call.

    Raises ServiceNotOpened, after logging why: Lambda then starts the environment anew.
    """
    configure_logging(service_name)
    runner, lifetime = asyncio.Runner(), AsyncExitStack()
    try:
        start_telemetry(service_name, settings, is_function=True)
        definition = runner.run(lifetime.enter_async_context(open_service()))
    except Exception as error:
        logger.critical("function.init_failed", **why_not_started(error))
        runner.close()
        # Lambda's runtime prints what is raised, message and all, and returns it to the caller.
        raise ServiceNotOpened(f"{service_name} could not be opened") from None
    server = make_lambda_server(definition, settings)
    # Lambda sends one event at a time; the lock holds whoever else calls the handler to the same.
    one_at_a_time = threading.Lock()

    loop = runner.get_loop()

    def handle(event: Any, context: Any) -> dict[str, Any]:
        with one_at_a_time:
            remaining_ms = context.get_remaining_time_in_millis()
            taken = definition.take_event(event, remaining_ms / 1_000) if definition.take_event is not None else None
            # Not runner.run: each time it installs a SIGINT handler, which costs more than a small call does.
            try:
                work = server.handle(event, remaining_ms=remaining_ms) if taken is None else _observed(taken)
                return loop.run_until_complete(work)
            finally:
                flush_before_freeze(context)

    @atexit.register
    def close() -> None:
        try:
            runner.run(asyncio.wait_for(lifetime.aclose(), _CLOSE_TIMEOUT_SECONDS))
        except Exception as error:
            logger.warning("function.close_failed", extra={"error": type(error).__qualname__})
        runner.close()
        stop_telemetry()

    return handle


async def _observed(taken: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """What an event that is no call comes to; a request of its own, so that all it leads to is one trace.

    Raises: EventFailed: Lambda is to deliver the event again.
    """
    with new_request(None, None) as request:
        observation = begin("consumer", "process event", request, {}) if is_traced() else None
        try:
            reply = await taken
        except BaseException as error:
            if observation is not None:
                observation.end(type(error).__qualname__)
            if not isinstance(error, Exception):
                raise
            logger.exception("event.failed")
            # As with a service that could not be opened: Lambda prints the message of what is raised.
            raise EventFailed("the event could not be dealt with") from None
        if observation is not None:
            observation.end()
        return reply
