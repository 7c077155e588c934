"""The ingest service behind a Lambda invoke. Importing this module is the cold start."""

from services.ingest.settings import IngestSettings
from services.ingest.wiring import open_ingest
from services.transport.lambda_server import lambda_handler
from services.transport.settings import read_settings

# Frozen between calls, the process could neither keep a lease nor look for work.
_settings = read_settings(IngestSettings, background_work=False)
handler = lambda_handler(lambda: open_ingest(_settings), _settings.transport, "ingest")
