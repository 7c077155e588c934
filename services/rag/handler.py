"""The rag service behind a Lambda invoke. Importing this module is the cold start."""

from __future__ import annotations

from services.rag.settings import RagSettings
from services.rag.wiring import open_rag
from services.transport.lambda_server import lambda_handler
from services.transport.settings import read_settings

_settings = read_settings(RagSettings)
handler = lambda_handler(lambda: open_rag(_settings), _settings.transport, "rag")
