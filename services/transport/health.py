"""grpc.health.v1 for a service: its checks run when somebody asks, and their results are kept for a moment."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

logger = logging.getLogger(__name__)

CHECK_TIMEOUT_SECONDS = 2.0
KEPT_SECONDS = 1.0
_WATCH_INTERVAL_SECONDS = 1.0

Check = Callable[[], Awaitable[bool]]


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Answers for the service ("" or its full name) and for each further name of `checks`.

    Without a check of its own a service is SERVING while it runs. A check that raises, or that takes longer than
    CHECK_TIMEOUT_SECONDS, is NOT_SERVING.
    """

    def __init__(self, service_name: str, checks: Mapping[str, Check], *, watchable: bool = True) -> None:
        self._service_name = service_name
        self._checks: dict[str, Check] = {"": _always, **checks}
        self._watchable = watchable
        self._stopping = False
        self._kept: dict[str, tuple[bool, float]] = {}
        self._running: dict[str, asyncio.Task[bool]] = {}

    def stop(self) -> None:
        """Answer NOT_SERVING from now on, so that balancers send no new calls."""
        self._stopping = True

    async def Check(self, request: Any, context: Any) -> Any:
        status = await self._status(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        if not self._watchable:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "a function cannot be watched; use Check")
        last = None
        while True:
            status = await self._status(request.service)
            if status is None:
                status = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            if status != last:
                last = status
                yield health_pb2.HealthCheckResponse(status=status)
            if self._stopping and status != health_pb2.HealthCheckResponse.SERVING:
                return
            await asyncio.sleep(_WATCH_INTERVAL_SECONDS)

    async def _status(self, name: str) -> Any:
        """SERVING, NOT_SERVING, or None for an unknown name."""
        name = "" if name == self._service_name else name
        if name not in self._checks:
            return None
        serving = not self._stopping and await self._passes(name)
        response = health_pb2.HealthCheckResponse
        return response.SERVING if serving else response.NOT_SERVING

    async def _passes(self, name: str) -> bool:
        kept = self._kept.get(name)
        if kept is not None and time.monotonic() - kept[1] < KEPT_SECONDS:
            return kept[0]
        running = self._running.get(name)
        if running is None or running.done():
            # Shared: many askers at once cost one check.
            running = asyncio.create_task(self._run(name))
            self._running[name] = running
        return await asyncio.shield(running)

    async def _run(self, name: str) -> bool:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                passed = bool(await self._checks[name]())
        except Exception as error:
            # A part that is down fails a check every second; its name and kind are enough.
            logger.warning("health.check_failed", extra={"check": name, "error": type(error).__qualname__})
            passed = False
        self._kept[name] = (passed, time.monotonic())
        return passed


async def _always() -> bool:
    return True
