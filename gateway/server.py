"""Run the gateway as an HTTP server: `python -m gateway.server`."""

from __future__ import annotations

import asyncio

import uvicorn

from gateway.origins import serves_own_machine_alone
from gateway.settings import GatewaySettings
from gateway.wiring import open_gateway
from services.transport.observing import start_telemetry, stop_telemetry
from services.transport.settings import settings_or_exit
from services.transport.telemetry import configure_logging

STOP_GRACE_SECONDS = 5


async def serve(settings: GatewaySettings) -> None:
    """Serve until SIGTERM or SIGINT; running requests get some seconds to end."""
    host, _, port = settings.listen.rpartition(":")
    async with open_gateway(settings, own_machine_alone=serves_own_machine_alone(settings)) as app:
        config = uvicorn.Config(
            app,
            host=host.strip("[]"),
            port=int(port),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_GRACE_SECONDS,
        )
        await uvicorn.Server(config).serve()


def main() -> None:
    """Read the settings and serve."""
    settings = settings_or_exit(GatewaySettings)
    configure_logging("gateway")
    start_telemetry("gateway", settings.transport)
    try:
        asyncio.run(serve(settings))
    finally:
        stop_telemetry()


if __name__ == "__main__":
    main()
