"""rag with the models of an API: the whole service over a real socket, the real SDK, and a store of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from protos.rag.v1 import chunk_pb2, rag_service_pb2
from services.rag.answering import NOT_ANSWERED
from services.transport.errors import RemoteFailure, read_failure
from services.transport.identity import acting_as
from tests.integration.rag.conftest import RED, run_rag
from tests.openai_replies import Fault, access_denied, rate_limited, server_error
from tests.openai_server import OpenAiServer

if TYPE_CHECKING:
    from protos.rag.v1.rag_service_pb2_grpc import RagServiceAsyncStub as Stub

FLEET = "documents/" + "f" * 64
TEXTS = (
    "The ferry Sigrid carries 240 passengers. A ticket costs 14 crowns for adults.",
    "Mosses have no roots. They take up water through their leaves.",
    "Returned kettles are refunded within 30 days of delivery.",
)
QUESTION = "How many passengers does the ferry Sigrid carry?"


@pytest.fixture(autouse=True)
def _as_red() -> Iterator[None]:
    with acting_as(RED):
        yield


@pytest.fixture
def openai(openai_server: OpenAiServer) -> dict[str, Any]:
    """The settings by which the service asks the local server."""
    return dict(openai_server.environment())


async def index(rag: Stub) -> rag_service_pb2.IndexChunksResponse:
    made, start = [], 100
    for place, text in enumerate(TEXTS):
        made.append(chunk_pb2.Chunk(chunk_index=place, text=text, start=start, end=start + len(text), page=place + 1))
        start += len(text) + 2
    return await rag.IndexChunks(
        rag_service_pb2.IndexChunksRequest(document=FLEET, filename="fleet.pdf", chunks=made, chunk_count=len(made))
    )


async def ask(rag: Stub, question: str = QUESTION) -> rag_service_pb2.AnswerQuestionResponse:
    return await rag.AnswerQuestion(rag_service_pb2.AnswerQuestionRequest(question=question))


async def failure_of(rag: Stub) -> RemoteFailure:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(rag)
    return read_failure(caught.value)


def carries(body: dict[str, Any]) -> dict[str, Any]:
    """A model that quotes the ferry's passage, wherever it is listed."""
    lines = [line for line in body["messages"][-1]["content"].splitlines() if line.startswith("{")]
    [number] = [entry["passage"] for entry in map(json.loads, lines) if "Sigrid" in entry["text"]]
    quote = {"passage": number, "words": "The ferry Sigrid carries 240 passengers."}
    return {"sentences": [{"quotes": [quote], "sentence": "It carries 240 passengers."}]}


async def test_a_key_alone_makes_models_embed_and_answer_with_citations(
    store_url: str, openai: dict[str, Any], openai_server: OpenAiServer
) -> None:
    openai_server.answer_by(carries)

    async with run_rag(store_url, **openai) as rag:
        await index(rag)
        found = await rag.SearchChunks(rag_service_pb2.SearchChunksRequest(question="refunded kettles"))
        answer = await ask(rag)
        statistics = await rag.GetStats(rag_service_pb2.GetStatsRequest())

    assert found.chunks[0].chunk.chunk_index == 2
    assert (answer.answer, answer.answered, answer.writer) == ("It carries 240 passengers.", True, "gpt-4o-mini")
    [citation] = answer.citations
    assert (citation.quote, citation.filename, citation.page) == (TEXTS[0][:40], "fleet.pdf", 1)
    assert (citation.start, citation.end, citation.sentence_index) == (100, 140, 0)
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens > 0
    assert (statistics.embedding_model, statistics.embedding_dimension) == ("text-embedding-3-small", 1536)
    assert statistics.max_text_tokens == 8191


async def test_what_a_model_makes_up_is_no_answer(
    store_url: str, openai: dict[str, Any], openai_server: OpenAiServer
) -> None:
    quote = {"passage": 1, "words": "The ferry Sigrid carries 900 passengers"}
    openai_server.answer({"sentences": [{"quotes": [quote], "sentence": "It carries 900 passengers."}]})

    async with run_rag(store_url, **openai) as rag:
        await index(rag)
        answer = await ask(rag)

    assert (answer.answer.startswith(NOT_ANSWERED), answer.answered) == (True, False)
    assert len(answer.sources) == 3


