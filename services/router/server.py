"""Run the router as a gRPC server: `python -m services.router.server`."""

from __future__ import annotations

from services.router.settings import RouterSettings
from services.router.wiring import open_router
from services.transport.serving import run_server


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = RouterSettings()
    run_server(
        lambda: open_router(settings), listen=settings.listen, settings=settings.transport, service_name="router"
    )


if __name__ == "__main__":
    main()
