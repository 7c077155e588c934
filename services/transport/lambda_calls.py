"""Calls over an invoke, as stubs hand them out: they begin at once and end by their deadline."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc

from services.transport.envelope import Pairs
from services.transport.errors import STATUS_DETAILS_KEY, RemoteFailure, status_details, transport_failure
from services.transport.lambda_invoke import InvokeFailed

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How a call ended; `messages` are deserialized."""

    code: grpc.StatusCode
    details: str = ""
    messages: Sequence[Any] = ()
    initial_metadata: Pairs = ()
    trailing_metadata: Pairs = ()


def failed_outcome(failure: RemoteFailure) -> Outcome:
    """The outcome of a call that the transport ended."""
    return Outcome(failure.code, failure.message, trailing_metadata=((STATUS_DETAILS_KEY, status_details(failure)),))


Exchange = Callable[[], Awaitable[Outcome]]


class _LambdaCall:
    """What unary and streaming calls share."""

    def __init__(self, exchange: Exchange, timeout_seconds: float | None) -> None:
        self._ends_at = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        loop = asyncio.get_running_loop()
        self._outcome: asyncio.Future[Outcome] = loop.create_future()
        self._cancelled = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        if timeout_seconds is not None and timeout_seconds <= 0:
            self._run_out()  # before anything is sent that nobody waits for
            return
        self._task = loop.create_task(self._run(exchange))
        if timeout_seconds is not None:
            self._timer = loop.call_later(timeout_seconds, self._run_out)

    async def _run(self, exchange: Exchange) -> None:
        try:
            outcome = await exchange()
        except InvokeFailed as error:
            outcome = failed_outcome(error.failure)
        except Exception:
            logger.exception("call.failed")
            outcome = failed_outcome(transport_failure(grpc.StatusCode.INTERNAL))
        self._task = None
        self._end(outcome)

    def _run_out(self) -> None:
        self._end(failed_outcome(transport_failure(grpc.StatusCode.DEADLINE_EXCEEDED)))

    def _end(self, outcome: Outcome) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        if self._outcome.cancelled():
            # By whoever awaited it; callbacks have run, later askers need an answer.
            self._outcome = asyncio.get_running_loop().create_future()
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    async def _ended(self) -> Outcome:
        """The outcome; whoever is cancelled while waiting for it cancels the call, as over gRPC."""
        try:
            return await self._outcome
        except asyncio.CancelledError:
            self.cancel()
            raise

    def cancel(self) -> bool:
        """End the call at once with CANCELLED. The function is not told: an invoke cannot be taken back."""
        if self._outcome.done() and not self._outcome.cancelled():
            return False
        self._cancelled = True
        self._end(failed_outcome(transport_failure(grpc.StatusCode.CANCELLED)))
        return True

    def cancelled(self) -> bool:
        return self._cancelled

    def done(self) -> bool:
        return self._outcome.done()

    def time_remaining(self) -> float | None:
        return None if self._ends_at is None else max(0.0, self._ends_at - time.monotonic())

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._outcome.add_done_callback(lambda _: callback(self))

    async def initial_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata(*(await self._ended()).initial_metadata)

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata(*(await self._ended()).trailing_metadata)

    async def code(self) -> grpc.StatusCode:
        return (await self._ended()).code

    async def details(self) -> str:
        return (await self._ended()).details

    async def wait_for_connection(self) -> None:
        """Nothing to wait for: each call finds its own connection."""

    def _raise(self, outcome: Outcome) -> NoReturn:
        if self._cancelled:
            raise asyncio.CancelledError
        raise grpc.aio.AioRpcError(
            outcome.code,
            grpc.aio.Metadata(*outcome.initial_metadata),
            grpc.aio.Metadata(*outcome.trailing_metadata),
            details=outcome.details,
        )


class LambdaUnaryCall(_LambdaCall, grpc.aio.UnaryUnaryCall[Any, Any]):
    """A call with one answer."""

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._answer().__await__()

    async def _answer(self) -> Any:
        outcome = await self._ended()
        if outcome.code is not grpc.StatusCode.OK:
            self._raise(outcome)
        return outcome.messages[0]


class LambdaStreamCall(_LambdaCall, grpc.aio.UnaryStreamCall[Any, Any]):
    """A call with many answers, which arrive together; a failure comes after those that precede it."""

    _position = 0

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[Any]:
        while (message := await self.read()) is not grpc.aio.EOF:
            yield message

    async def read(self) -> Any:
        outcome = await self._ended()
        if self._cancelled:
            raise asyncio.CancelledError
        if self._position < len(outcome.messages):
            self._position += 1
            return outcome.messages[self._position - 1]
        if outcome.code is not grpc.StatusCode.OK:
            self._raise(outcome)
        return grpc.aio.EOF


class _RefusedWriting:
    """The writing side of a call whose requests nobody will read."""

    async def write(self, request: Any) -> None:
        """Without effect: the call has ended, and says so when it is read."""

    async def done_writing(self) -> None:
        """Without effect."""


class RefusedStreamUnaryCall(_RefusedWriting, LambdaUnaryCall, grpc.aio.StreamUnaryCall[Any, Any]):
    """A client-streaming call, which ends with UNIMPLEMENTED."""


class RefusedStreamStreamCall(_RefusedWriting, LambdaStreamCall, grpc.aio.StreamStreamCall[Any, Any]):
    """A bidirectional call, which ends with UNIMPLEMENTED."""
