"""The router behind a Lambda invoke. Importing this module is the cold start."""

from __future__ import annotations

from services.router.settings import RouterSettings
from services.router.wiring import open_router
from services.transport.lambda_server import lambda_handler
from services.transport.settings import read_settings

_settings = read_settings(RouterSettings)
handler = lambda_handler(lambda: open_router(_settings), _settings.transport, "router")
