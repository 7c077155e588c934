"""Run the router as a gRPC server: `python -m services.router.server`."""

from __future__ import annotations

from services.router.settings import RouterSettings
from services.router.wiring import open_router
from services.transport.serving import run_server
from services.transport.settings import settings_or_exit


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = settings_or_exit(RouterSettings)
    run_server(
        lambda: open_router(settings), listen=settings.listen, settings=settings.transport, service_name="router"
    )


if __name__ == "__main__":
    main()
