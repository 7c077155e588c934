"""The ingest service as it runs: PostgreSQL, files on disk, parsing processes, gRPC both ways, and a rag stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from protos.ingest.v1.ingest_service_pb2_grpc import IngestServiceStub
from services.ingest.settings import IngestSettings
from services.ingest.wiring import open_ingest
from services.transport.channels import open_channel
from services.transport.identity import Caller, acting_as
from services.transport.serving import serving
from tests.fakes.servicers import transport_settings
from tests.integration.ingest.rag_stand_in import RagStandIn

if TYPE_CHECKING:
    from protos.ingest.v1.ingest_service_pb2_grpc import IngestServiceAsyncStub

ANN = Caller("red", "ann", frozenset({"user"}))
BOB = Caller("blue", "bob", frozenset({"user"}))


@dataclass(frozen=True)
class Running:
    """A running service: where it listens, a stub to call it by (inside `acting_as`), and its files."""

    target: str
    stub: IngestServiceAsyncStub
    files: Path

    def stored_files(self) -> set[str]:
        return {str(path.relative_to(self.files)) for path in self.files.rglob("*") if path.is_file()}


StartIngest = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def rag() -> RagStandIn:
    return RagStandIn()


@pytest.fixture
async def rag_target(rag: RagStandIn) -> AsyncIterator[str]:
    async with serving(rag.definition(), listen="127.0.0.1:0", settings=transport_settings()) as target:
        yield target
        rag.gate.set()


@pytest.fixture
def start_ingest(store_url: str, rag_target: str, tmp_path: Path) -> StartIngest:
    """Starts the service in this process; options are settings."""

    @asynccontextmanager
    async def start(**options: Any) -> AsyncIterator[Running]:
        transport = transport_settings()
        settings = IngestSettings(
            transport=transport,
            rag_target=rag_target,
            DIGLOT_STORE_URL=store_url,
            DIGLOT_DATA_DIR=tmp_path / "data",
            **{"lease_seconds": 1.0, "worker_poll_seconds": 0.1, "retry_pause_seconds": 0.2, "index_batch_chunks": 8}
            | options,
        )
        async with (
            open_ingest(settings) as definition,
            serving(definition, listen="127.0.0.1:0", settings=transport) as target,
            open_channel(target, transport) as channel,
        ):
            yield Running(target, IngestServiceStub(channel), tmp_path / "data" / "files")

    return start


@pytest.fixture
async def ingest(start_ingest: StartIngest) -> AsyncIterator[Running]:
    async with start_ingest() as running:
        with acting_as(ANN):
            yield running
