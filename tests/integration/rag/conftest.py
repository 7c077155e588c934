"""The rag service as it runs: a real gRPC socket, the real sentence model, real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from protos.rag.v1 import rag_service_pb2_grpc
from services.rag.settings import RagSettings
from services.rag.wiring import open_rag
from services.transport.channels import open_channel
from services.transport.identity import Caller
from services.transport.serving import serving
from services.transport.settings import TransportSettings

TRANSPORT = TransportSettings(internal_key=SecretStr("only-for-tests-" + "k" * 32))
RED = Caller("red", "ruth", frozenset({"user"}))
BLUE = Caller("blue", "bert", frozenset({"user"}))


@pytest.fixture(autouse=True)
def _without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key that happens to be set here chooses another part."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "PINECONE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def run_rag(store_url: str, **given: Any) -> AbstractAsyncContextManager[rag_service_pb2_grpc.RagServiceAsyncStub]:
    """Serve rag on a store, with these settings besides, and lend a stub that reaches it."""

    @asynccontextmanager
    async def run() -> AsyncIterator[rag_service_pb2_grpc.RagServiceAsyncStub]:
        settings = RagSettings(DIGLOT_STORE_URL=store_url, transport=TRANSPORT, **given)
        async with (
            open_rag(settings) as definition,
            serving(definition, listen="127.0.0.1:0", settings=TRANSPORT) as target,
            open_channel(target, TRANSPORT) as channel,
        ):
            yield rag_service_pb2_grpc.RagServiceStub(channel)

    return run()


@pytest.fixture
async def rag(store_url: str) -> AsyncIterator[rag_service_pb2_grpc.RagServiceAsyncStub]:
    async with run_rag(store_url) as stub:
        yield stub