@pytest.mark.parametrize(
    ("faults", "code", "reason", "retry_after_seconds"),
    [
        ([rate_limited(retry_after_seconds=40)], "UNAVAILABLE", "ANSWER_MODEL_UNAVAILABLE", 40),
        ([server_error()] * 3, "UNAVAILABLE", "ANSWER_MODEL_UNAVAILABLE", 5),
        ([access_denied()], "INTERNAL", "MODEL_REFUSED", None),
    ],
)
async def test_a_model_that_is_away_is_told_and_nobody_steps_in(
    store_url: str,
    openai: dict[str, Any],
    openai_server: OpenAiServer,
    faults: list[Fault],
    code: str,
    reason: str,
    retry_after_seconds: float | None,
) -> None:
    async with run_rag(store_url, **openai) as rag:
        await index(rag)
        openai_server.fail(*faults, path="/chat/completions")
        failure = await failure_of(rag)

    assert (failure.code.name, failure.reason) == (code, reason)
    assert failure.retry_after_seconds == retry_after_seconds


async def test_embeddings_that_cannot_be_had_are_told(
    store_url: str, openai: dict[str, Any], openai_server: OpenAiServer
) -> None:
    async with run_rag(store_url, **openai) as rag:
        await index(rag)
        openai_server.fail(rate_limited(retry_after_seconds=9), path="/embeddings")
        failure = await failure_of(rag)

    assert (failure.code.name, failure.reason) == ("UNAVAILABLE", "EMBEDDER_UNAVAILABLE")
    assert failure.retry_after_seconds == 9


async def test_an_index_filled_by_another_model_is_refused_until_it_is_empty(
    store_url: str, openai: dict[str, Any], openai_server: OpenAiServer
) -> None:
    openai_server.answer_by(carries)
    async with run_rag(store_url) as rag:
        await index(rag)

    async with run_rag(store_url, **openai) as rag:
        failure = await failure_of(rag)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await index(rag)
        await rag.DeleteDocumentChunks(rag_service_pb2.DeleteDocumentChunksRequest(document=FLEET))
        await index(rag)
        answer = await ask(rag)

    for refusal in (failure, read_failure(caught.value)):
        assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "EMBEDDING_MODEL_MISMATCH")
        assert refusal.metadata["recorded_model"] == "all-MiniLM-L6-v2-onnx-int8 (384 dimensions)"
        assert refusal.metadata["current_model"] == "text-embedding-3-small (1536 dimensions)"
    assert answer.answered


async def test_parts_can_be_chosen_against_the_keys(
    store_url: str, openai: dict[str, Any], openai_server: OpenAiServer
) -> None:
    async with run_rag(store_url, **openai, embedder="minilm", answer_writer="extractive") as rag:
        await index(rag)
        answer = await ask(rag)

    assert (answer.writer, answer.answered) == ("extractive", True)
    assert openai_server.requests == []


@pytest.mark.parametrize(("key", "imports"), [("", False), ("sk-only-for-tests", True)])
def test_the_sdk_is_imported_only_where_it_is_used(store_url: str, key: str, imports: bool) -> None:
    program = (
        "import asyncio, sys\n"
        "from services.rag.settings import RagSettings\n"
        "from services.rag.wiring import open_rag\n"
        "from services.transport.settings import read_settings\n"
        "async def main():\n"
        "    async with open_rag(read_settings(RagSettings)):\n"
        "        print(*sorted({'openai', 'httpx2', 'pinecone'} & set(sys.modules)))\n"
        "asyncio.run(main())\n"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "DIGLOT_INTERNAL_KEY": "k" * 48,
        "DIGLOT_STORE_URL": store_url,
        "OPENAI_API_KEY": key,
    }

    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert ran.stdout.split() == (["httpx2", "openai"] if imports else [])
