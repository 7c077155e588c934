"""Run the sql service as a gRPC server: `python -m services.sql.server`."""

from __future__ import annotations

from services.sql.settings import SqlSettings
from services.sql.wiring import open_sql
from services.transport.serving import run_server
from services.transport.settings import settings_or_exit


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = settings_or_exit(SqlSettings)
    run_server(lambda: open_sql(settings), listen=settings.listen, settings=settings.transport, service_name="sql")


if __name__ == "__main__":
    main()
