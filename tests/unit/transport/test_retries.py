from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import Any

import grpc
import pytest

from services.transport import retries
from services.transport.errors import STATUS_DETAILS_KEY, RemoteFailure, status_details
from services.transport.retries import RetriedCall, RetryBudget, backoff_seconds, is_idempotent
from tests.echo import echo_service_pb2

assert echo_service_pb2.DESCRIPTOR  # imported for its descriptors

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class FakeCall:
    """Ends with a status as soon as it is asked."""

    def __init__(self, code: grpc.StatusCode, retry_after_seconds: float | None = None) -> None:
        self._code = code
        self._failure = RemoteFailure(code, "R", "d", "m", retry_after_seconds=retry_after_seconds)
        self._cancelled = False

    def __await__(self) -> Generator[Any, Any, str]:
        return self._answer().__await__()

    async def _answer(self) -> str:
        if self._code is grpc.StatusCode.OK:
            return "answer"
        trailers = grpc.aio.Metadata((STATUS_DETAILS_KEY, status_details(self._failure)))
        raise grpc.aio.AioRpcError(self._code, grpc.aio.Metadata(), trailers)

    async def code(self) -> grpc.StatusCode:
        return self._code

    async def details(self) -> str:
        return "m"

    def done(self) -> bool:
        return True

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return self._cancelled


class Attempts:
    """Hands out the given calls, the last one for ever, and remembers the timeouts it was asked for."""

    def __init__(self, *calls: FakeCall) -> None:
        self._calls = list(calls)
        self.timeouts: list[float] = []

    def __call__(self, timeout: float) -> Any:
        self.timeouts.append(timeout)
        return self._calls.pop(0) if len(self._calls) > 1 else self._calls[0]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "backoff_seconds", lambda attempt: 0.0)


@pytest.mark.parametrize(
    ("method", "idempotent"),
    [
        ("/diglot.echo.v1.EchoService/Echo", True),
        ("/diglot.echo.v1.EchoService/EchoOnce", False),
        ("/diglot.echo.v1.EchoService/Unknown", False),
        ("/unknown.Service/Method", False),
        ("nonsense", False),
    ],
)
def test_the_contract_says_which_methods_may_be_repeated(method: str, idempotent: bool) -> None:
    assert is_idempotent(method) is idempotent


@pytest.mark.parametrize(("attempt", "cap"), [(1, 0.05), (2, 0.1), (3, 0.2), (10, 1.0)])
def test_backoff_is_drawn_from_zero_to_a_doubling_cap(attempt: int, cap: float) -> None:
    assert backoff_seconds(attempt, draw=lambda: 0.0) == 0
    assert backoff_seconds(attempt, draw=lambda: 1.0) == pytest.approx(cap)


def test_a_budget_is_spent_and_earned_back_by_tenths() -> None:
    budget = RetryBudget(capacity=2)

    assert [budget.take() for _ in range(3)] == [True, True, False]
    for _ in range(10):
        budget.refill()
    assert budget.take()
    assert not budget.take()


async def test_a_success_needs_one_attempt() -> None:
    attempts = Attempts(FakeCall(grpc.StatusCode.OK))

    assert await RetriedCall(attempts, 5, RetryBudget()) == "answer"
    assert len(attempts.timeouts) == 1


async def test_timeouts_fall_with_each_attempt() -> None:
    attempts = Attempts(FakeCall(UNAVAILABLE, 0.02), FakeCall(UNAVAILABLE, 0.02), FakeCall(grpc.StatusCode.OK))

    assert await RetriedCall(attempts, 5, RetryBudget()) == "answer"
    first, second, third = attempts.timeouts
    assert first == 5
    assert first - 0.02 >= second >= third + 0.02


@pytest.mark.parametrize("retry_after_seconds", [1, 60])
async def test_a_callee_that_asks_for_a_long_pause_gets_no_second_attempt(retry_after_seconds: float) -> None:
    attempts = Attempts(FakeCall(UNAVAILABLE, retry_after_seconds=retry_after_seconds))
    started_at = time.monotonic()

    with pytest.raises(grpc.aio.AioRpcError):
        await RetriedCall(attempts, 5, RetryBudget())

    assert len(attempts.timeouts) == 1
    assert time.monotonic() - started_at < 1


async def test_without_budget_there_is_no_second_attempt() -> None:
    attempts = Attempts(FakeCall(UNAVAILABLE))

    with pytest.raises(grpc.aio.AioRpcError):
        await RetriedCall(attempts, 5, RetryBudget(capacity=0))

    assert len(attempts.timeouts) == 1


async def test_asking_for_the_code_tries_again_too() -> None:
    call = RetriedCall(Attempts(FakeCall(UNAVAILABLE), FakeCall(grpc.StatusCode.OK)), 5, RetryBudget())

    assert await call.code() is grpc.StatusCode.OK
    assert await call == "answer"
    assert call.done()


async def test_two_who_wait_share_the_attempts() -> None:
    attempts = Attempts(FakeCall(UNAVAILABLE), FakeCall(grpc.StatusCode.OK))
    call = RetriedCall(attempts, 5, RetryBudget())

    assert set(await asyncio.gather(call.code(), call.code())) == {grpc.StatusCode.OK}
    assert len(attempts.timeouts) == 2


async def test_cancelling_between_attempts_ends_the_call() -> None:
    attempts = Attempts(FakeCall(UNAVAILABLE, retry_after_seconds=0.9))
    call = RetriedCall(attempts, 5, RetryBudget())
    finished: list[object] = []
    call.add_done_callback(finished.append)

    async def wait() -> None:
        await call

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0.01)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert call.cancelled()
    assert call.done()
    assert finished == [call]
    assert len(attempts.timeouts) == 1
