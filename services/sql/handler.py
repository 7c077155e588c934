"""The sql service behind a Lambda invoke. Importing this module is the cold start."""

from __future__ import annotations

from services.sql.settings import SqlSettings
from services.sql.wiring import open_sql
from services.transport.lambda_server import lambda_handler
from services.transport.settings import read_settings

_settings = read_settings(SqlSettings)
handler = lambda_handler(lambda: open_sql(_settings), _settings.transport, "sql")
