from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from services.transport import health
from services.transport.health import HealthServicer
from services.transport.lambda_context import LambdaContext

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def _status(servicer: HealthServicer, name: str = "") -> Any:
    return (await servicer.Check(health_pb2.HealthCheckRequest(service=name), LambdaContext((), None))).status


class Counted:
    """A check that counts how often it runs."""

    def __init__(self, result: bool = True) -> None:
        self.result = result
        self.count = 0

    async def __call__(self) -> bool:
        self.count += 1
        await asyncio.sleep(0)
        return self.result


async def test_a_service_without_checks_serves_while_it_runs() -> None:
    servicer = HealthServicer("a.B", {})

    assert await _status(servicer) == SERVING
    assert await _status(servicer, "a.B") == SERVING
    servicer.stop()
    assert await _status(servicer) == NOT_SERVING


async def test_a_result_is_kept_for_a_moment_and_shared_by_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    check = Counted()
    servicer = HealthServicer("a.B", {"": check})

    assert await asyncio.gather(*(_status(servicer) for _ in range(5))) == [SERVING] * 5
    assert await _status(servicer, "a.B") == SERVING
    assert check.count == 1
    check.result = False
    monkeypatch.setattr(health, "KEPT_SECONDS", 0.0)
    assert await _status(servicer) == NOT_SERVING
    assert check.count == 2


async def test_one_who_stops_asking_does_not_stop_the_check_for_others() -> None:
    servicer = HealthServicer("a.B", {"": Counted()})
    first, second = asyncio.create_task(_status(servicer)), asyncio.create_task(_status(servicer))
    await asyncio.sleep(0)

    first.cancel()

    assert await second == SERVING


async def test_a_watcher_hears_of_changes_and_of_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_WATCH_INTERVAL_SECONDS", 0.001)
    servicer = HealthServicer("a.B", {})
    watch = servicer.Watch(health_pb2.HealthCheckRequest(service="a.B"), LambdaContext((), None))

    first = await anext(watch)
    servicer.stop()
    rest = [response.status async for response in watch]

    assert first.status == SERVING
    assert rest == [NOT_SERVING]


async def test_a_watcher_of_an_unknown_name_is_told_so_and_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "_WATCH_INTERVAL_SECONDS", 0.001)
    servicer = HealthServicer("a.B", {})
    watch = servicer.Watch(health_pb2.HealthCheckRequest(service="nobody"), LambdaContext((), None))

    assert (await anext(watch)).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    servicer.stop()
    assert [response.status async for response in watch] == []


async def test_a_function_cannot_be_watched() -> None:
    context = LambdaContext((), None)
    watch = HealthServicer("a.B", {}, watchable=False).Watch(health_pb2.HealthCheckRequest(), context)

    with pytest.raises(grpc.aio.AbortError):
        await anext(watch)

    assert context.code() is grpc.StatusCode.UNIMPLEMENTED
