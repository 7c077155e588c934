"""Answers as they are written: the whole service over a socket and over the invoke envelope, with the real SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from protos.rag.v1 import chunk_pb2, rag_service_pb2, rag_service_pb2_grpc
from services.rag.settings import RagSettings
from services.rag.wiring import open_rag
from services.transport.channels import open_channel
from services.transport.claim_check import LocalClaimChecks
from services.transport.errors import read_failure
from services.transport.identity import ClaimSigner, acting_as
from services.transport.lambda_channel import LambdaChannel
from services.transport.lambda_server import make_lambda_server
from services.transport.outgoing import OutgoingCalls, OutgoingChannel
from services.transport.serving import serving
from tests.contract.transport.test_envelope_transport import DirectInvoker
from tests.integration.rag.conftest import RED, TRANSPORT, run_rag
from tests.openai_replies import Reply
from tests.openai_server import OpenAiServer

if TYPE_CHECKING:
    from protos.rag.v1.rag_service_pb2_grpc import RagServiceAsyncStub as Stub

FLEET = "documents/" + "f" * 64
TEXT = "The ferry Sigrid carries 240 passengers. A ticket for the ferry costs 14 crowns for adults."
QUESTION = "How many passengers does the ferry Sigrid carry, and what does a ticket cost?"
TRUE = {
    "quotes": [{"passage": 1, "words": "The ferry Sigrid carries 240 passengers"}],
    "sentence": "It carries 240 passengers.",
}
PRICE = {"quotes": [{"passage": 1, "words": "costs 14 crowns for adults"}], "sentence": "A ticket costs 14 crowns."}
LIES = [
    {"quotes": [{"passage": 1, "words": "The ferry carries 900 passengers"}], "sentence": "It carries 900 passengers."},
    {"quotes": [{"passage": 1, "words": "carries 240 passengers"}], "sentence": "It carries 9 passengers and a bar."},
    {"quotes": [], "sentence": "It carries 240 passengers."},
]


@asynccontextmanager
async def over_the_envelope(settings: RagSettings, claims: Path) -> AsyncIterator[Stub]:
    """The service behind a Lambda event, in this process."""
    checks = LocalClaimChecks(claims, ttl_seconds=60)
    calls = OutgoingCalls(signer=ClaimSigner(TRANSPORT.internal_key.get_secret_value()), timeout_seconds=30)
    async with open_rag(settings) as definition:
        invoker = DirectInvoker(
            make_lambda_server(definition, TRANSPORT.model_copy(update={"claim_check_dir": claims}))
        )
        async with OutgoingChannel(LambdaChannel("rag", invoker, claim_checks=checks), calls) as channel:
            yield rag_service_pb2_grpc.RagServiceStub(channel)


@asynccontextmanager
async def over_a_socket(settings: RagSettings) -> AsyncIterator[Stub]:
    async with (
        open_rag(settings) as definition,
        serving(definition, listen="127.0.0.1:0", settings=TRANSPORT) as target,
        open_channel(target, TRANSPORT) as channel,
    ):
        yield rag_service_pb2_grpc.RagServiceStub(channel)


async def index(rag: Stub) -> None:
    chunk = chunk_pb2.Chunk(chunk_index=0, text=TEXT, start=0, end=len(TEXT), page=4, headings=["Fleet"])
    await rag.IndexChunks(
        rag_service_pb2.IndexChunksRequest(document=FLEET, filename="fleet.pdf", chunks=[chunk], chunk_count=1)
    )


async def streamed(rag: Stub, question: str = QUESTION) -> list[rag_service_pb2.StreamAnswerResponse]:
    return [part async for part in rag.StreamAnswer(rag_service_pb2.StreamAnswerRequest(question=question))]


@pytest.mark.parametrize("transport", ["grpc", "lambda"])
async def test_sentences_come_with_their_citations_and_then_the_answer_that_is_given_whole(
    store_url: str, tmp_path: Path, transport: str
) -> None:
    settings = RagSettings(DIGLOT_STORE_URL=store_url, transport=TRANSPORT)
    opened = over_a_socket(settings) if transport == "grpc" else over_the_envelope(settings, tmp_path / "claims")
    async with opened as rag:
        with acting_as(RED):
            await index(rag)
            whole = await rag.AnswerQuestion(rag_service_pb2.AnswerQuestionRequest(question=QUESTION))
            *sentences, last = await streamed(rag)
            [in_vain] = await streamed(rag, "Who composed the opera about the magic flute?")

    assert whole.answered
    whole.usage.CopyFrom(last.answer.usage)  # sentences that were embedded for the first answer are known to the next
    assert last.answer == whole
    assert "".join(part.sentence.text for part in sentences) == whole.answer
    assert [each for part in sentences for each in part.sentence.citations] == list(whole.citations)
    assert {(each.page, tuple(each.headings)) for each in whole.citations} == {(4, ("Fleet",))}
    assert not in_vain.answer.answered


async def test_what_a_model_says_without_a_true_quote_is_never_streamed(
    store_url: str, openai_server: OpenAiServer
) -> None:
    openai_server.answer({"sentences": [LIES[0], TRUE, LIES[1], PRICE, LIES[2]]}, {"sentences": LIES})
    async with run_rag(store_url, **openai_server.environment()) as rag:
        with acting_as(RED):
            await index(rag)
            *sentences, last = await streamed(rag)
            [refused] = await streamed(rag)

    assert [part.sentence.text for part in sentences] == ["It carries 240 passengers.", " A ticket costs 14 crowns."]
    assert last.answer.answer == "It carries 240 passengers. A ticket costs 14 crowns."
    assert not refused.answer.answered
    assert list(refused.answer.citations) == []


async def test_a_model_that_breaks_off_ends_the_stream_with_an_error_after_what_was_true(
    store_url: str, openai_server: OpenAiServer
) -> None:
    said = json.dumps({"sentences": [TRUE, PRICE]})
    openai_server.answer(Reply(said, cut_after_characters=len(said) - 40))
    async with run_rag(store_url, **openai_server.environment()) as rag:
        with acting_as(RED):
            await index(rag)
            stream = rag.StreamAnswer(rag_service_pb2.StreamAnswerRequest(question=QUESTION))
            first = await anext(aiter(stream))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await anext(aiter(stream))

    assert first.sentence.text == "It carries 240 passengers."
    assert read_failure(caught.value).reason == "ANSWER_MODEL_UNAVAILABLE"


async def test_a_client_that_hangs_up_stops_the_model(store_url: str, openai_server: OpenAiServer) -> None:
    openai_server.answer(json.dumps({"sentences": [TRUE] * 5_000}))
    async with run_rag(store_url, **openai_server.environment()) as rag:
        with acting_as(RED):
            await index(rag)
            stream = rag.StreamAnswer(rag_service_pb2.StreamAnswerRequest(question=QUESTION))
            await anext(aiter(stream))

            stream.cancel()

            assert await asyncio.to_thread(openai_server.hung_up.wait, 10)


async def test_a_question_that_cannot_be_read_is_refused_before_anything_is_streamed(rag: Stub) -> None:
    with acting_as(RED), pytest.raises(grpc.aio.AioRpcError) as caught:
        await streamed(rag, " ")

    assert (caught.value.code(), read_failure(caught.value).reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "QUESTION_INVALID",
    )
