"""The gateway behind a Lambda Function URL. Importing this module is the cold start."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from mangum import Mangum

from gateway.settings import GatewaySettings
from gateway.wiring import open_gateway
from services.transport.observing import flush_before_freeze, start_telemetry, stop_telemetry
from services.transport.settings import read_settings
from services.transport.telemetry import configure_logging

_TEXT_TYPES = ["text/", "application/json", "application/problem+json", "application/javascript"]


class EventUnknown(Exception):
    """The function was invoked with something that is no HTTP request and no ping."""


configure_logging("gateway")
_settings = read_settings(GatewaySettings)
start_telemetry("gateway", _settings.transport, is_function=True)
# One loop for the life of the environment: channels are bound to it, and Mangum runs every request on the current one.
_loop = asyncio.new_event_loop()
asyncio.set_event_loop(_loop)
_lifetime = AsyncExitStack()
_app = _loop.run_until_complete(_lifetime.enter_async_context(open_gateway(_settings)))
# Mangum's own lifespan would start and stop the app around every single request.
_http = Mangum(_app, lifespan="off", text_mime_types=_TEXT_TYPES)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer an HTTP request of a Function URL (payload 2.0), or a scheduled ping that keeps the environment warm."""
    if "http" in event.get("requestContext", {}):
        asyncio.set_event_loop(_loop)
        try:
            reply: dict[str, Any] = _http(event, context)
            return reply
        finally:
            flush_before_freeze(context)
    if event.get("source") == "aws.events":
        return {"status": "warm"}
    raise EventUnknown("this function answers HTTP requests of its Function URL and scheduled pings")


def close() -> None:
    """Close the channels; Lambda never asks for it, whoever imports this module elsewhere may."""
    _loop.run_until_complete(_lifetime.aclose())
    _loop.close()
    asyncio.set_event_loop(None)
    stop_telemetry()
