"""Retries: by the first caller of a chain only, for UNAVAILABLE only, of methods marked idempotent only.

A service that is itself serving a call never retries: three attempts at each of three hops would be twenty-seven. The
budget keeps retries below a tenth of the traffic when a callee is down for long (as gRPC's own retry throttling does).
A callee that asks for a pause of a second or more is not asked again: that wait is the client's to decide on.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Generator
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool

from services.transport.errors import read_failure

MAX_ATTEMPTS = 3
_FIRST_BACKOFF_SECONDS = 0.05
_MAX_BACKOFF_SECONDS = 1.0

Call = grpc.aio.UnaryUnaryCall[Any, Any]


def is_idempotent(method: str) -> bool:
    """Whether the contract says that running `/package.Service/Method` twice does no harm; unknown methods: no."""
    service_name, _, method_name = method.strip("/").rpartition("/")
    try:
        service = descriptor_pool.Default().FindServiceByName(service_name)
    except KeyError:
        return False
    found = service.methods_by_name.get(method_name)
    if found is None:
        return False
    level = found.GetOptions().idempotency_level
    return bool(level != descriptor_pb2.MethodOptions.IDEMPOTENCY_UNKNOWN)


class RetryBudget:
    """A bucket of tokens per channel: a retry takes one, a success puts a tenth of one back."""

    def __init__(self, capacity: int = 10) -> None:
        # Counted in tenths: ten tenths as floats are not quite one.
        self._capacity = self._tenths = capacity * 10

    def take(self) -> bool:
        """Spend a token. False: the budget is spent, do not retry."""
        if self._tenths < 10:
            return False
        self._tenths -= 10
        return True

    def refill(self) -> None:
        """Note a success."""
        if self._tenths < self._capacity:
            self._tenths += 1


def backoff_seconds(attempt: int, *, draw: Callable[[], float] = random.random) -> float:
    """Wait before the attempt after this one (counted from 1): full jitter under a doubling cap."""
    return draw() * min(_MAX_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2.0 ** (attempt - 1))


class RetriedCall(grpc.aio.UnaryUnaryCall[Any, Any]):
    """A unary call that starts over when it may; everything else is asked of the latest attempt.

    The first attempt begins at once, as with any call. While it succeeds this costs no task of its own.
    """

    def __init__(self, attempt: Callable[[float], Call], timeout_seconds: float, budget: RetryBudget) -> None:
        self._attempt = attempt
        self._ends_at = time.monotonic() + timeout_seconds
        self._budget = budget
        self._call = attempt(timeout_seconds)
        self._retrying: asyncio.Task[None] | None = None
        self._callbacks: list[Callable[[Any], None]] = []
        self._settled = False
        self._cancelled = False

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._response().__await__()

    async def _response(self) -> Any:
        if not self._settled and self._retrying is None:
            try:
                response = await self._call
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    self._finish()
                    raise
            except asyncio.CancelledError:
                self.cancel()
                raise
            else:
                self._budget.refill()
                self._finish()
                return response
        await self._settle()
        return await self._call

    async def _settle(self) -> None:
        """Return when the latest attempt is the last one."""
        if self._settled:
            return
        try:
            if self._retrying is None:
                if await self._call.code() is not grpc.StatusCode.UNAVAILABLE:
                    self._finish()
                    return
                # Another awaiter of this call may have begun to retry meanwhile.
                if self._retrying is None:
                    self._retrying = asyncio.create_task(self._start_over())
            await asyncio.shield(self._retrying)
        except asyncio.CancelledError:
            self.cancel()
            raise

    async def _start_over(self) -> None:
        for attempt in range(1, MAX_ATTEMPTS):
            wait = await self._wait_seconds(attempt)
            # Whoever asks for a pause this long is down, not busy: better to say so than to let a person wait.
            if wait >= _MAX_BACKOFF_SECONDS:
                break
            if self._cancelled or time.monotonic() + wait >= self._ends_at or not self._budget.take():
                break
            await asyncio.sleep(wait)
            self._call = self._attempt(self._ends_at - time.monotonic())
            if await self._call.code() is not grpc.StatusCode.UNAVAILABLE:
                break
        self._finish()

    async def _wait_seconds(self, attempt: int) -> float:
        try:
            await self._call
        except grpc.aio.AioRpcError as error:
            return max(backoff_seconds(attempt), read_failure(error).retry_after_seconds or 0.0)
        return 0.0

    def _finish(self) -> None:
        if self._settled:
            return
        self._settled = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def cancel(self) -> bool:
        if self._settled:
            return self._call.cancel()
        self._cancelled = True
        if self._retrying is not None:
            self._retrying.cancel()
        cancelled = self._call.cancel() or self._retrying is not None
        self._finish()
        return cancelled

    def cancelled(self) -> bool:
        return self._cancelled or self._call.cancelled()

    def done(self) -> bool:
        return self._settled or (self._retrying is None and self._call.done())

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        if self._settled:
            callback(self)
        else:
            self._callbacks.append(callback)

    def time_remaining(self) -> float | None:
        return max(0.0, self._ends_at - time.monotonic())

    async def initial_metadata(self) -> Any:
        await self._settle()
        return await self._call.initial_metadata()

    async def trailing_metadata(self) -> Any:
        await self._settle()
        return await self._call.trailing_metadata()

    async def code(self) -> grpc.StatusCode:
        await self._settle()
        return await self._call.code()

    async def details(self) -> str:
        await self._settle()
        return await self._call.details() or ""

    async def wait_for_connection(self) -> None:
        await self._call.wait_for_connection()
