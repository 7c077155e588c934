"""Run the ingest service as a gRPC server: `python -m services.ingest.server`."""

from services.ingest.settings import IngestSettings
from services.ingest.wiring import open_ingest
from services.transport.serving import run_server
from services.transport.settings import settings_or_exit


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = settings_or_exit(IngestSettings)
    run_server(
        lambda: open_ingest(settings), listen=settings.listen, settings=settings.transport, service_name="ingest"
    )


if __name__ == "__main__":
    main()
