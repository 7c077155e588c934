"""The echo service as a Lambda function: `tests.echo.handler.handler`."""

from __future__ import annotations

from services.transport.lambda_server import lambda_handler
from services.transport.settings import TransportSettings
from tests.echo.servicer import open_echo

handler = lambda_handler(open_echo, TransportSettings(), "echo")
