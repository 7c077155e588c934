"""Searches, answers and assessments narrowed to documents of a kind, over a real socket; and a reranker beside them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from protos.rag.v1 import chunk_pb2, rag_service_pb2, rag_service_pb2_grpc
from services.transport.identity import acting_as
from tests.integration.rag.conftest import BLUE, RED, run_rag
from tests.integration.rag.test_rag_service import HANDBOOK, REMOTE, RETURNING, RETURNS, chunks, failure_of
from tests.rerank_server import API_KEY, RerankFault, RerankServer

if TYPE_CHECKING:
    Stub = rag_service_pb2_grpc.RagServiceAsyncStub

QUESTION = "What are the core working hours?"


@pytest.fixture(autouse=True)
def _as_red() -> Iterator[None]:
    with acting_as(RED):
        yield


def at(day: int) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(datetime(2026, 3, day, tzinfo=UTC))
    return moment


async def fill(rag: Stub) -> None:
    for document, filename, text, facts in (
        (HANDBOOK, "handbook.txt", REMOTE, chunk_pb2.DocumentFacts(extension="txt", tags=["hr"], create_time=at(1))),
        (RETURNS, "returns.pdf", RETURNING, chunk_pb2.DocumentFacts(extension="pdf", create_time=at(20))),
    ):
        await rag.IndexChunks(
            rag_service_pb2.IndexChunksRequest(
                document=document, filename=filename, chunks=chunks(text), chunk_count=1, facts=facts
            )
        )


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (rag_service_pb2.SearchFilters(), {HANDBOOK, RETURNS}),
        (rag_service_pb2.SearchFilters(filenames=["returns.pdf"]), {RETURNS}),
        (rag_service_pb2.SearchFilters(extensions=["PDF"]), {RETURNS}),
        (rag_service_pb2.SearchFilters(tags=["hr"]), {HANDBOOK}),
        (rag_service_pb2.SearchFilters(create_time_from=at(2)), {RETURNS}),
        (rag_service_pb2.SearchFilters(create_time_before=at(20)), {HANDBOOK}),
        (rag_service_pb2.SearchFilters(tags=["hr"], extensions=["pdf"]), set()),
    ],
    ids=lambda value: str(value).replace("\n", " "),
)
async def test_a_search_finds_what_passes_the_filters(
    rag: Stub, filters: rag_service_pb2.SearchFilters, expected: set[str]
) -> None:
    await fill(rag)

    found = await rag.SearchChunks(rag_service_pb2.SearchChunksRequest(question=QUESTION, filters=filters))

    assert {scored.document for scored in found.chunks} == expected


async def test_an_answer_and_an_assessment_know_nothing_of_what_is_filtered_out(rag: Stub) -> None:
    await fill(rag)
    filters = rag_service_pb2.SearchFilters(extensions=["pdf"])
    assess = rag_service_pb2.AssessQuestionRequest

    everywhere = await rag.AssessQuestion(assess(question=QUESTION))
    narrowed = await rag.AssessQuestion(assess(question=QUESTION, filters=filters))
    by_name = await rag.AssessQuestion(assess(question=QUESTION, documents=[RETURNS]))
    answered = await rag.AnswerQuestion(rag_service_pb2.AnswerQuestionRequest(question=QUESTION, filters=filters))

    assert everywhere.question.score > 0.5 > max(narrowed.question.score, by_name.question.score)
    assert {source.document for source in answered.sources} == {RETURNS}
    assert not answered.answered


async def test_filters_never_reach_into_another_tenant(rag: Stub) -> None:
    await fill(rag)
    search = rag_service_pb2.SearchChunksRequest(
        question=QUESTION, filters=rag_service_pb2.SearchFilters(filenames=["handbook.txt"])
    )

    with acting_as(BLUE):
        found = await rag.SearchChunks(search)

    assert list(found.chunks) == []


async def test_filters_that_cannot_be_are_refused_and_named(rag: Stub) -> None:
    filters = rag_service_pb2.SearchFilters
    cases = [
        (filters(filenames=["a", " "]), "filters.filenames[1]"),
        (filters(filenames=["a\0"]), "filters.filenames[0]"),
        (filters(filenames=["x"] * 101), "filters.filenames"),
        (filters(extensions=[".pdf"]), "filters.extensions[0]"),
        (filters(extensions=["x" * 17]), "filters.extensions[0]"),
        (filters(tags=["t"] * 21), "filters.tags"),
        (filters(tags=["x" * 51]), "filters.tags[0]"),
        (filters(create_time_from=at(2), create_time_before=at(2)), "filters.create_time_before"),
    ]
    search, ask = rag_service_pb2.SearchChunksRequest, rag_service_pb2.AnswerQuestionRequest
    assess = rag_service_pb2.AssessQuestionRequest

    for given, field in cases:
        failures = [
            await failure_of(rag.SearchChunks(search(question="x", filters=given))),
            await failure_of(rag.AnswerQuestion(ask(question="x", filters=given))),
            await failure_of(rag.AssessQuestion(assess(question="x", filters=given))),
        ]
        told = [(failure.code, failure.reason, failure.fields[0].field) for failure in failures]
        assert told == [(grpc.StatusCode.INVALID_ARGUMENT, "FILTERS_INVALID", field)] * 3


async def test_a_reranker_orders_what_is_found_and_stats_tell_when_it_does_not(
    store_url: str, rerank_server: RerankServer
) -> None:
    settings = {"rerank_url": rerank_server.url, "rerank_api_key": API_KEY, "rerank_model": "rerank-for-tests"}
    search = rag_service_pb2.SearchChunksRequest(question="each parcel of 4.95 dollars for customers pay core hours")
    async with run_rag(store_url, **settings) as rag:
        await fill(rag)
        before = (await rag.GetStats(rag_service_pb2.GetStatsRequest())).parts["reranker"]
        found = await rag.SearchChunks(search)
        rerank_server.fault = RerankFault(status=503)
        alone = await rag.SearchChunks(search)
        after = (await rag.GetStats(rag_service_pb2.GetStatsRequest())).parts["reranker"]

    assert before == "rerank-for-tests"
    assert found.chunks[0].document == RETURNS
    assert {scored.document for scored in alone.chunks} == {HANDBOOK, RETURNS}
    assert after == "rerank-for-tests (not used now, it answers with status 503)"
