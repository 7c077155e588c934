"""The whole sql service with its production parts: a model's API and Pinecone, each on this machine."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from protos.rag.v1 import rag_service_pb2
from protos.rag.v1.rag_service_pb2_grpc import RagServiceServicer, add_RagServiceServicer_to_server
from protos.sql.v1 import sql_service_pb2
from services.transport.identity import Caller, acting_as
from services.transport.serving import ServiceDefinition, serving
from tests.contract.sql.vanna_generators import reply
from tests.integration.sql.running_service import OUTSIDER, TRANSPORT, running, settings_for
from tests.openai_server import OpenAiServer, embedding_of
from tests.pinecone_server import PineconeServer

DIMENSION = 128
TRAINER = Caller("acme", "ada", frozenset({"user", "sql_trainer"}))
QUESTION = "How many customers do we have?"
COUNT = "SELECT count(*) AS customer_count FROM customers"


class EmbeddingRag(RagServiceServicer):
    """The one method of rag that sql calls."""

    async def EmbedTexts(
        self, request: rag_service_pb2.EmbedTextsRequest, context: object
    ) -> rag_service_pb2.EmbedTextsResponse:
        embeddings = [rag_service_pb2.Embedding(values=embedding_of(text, DIMENSION)) for text in request.texts]
        return rag_service_pb2.EmbedTextsResponse(embeddings=embeddings, model="words", dimension=DIMENSION)


def last_prompt(server: OpenAiServer) -> list[dict[str, str]]:
    messages: list[dict[str, str]] = server.asked("/chat/completions")[-1].body["messages"]
    return messages


@asynccontextmanager
async def serving_rag() -> AsyncIterator[str]:
    definition = ServiceDefinition(
        name="diglot.rag.v1.RagService",
        domain="rag.diglot",
        failures={},
        add_to=lambda server: add_RagServiceServicer_to_server(EmbeddingRag(), server),  # type: ignore[abstract]
        checks={},
    )
    async with serving(definition, listen="127.0.0.1:0", settings=TRANSPORT) as target:
        yield target


@pytest.mark.timeout(120)
async def test_an_approved_query_becomes_an_example_for_its_tenant_and_for_no_other(
    shop_url: str, store_url: str, make_folder: Callable[[], Path], openai_server: OpenAiServer
) -> None:
    openai_server.answer_by(lambda _: reply(COUNT, "Counts the customers."))
    with PineconeServer() as pinecone:
        pinecone.create_index("vanna-sql-training", dimension=DIMENSION)
        async with serving_rag() as rag:
            settings = settings_for(
                shop_url,
                store_url,
                rag_target=rag,
                OPENAI_API_KEY=openai_server.api_key,
                OPENAI_BASE_URL=openai_server.base_url,
                PINECONE_API_KEY=pinecone.api_key,
                PINECONE_CONTROLLER_HOST=pinecone.url,
            )
            async with running(settings, make_folder()) as stub:
                with acting_as(TRAINER):
                    generated = await stub.GenerateSql(
                        sql_service_pb2.GenerateSqlRequest(question=QUESTION, request_id=str(uuid4()))
                    )
                    query = generated.query
                    await stub.ApproveQuery(
                        sql_service_pb2.ApproveQueryRequest(name=query.name, sql_hash=query.sql_hash)
                    )
                    run = await stub.RunQuery(sql_service_pb2.RunQueryRequest(name=query.name, sql_hash=query.sql_hash))
                    example = json.dumps({"question": QUESTION, "sql": query.sql})
                    # Vectors are made beside the calls: the example is found a moment later.
                    for _ in range(50):
                        await stub.GenerateSql(sql_service_pb2.GenerateSqlRequest(question=f"{QUESTION} Tell me!"))
                        if example in last_prompt(openai_server)[1]["content"].split("\n"):
                            break
                        await asyncio.sleep(0.1)
                    stats = await stub.GetStats(sql_service_pb2.GetStatsRequest())
                with acting_as(OUTSIDER):
                    await stub.GenerateSql(sql_service_pb2.GenerateSqlRequest(question=QUESTION))

    assert run.result.rows[0].values[0].integer_value == 100
    first, *_, taught, foreign = [asked.body["messages"] for asked in openai_server.asked("/chat/completions")]
    assert [message["role"] for message in first] == ["system", "user"]
    assert first[0] == taught[0]
    assert example in taught[1]["content"].split("\n")
    assert foreign == first
    assert stats.generator == "vanna"
    assert {"query_store": "postgresql", "model": "gpt-4o-mini", "training": "pinecone"}.items() <= stats.parts.items()
