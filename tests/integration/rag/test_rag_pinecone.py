"""The rag service with its chunks in Pinecone: a real socket, the real SDK, a server that speaks its wire format."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from protos.rag.v1 import chunk_pb2, rag_service_pb2, rag_service_pb2_grpc
from services.rag.errors import IndexRefused
from services.rag.settings import RagSettings
from services.rag.wiring import open_rag
from services.transport.channels import open_channel
from services.transport.errors import read_failure
from services.transport.identity import acting_as
from services.transport.serving import serving
from tests.integration.rag.conftest import BLUE, RED, TRANSPORT
from tests.pinecone_server import Fault, PineconeServer
from tests.redis_server import RedisServer

if TYPE_CHECKING:
    Stub = rag_service_pb2_grpc.RagServiceAsyncStub

HANDBOOK = "documents/" + "1" * 64
TEXTS = ("Employees may work remotely up to 3 days per week.", "Part-time employees receive 7 vacation days per year.")


def settings_for(pinecone: PineconeServer, **changed: object) -> RagSettings:
    given: dict[str, object] = {
        "PINECONE_API_KEY": pinecone.api_key,
        "PINECONE_CONTROLLER_HOST": pinecone.url,
        "PINECONE_ENVIRONMENT": "us-east-1-aws",
        "pinecone_wait_seconds": 1,
        "embedder": "minilm",
        "answer_writer": "extractive",
        "transport": TRANSPORT,
    }
    return RagSettings.model_validate(given | changed)


@asynccontextmanager
async def run_rag(settings: RagSettings) -> AsyncIterator[tuple[Stub, grpc.aio.Channel]]:
    async with (
        open_rag(settings) as definition,
        serving(definition, listen="127.0.0.1:0", settings=TRANSPORT) as target,
        open_channel(target, TRANSPORT) as channel,
    ):
        yield rag_service_pb2_grpc.RagServiceStub(channel), channel


async def index(rag: Stub, *texts: str, filename: str = "handbook.txt") -> rag_service_pb2.IndexChunksResponse:
    chunks = [chunk_pb2.Chunk(chunk_index=place, text=text, end=len(text)) for place, text in enumerate(texts)]
    request = rag_service_pb2.IndexChunksRequest(
        document=HANDBOOK, filename=filename, chunks=chunks, chunk_count=len(texts)
    )
    return await rag.IndexChunks(request)


async def search(rag: Stub, question: str) -> list[chunk_pb2.ScoredChunk]:
    reply = await rag.SearchChunks(rag_service_pb2.SearchChunksRequest(question=question))
    return list(reply.chunks)


async def statistics(rag: Stub) -> rag_service_pb2.GetStatsResponse:
    return await rag.GetStats(rag_service_pb2.GetStatsRequest())


async def test_a_document_is_indexed_found_answered_from_and_deleted(pinecone_server: PineconeServer) -> None:
    async with run_rag(settings_for(pinecone_server)) as (rag, _):
        with acting_as(RED):
            first = await index(rag, *TEXTS)
            again = await index(rag, *TEXTS)
            await rag.IndexChunks(
                rag_service_pb2.IndexChunksRequest(document=HANDBOOK, filename="renamed.txt", chunk_count=len(TEXTS))
            )
            found = await search(rag, "How many vacation days do part-time employees get?")
            answer = await rag.AnswerQuestion(
                rag_service_pb2.AnswerQuestionRequest(
                    question="How many vacation days do part-time employees receive per year?"
                )
            )
            stats = await statistics(rag)
        with acting_as(BLUE):
            foreign = await search(rag, "vacation days"), (await statistics(rag)).chunk_count
        with acting_as(RED):
            deleted = await rag.DeleteDocumentChunks(rag_service_pb2.DeleteDocumentChunksRequest(document=HANDBOOK))
            left = await search(rag, "vacation days"), (await statistics(rag)).document_count

    assert (first.indexed_count, again.indexed_count, again.unchanged_count) == (2, 0, 2)
    assert (found[0].chunk.text, found[0].filename) == (TEXTS[1], "renamed.txt")
    assert answer.answered
    assert "7 vacation days" in answer.answer
    assert (stats.index_kind, stats.document_count, stats.chunk_count) == ("pinecone", 1, 2)
    assert foreign == ([], 0)
    assert deleted.removed_count == 2
    assert left == ([], 0)


async def test_a_missing_index_is_made_for_the_model_in_the_region_that_is_named(
    pinecone_server: PineconeServer,
) -> None:
    settings = settings_for(pinecone_server, PINECONE_INDEX_NAME="made-here", PINECONE_METRIC="dotproduct")

    async with run_rag(settings) as (rag, _):
        with acting_as(RED):
            await index(rag, *TEXTS)
            found = await search(rag, "vacation")

    made = pinecone_server.indexes["made-here"]
    assert (made.dimension, made.metric) == (384, "dotproduct")
    assert made.deployment == {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
    assert found[0].chunk.text == TEXTS[1]


async def test_an_index_that_is_away_is_told_with_its_reason_and_comes_back(pinecone_server: PineconeServer) -> None:
    async with run_rag(settings_for(pinecone_server)) as (rag, channel):
        health = health_pb2_grpc.HealthStub(channel)

        async def status() -> int:
            return int((await health.Check(health_pb2.HealthCheckRequest(service="chunk_index"))).status)

        with acting_as(RED):
            await index(rag, *TEXTS)
            before = await status()
            pinecone_server.stop()
            failures = []
            for call in (search(rag, "vacation days"), index(rag, *TEXTS, "One more sentence."), statistics(rag)):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call
                failures.append(read_failure(caught.value))
            pinecone_server.start()
            found = await search(rag, "vacation days")
            async with asyncio.timeout(10):  # what health says may be a second old
                while await status() != before:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)

    assert before == health_pb2.HealthCheckResponse.SERVING
    assert [(failure.code, failure.reason) for failure in failures] == [
        (grpc.StatusCode.UNAVAILABLE, "CHUNK_STORE_UNAVAILABLE")
    ] * 3
    assert found[0].chunk.text == TEXTS[1]


async def test_what_the_index_says_of_being_busy_reaches_the_caller(pinecone_server: PineconeServer) -> None:
    async with run_rag(settings_for(pinecone_server, pinecone_wait_seconds=5)) as (rag, _):
        pinecone_server.fail(Fault("/query", status=429, retry_after="0.1"))
        with acting_as(RED), pytest.raises(grpc.aio.AioRpcError) as caught:
            await search(rag, "vacation days")

    failure = read_failure(caught.value)
    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "CHUNK_STORE_UNAVAILABLE")
    assert failure.retry_after_seconds == 0.1


async def test_embeddings_outlive_the_process_in_redis_and_a_redis_that_is_away_does_not_matter(
    pinecone_server: PineconeServer, redis_server: RedisServer
) -> None:
    settings = settings_for(pinecone_server, REDIS_URL=redis_server.url)
    embedded: list[int] = []
    for _ in range(2):
        async with run_rag(settings) as (rag, _):
            with acting_as(RED):
                await index(rag, *TEXTS)
                await search(rag, "vacation days")
                embedded.append((await statistics(rag)).embedded_text_count)
                await rag.DeleteDocumentChunks(rag_service_pb2.DeleteDocumentChunksRequest(document=HANDBOOK))
    redis_server.stop()
    async with run_rag(settings) as (rag, _):
        with acting_as(RED):
            await index(rag, *TEXTS)
            found = await search(rag, "vacation days")
            embedded.append((await statistics(rag)).embedded_text_count)

    assert embedded == [3, 2, 3]  # the question is remembered, and of what was deleted nothing is
    assert found[0].chunk.text == TEXTS[1]


class TestRefusedStarts:
    """An index that cannot be used ends the start, and says what to change."""

    async def refusal(self, settings: RagSettings) -> str:
        with pytest.raises(IndexRefused) as caught:
            async with open_rag(settings):
                raise AssertionError("it started")
        assert caught.value.for_operators
        return str(caught.value)

    async def test_an_index_of_another_dimension_is_refused_naming_both(self, pinecone_server: PineconeServer) -> None:
        pinecone_server.create_index("rag-documents", dimension=1_536)

        told = await self.refusal(settings_for(pinecone_server))

        assert "'rag-documents' has dimension 1536" in told
        assert "embeds in 384" in told

    async def test_an_index_whose_metric_is_no_similarity_is_refused_naming_it(
        self, pinecone_server: PineconeServer
    ) -> None:
        pinecone_server.create_index("rag-documents", dimension=384, metric="euclidean")

        told = await self.refusal(settings_for(pinecone_server))

        assert "metric euclidean" in told
        assert "cosine or dotproduct" in told

    async def test_an_index_of_pods_is_refused(self, pinecone_server: PineconeServer) -> None:
        index = pinecone_server.create_index("rag-documents", dimension=384)
        index.deployment = {
            "deployment_type": "pod",
            "environment": "us-east1-gcp",
            "pod_type": "p1.x1",
            "replicas": 1,
            "shards": 1,
        }

        assert "a serverless index" in await self.refusal(settings_for(pinecone_server))

    async def test_a_missing_index_is_refused_with_how_to_make_it(self, pinecone_server: PineconeServer) -> None:
        told = await self.refusal(settings_for(pinecone_server, PINECONE_ENVIRONMENT=""))

        assert told.startswith("PINECONE_INDEX_NAME: there is no Pinecone index 'rag-documents'")
        assert "dimension 384 and metric cosine" in told
        assert "PINECONE_ENVIRONMENT=us-east-1" in told

    async def test_a_wrong_key_is_refused_and_not_told(self, pinecone_server: PineconeServer) -> None:
        told = await self.refusal(settings_for(pinecone_server, PINECONE_API_KEY="hunter2"))

        assert "PINECONE_API_KEY" in told
        assert "hunter2" not in told

    async def test_a_pinecone_that_does_not_answer_is_told_with_its_address(
        self, pinecone_server: PineconeServer
    ) -> None:
        settings = settings_for(pinecone_server)
        pinecone_server.stop()

        told = await self.refusal(settings)

        assert pinecone_server.url in told
        assert "PINECONE_CONTROLLER_HOST" in told

    async def test_an_index_that_another_process_makes_at_the_same_time_is_shared(
        self, pinecone_server: PineconeServer
    ) -> None:
        pinecone_server.create_index("rag-documents", dimension=384)
        pinecone_server.fail(Fault("/indexes/rag-documents", times=1, status=404))

        async with open_rag(settings_for(pinecone_server)):
            asked = [(request.method, request.path) for request in pinecone_server.requests]

        assert asked == [("POST", "/indexes"), ("GET", "/indexes/rag-documents")]
