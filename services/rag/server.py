"""Run the rag service as a gRPC server: `python -m services.rag.server`."""

from __future__ import annotations

from services.rag.settings import RagSettings
from services.rag.wiring import open_rag
from services.transport.serving import run_server
from services.transport.settings import settings_or_exit


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = settings_or_exit(RagSettings)
    run_server(lambda: open_rag(settings), listen=settings.listen, settings=settings.transport, service_name="rag")


if __name__ == "__main__":
    main()
