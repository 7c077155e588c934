"""The echo service as a function that takes events of its own too: `tests.echo.event_handler.handler`."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from services.transport.lambda_server import lambda_handler
from services.transport.serving import ServiceDefinition
from services.transport.settings import TransportSettings
from services.transport.telemetry import annotate
from tests.echo.servicer import SECRET_TEXT, open_echo


def _take(event: Any, remaining_seconds: float) -> Coroutine[Any, Any, dict[str, Any]] | None:
    return _answer(event["work"]) if "work" in event else None


async def _answer(work: str) -> dict[str, Any]:
    annotate({"diglot.work": len(work)})
    if work == "fail":
        raise ValueError(SECRET_TEXT)
    return {"done": work}


@asynccontextmanager
async def _open() -> AsyncIterator[ServiceDefinition]:
    async with open_echo() as definition:
        yield dataclasses.replace(definition, take_event=_take)


handler = lambda_handler(_open, TransportSettings(), "echo")
