"""What callers of rag are told while a part of it is away, and what health says."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.local.embedded_postgres import EmbeddedPostgres
from protos.rag.v1 import chunk_pb2, rag_service_pb2, rag_service_pb2_grpc
from services.rag.settings import RagSettings
from services.rag.wiring import SERVICE_NAME, open_rag
from services.transport.channels import open_channel
from services.transport.errors import read_failure
from services.transport.identity import acting_as
from services.transport.serving import serving
from tests.integration.rag.conftest import RED, TRANSPORT, run_rag


@pytest.fixture
def own_server() -> Iterator[EmbeddedPostgres]:
    """A server that a test may stop."""
    folder = Path(tempfile.mkdtemp(prefix="dg-rag-"))
    sockets = folder / "s"
    sockets.mkdir(mode=0o700)
    server = EmbeddedPostgres(folder / "pg", sockets)
    try:
        server.start()
        yield server
    finally:
        server.stop(timeout_seconds=5)
        shutil.rmtree(folder, ignore_errors=True)


async def test_a_store_that_is_down_is_told_with_its_reason_and_comes_back(own_server: EmbeddedPostgres) -> None:
    search = rag_service_pb2.SearchChunksRequest(question="anything")
    settings = RagSettings(DIGLOT_STORE_URL=own_server.url("postgres"), store_wait_seconds=0.3, transport=TRANSPORT)
    async with (
        open_rag(settings) as definition,
        serving(definition, listen="127.0.0.1:0", settings=TRANSPORT) as target,
        open_channel(target, TRANSPORT) as channel,
    ):
        rag = rag_service_pb2_grpc.RagServiceStub(channel)
        health = health_pb2_grpc.HealthStub(channel)

        async def status_of(part: str) -> int:
            reply = await health.Check(health_pb2.HealthCheckRequest(service=part))
            return int(reply.status)

        async def answers() -> bool:
            call = rag.SearchChunks(search)
            return await call.code() is grpc.StatusCode.OK

        with acting_as(RED):
            await rag.SearchChunks(search)
            parts = ["", SERVICE_NAME, "embedder", "chunk_index"]
            assert [await status_of(part) for part in parts] == [health_pb2.HealthCheckResponse.SERVING] * 4

            own_server.stop(timeout_seconds=5)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await rag.SearchChunks(search)
            embedded = await rag.EmbedTexts(rag_service_pb2.EmbedTextsRequest(texts=["still here"]))
            own_server.start()
            async with asyncio.timeout(20):
                while not await answers():  # noqa: ASYNC110 -- a server that comes back sets no event
                    await asyncio.sleep(0.1)

    failure = read_failure(caught.value)
    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "CHUNK_STORE_UNAVAILABLE")
    assert failure.retry_after_seconds is not None
    assert embedded.dimension == 384


async def test_an_index_of_another_model_is_refused_by_name(store_url: str) -> None:
    request = rag_service_pb2.IndexChunksRequest(
        document="documents/" + "a" * 64,
        filename="a.txt",
        chunks=[chunk_pb2.Chunk(text="Ferries sail.")],
        chunk_count=1,
    )
    with acting_as(RED):
        async with run_rag(store_url) as rag:
            await rag.IndexChunks(request)
        with psycopg.connect(store_url) as connection:
            connection.execute("UPDATE rag.index_model SET name = 'another-model'")
        async with run_rag(store_url) as rag:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await rag.IndexChunks(request)
            with pytest.raises(grpc.aio.AioRpcError) as caught_in_search:
                await rag.SearchChunks(rag_service_pb2.SearchChunksRequest(question="ferries"))

    for error in (caught.value, caught_in_search.value):
        failure = read_failure(error)
        assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "EMBEDDING_MODEL_MISMATCH")
        assert "another-model" in failure.message
