"""A function whose service cannot be opened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.transport.lambda_server import lambda_handler
from services.transport.serving import ServiceDefinition
from services.transport.settings import TransportSettings
from tests.echo.servicer import SECRET_TEXT, EchoServicer, define_echo


@asynccontextmanager
async def _open_nothing(store: str) -> AsyncIterator[ServiceDefinition]:
    if store:
        raise ConnectionError(f"{store} is down")
    yield define_echo(EchoServicer())


handler = lambda_handler(lambda: _open_nothing(SECRET_TEXT), TransportSettings(), "broken")
