"""Every rpc of rag.v1 over a real socket, on the embedded default."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Iterator
from typing import TYPE_CHECKING

import grpc
import pytest

from protos.rag.v1 import chunk_pb2, rag_service_pb2, rag_service_pb2_grpc
from services.rag.answering import NOT_ANSWERED
from services.transport.errors import RemoteFailure, read_failure
from services.transport.identity import acting_as
from tests.integration.rag.conftest import BLUE, RED, run_rag

HANDBOOK = "documents/" + "1" * 64
RETURNS = "documents/" + "2" * 64
UNKNOWN = "documents/" + "0" * 64

REMOTE = (
    "Employees may work remotely up to 3 days per week. Core working hours are from 10 AM to 3 PM. "
    "During core hours everybody can be reached by telephone."
)
VACATION = (
    "Full-time employees receive 15 vacation days per year. Part-time employees receive 7 vacation days per year. "
    "Vacation days do not roll over."
)
RETURNING = "Most products can be returned within 30 days of delivery. Customers pay 4.95 dollars for each parcel."

if TYPE_CHECKING:
    Stub = rag_service_pb2_grpc.RagServiceAsyncStub


@pytest.fixture(autouse=True)
def _as_red() -> Iterator[None]:
    with acting_as(RED):
        yield


def chunks(*texts: str, page: int | None = None, headings: tuple[str, ...] = ()) -> list[chunk_pb2.Chunk]:
    made, start = [], 0
    for index, text in enumerate(texts):
        made.append(
            chunk_pb2.Chunk(
                chunk_index=index, text=text, start=start, end=start + len(text), page=page, headings=headings
            )
        )
        start += len(text) + 2
    return made


async def index(
    rag: Stub, *texts: str, document: str = HANDBOOK, filename: str = "handbook.txt", chunk_count: int = 0
) -> rag_service_pb2.IndexChunksResponse:
    return await rag.IndexChunks(
        rag_service_pb2.IndexChunksRequest(
            document=document, filename=filename, chunks=chunks(*texts, page=2), chunk_count=chunk_count or len(texts)
        )
    )


async def answer(rag: Stub, question: str, **fields: object) -> rag_service_pb2.AnswerQuestionResponse:
    return await rag.AnswerQuestion(rag_service_pb2.AnswerQuestionRequest(question=question, **fields))  # type: ignore[arg-type]


async def failure_of(call: Awaitable[object]) -> RemoteFailure:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return read_failure(caught.value)


async def test_indexing_twice_stores_once_and_embeds_once(rag: Stub) -> None:
    first = await index(rag, REMOTE, VACATION)
    before = await rag.GetStats(rag_service_pb2.GetStatsRequest())

    second = await index(rag, REMOTE, VACATION)

    after = await rag.GetStats(rag_service_pb2.GetStatsRequest())
    assert (first.indexed_count, first.unchanged_count, first.removed_count) == (2, 0, 0)
    assert (second.indexed_count, second.unchanged_count, second.removed_count) == (0, 2, 0)
    assert after.embedded_text_count == before.embedded_text_count == 2
    assert (after.document_count, after.chunk_count) == (1, 2)


async def test_a_shorter_version_replaces_the_longer_one_and_leaves_nothing_behind(rag: Stub) -> None:
    await index(rag, REMOTE, VACATION, RETURNING)

    outcome = await index(rag, REMOTE, "Vacation has to be requested two weeks ahead.")

    assert (outcome.indexed_count, outcome.unchanged_count, outcome.removed_count) == (1, 1, 1)
    found = await rag.SearchChunks(rag_service_pb2.SearchChunksRequest(question="vacation returned products", top_k=50))
    assert sorted(chunk.chunk.text for chunk in found.chunks) == [
        REMOTE,
        "Vacation has to be requested two weeks ahead.",
    ]


async def test_no_chunks_with_a_new_filename_renames_the_document(rag: Stub) -> None:
    await index(rag, REMOTE)

    outcome = await rag.IndexChunks(
        rag_service_pb2.IndexChunksRequest(document=HANDBOOK, filename="Employee handbook.txt", chunk_count=1)
    )

    assert (outcome.indexed_count, outcome.unchanged_count, outcome.removed_count) == (0, 0, 0)
    found = await rag.SearchChunks(rag_service_pb2.SearchChunksRequest(question="remote work"))
    assert [chunk.filename for chunk in found.chunks] == ["Employee handbook.txt"]


async def test_a_search_tells_where_each_chunk_stands(rag: Stub) -> None:
    await index(rag, REMOTE, VACATION)
    await index(rag, RETURNING, document=RETURNS, filename="returns.txt")

    found = await rag.SearchChunks(rag_service_pb2.SearchChunksRequest(question="How much vacation do I have?"))

    best = found.chunks[0]
    assert (best.document, best.filename, best.chunk.chunk_index, best.chunk.page) == (HANDBOOK, "handbook.txt", 1, 2)
    assert (best.chunk.start, best.chunk.end, best.chunk.text) == (
        len(REMOTE) + 2,
        len(REMOTE) + 2 + len(VACATION),
        VACATION,
    )
    assert 0.3 < best.similarity_score <= 1
    fused = [chunk.fused_score for chunk in found.chunks]
    assert fused == sorted(fused, reverse=True)
    assert min(fused) > 0


async def test_top_k_bounds_the_number_of_chunks(rag: Stub) -> None:
    await index(rag, *(f"Rule {place}: parcels are sent on weekday {place}." for place in range(60)))

    async def count(top_k: int) -> int:
        request = rag_service_pb2.SearchChunksRequest(question="When are parcels sent?", top_k=top_k)
        return len((await rag.SearchChunks(request)).chunks)

    assert [await count(top_k) for top_k in (0, 1, 50, 1_000)] == [8, 1, 50, 50]
    assert len((await answer(rag, "When are parcels sent?")).sources) == 3


async def test_an_answer_quotes_the_document_with_its_place(rag: Stub) -> None:
    await index(rag, VACATION, REMOTE)
    await index(rag, RETURNING, document=RETURNS, filename="returns.txt")

    reply = await answer(rag, "What are the remote work hours?")

    assert reply.answered
    assert "10 AM to 3 PM" in reply.answer
    assert reply.writer == "extractive"
    assert reply.usage.embedded_texts >= 1
    whole = f"{VACATION}  {REMOTE}"
    for citation in reply.citations:
        assert whole[citation.start : citation.end] == citation.quote
        assert citation.quote in reply.answer
        assert (citation.chunk, citation.filename, citation.page) == (f"{HANDBOOK}/chunks/1", "handbook.txt", 2)
    assert [citation.sentence_index for citation in reply.citations] == list(range(len(reply.citations)))
    source = reply.sources[0]
    assert (source.filename, source.chunk.chunk_index) == ("handbook.txt", 1)
    assert source.similarity_score > 0.3


async def test_a_question_that_no_document_answers_is_told_so(rag: Stub) -> None:
    await index(rag, REMOTE, VACATION)

    reply = await answer(rag, "Who composed the opera about the magic flute?")

    assert not reply.answered
    assert reply.answer.startswith(NOT_ANSWERED)
    assert list(reply.citations) == []
    assert len(reply.sources) == 2


async def test_an_empty_index_answers_nothing(rag: Stub) -> None:
    reply = await answer(rag, "What are the remote work hours?")

    assert (reply.answered, reply.answer, len(reply.sources)) == (False, f"{NOT_ANSWERED} There are none yet.", 0)


async def test_search_and_answers_can_be_narrowed_to_documents(rag: Stub) -> None:
    await index(rag, REMOTE)
    await index(rag, RETURNING, document=RETURNS, filename="returns.txt")

    reply = await answer(rag, "What are the remote work hours?", documents=[RETURNS, UNKNOWN])

    assert [source.document for source in reply.sources] == [RETURNS]
    assert not reply.answered


async def test_assessment_tells_a_stated_fact_from_a_question_about_records(rag: Stub) -> None:
    await index(rag, REMOTE, VACATION)
    await index(
        rag,
        "Customers belong to the segments Basic and Premium. Premium customers spend over 2,000 dollars a year.",
        document=RETURNS,
        filename="segments.txt",
    )

    reply = await rag.AssessQuestion(
        rag_service_pb2.AssessQuestionRequest(
            question="How many customers do we have and what is our vacation policy?",
            parts=["What are the remote work hours?", "explain our vacation policy", "How many customers do we have?"],
        )
    )

    hours, vacation, customers = reply.parts
    assert hours.score > 0.6
    assert vacation.score > 0.6
    assert customers.score < 0.3
    assert (hours.document, vacation.document) == (HANDBOOK, HANDBOOK)
    assert "handbook.txt" in hours.reason
    assert "segments.txt" in customers.reason
    assert all(
        0 <= assessed.score <= 1 and 0 < len(assessed.reason) <= 300 for assessed in [reply.question, *reply.parts]
    )


async def test_assessing_an_empty_index_scores_zero(rag: Stub) -> None:
    reply = await rag.AssessQuestion(rag_service_pb2.AssessQuestionRequest(question="Anything?"))

    assert (reply.question.score, reply.question.document, list(reply.parts)) == (0, "", [])
    assert reply.question.reason


async def test_embedded_texts_have_length_one_and_come_in_order(rag: Stub) -> None:
    reply = await rag.EmbedTexts(rag_service_pb2.EmbedTextsRequest(texts=["a ferry", "a kettle", "a ferry boat"]))

    ferry, kettle, boat = [list(embedding.values) for embedding in reply.embeddings]
    assert (reply.model, reply.dimension, len(ferry)) == ("all-MiniLM-L6-v2-onnx-int8", 384, 384)
    assert math.fsum(value * value for value in ferry) == pytest.approx(1, abs=1e-5)

    def cosine(one: list[float], other: list[float]) -> float:
        return math.fsum(a * b for a, b in zip(one, other, strict=True))

    assert cosine(ferry, boat) > cosine(ferry, kettle)


async def test_stats_describe_the_set_up(rag: Stub) -> None:
    stats = await rag.GetStats(rag_service_pb2.GetStatsRequest())

    assert (stats.index_kind, stats.writer, stats.embedding_dimension) == ("pgvector", "extractive", 384)
    assert stats.max_text_tokens == 256
    assert 0 <= stats.uptime.ToNanoseconds() < 600 * 10**9


async def test_deleting_removes_every_chunk_and_a_second_time_none(rag: Stub) -> None:
    await index(rag, REMOTE, VACATION)

    removed = await rag.DeleteDocumentChunks(rag_service_pb2.DeleteDocumentChunksRequest(document=HANDBOOK))
    again = await rag.DeleteDocumentChunks(rag_service_pb2.DeleteDocumentChunksRequest(document=HANDBOOK))

    assert (removed.removed_count, again.removed_count) == (2, 0)
    found = await rag.SearchChunks(rag_service_pb2.SearchChunksRequest(question="vacation"))
    assert list(found.chunks) == []


async def test_tenants_never_see_each_others_chunks(rag: Stub) -> None:
    await index(rag, REMOTE)
    with acting_as(BLUE):
        await index(rag, VACATION, filename="blue.txt")
        await rag.DeleteDocumentChunks(rag_service_pb2.DeleteDocumentChunksRequest(document=HANDBOOK))
        reply = await answer(rag, "What are the remote work hours?", documents=[HANDBOOK])
        stats = await rag.GetStats(rag_service_pb2.GetStatsRequest())

    assert (len(reply.sources), stats.chunk_count) == (0, 0)
    assert (await answer(rag, "What are the remote work hours?")).answered


async def test_simultaneous_indexing_and_deleting_leaves_all_or_nothing(rag: Stub) -> None:
    texts = [f"Paragraph {place} speaks of vacation." for place in range(6)]

    async def delete() -> None:
        await rag.DeleteDocumentChunks(rag_service_pb2.DeleteDocumentChunksRequest(document=HANDBOOK))

    await asyncio.gather(*(index(rag, *texts) if turn % 3 else delete() for turn in range(9)))

    stats = await rag.GetStats(rag_service_pb2.GetStatsRequest())
    assert stats.chunk_count in (0, 6)


async def test_chunks_survive_a_restart(store_url: str) -> None:
    async with run_rag(store_url) as before:
        await index(before, REMOTE)

    async with run_rag(store_url) as after:
        outcome = await index(after, REMOTE)
        reply = await answer(after, "What are the remote work hours?")

    assert (outcome.indexed_count, outcome.unchanged_count) == (0, 1)
    assert "10 AM to 3 PM" in reply.answer


BAD_CHUNKS = {
    "blank text": (chunk_pb2.Chunk(text="  \n"), "chunks[0].text"),
    "too many tokens": (chunk_pb2.Chunk(text="ferry " * 257), "chunks[0].text"),
    "NUL in the text": (chunk_pb2.Chunk(text="a\0b"), "chunks[0].text"),
    "index past the count": (chunk_pb2.Chunk(chunk_index=1, text="x"), "chunks[0].chunk_index"),
    "negative index": (chunk_pb2.Chunk(chunk_index=-1, text="x"), "chunks[0].chunk_index"),
    "end before start": (chunk_pb2.Chunk(text="x", start=5, end=4), "chunks[0].end"),
    "page zero": (chunk_pb2.Chunk(text="x", page=0), "chunks[0].page"),
}


@pytest.mark.parametrize("case", BAD_CHUNKS)
async def test_a_chunk_that_cannot_be_stored_is_refused_and_named(rag: Stub, case: str) -> None:
    chunk, field = BAD_CHUNKS[case]
    request = rag_service_pb2.IndexChunksRequest(document=HANDBOOK, filename="a.txt", chunks=[chunk], chunk_count=1)

    failure = await failure_of(rag.IndexChunks(request))

    assert (failure.code, failure.domain) == (grpc.StatusCode.INVALID_ARGUMENT, "rag.diglot")
    assert failure.reason == "CHUNK_INVALID"
    assert [violation.field for violation in failure.fields] == [field]
    assert (await rag.GetStats(rag_service_pb2.GetStatsRequest())).chunk_count == 0


async def test_bad_requests_name_their_reason_and_field(rag: Stub) -> None:
    many = chunks(*(f"Text {place}" for place in range(257)))
    twice = [chunk_pb2.Chunk(text="a"), chunk_pb2.Chunk(text="b")]
    index_request, search = rag_service_pb2.IndexChunksRequest, rag_service_pb2.SearchChunksRequest
    ask, assess = rag_service_pb2.AnswerQuestionRequest, rag_service_pb2.AssessQuestionRequest
    embed = rag_service_pb2.EmbedTextsRequest
    cases: list[tuple[Awaitable[object], str, str]] = [
        (
            rag.IndexChunks(index_request(document=HANDBOOK, filename="a", chunk_count=0)),
            "CHUNK_INVALID",
            "chunk_count",
        ),
        (
            rag.IndexChunks(index_request(document=HANDBOOK, filename="a", chunks=many, chunk_count=300)),
            "CHUNK_INVALID",
            "chunks",
        ),
        (
            rag.IndexChunks(index_request(document=HANDBOOK, filename="a", chunks=twice, chunk_count=2)),
            "CHUNK_INVALID",
            "chunks[1].chunk_index",
        ),
        (rag.IndexChunks(index_request(document=HANDBOOK, chunk_count=1)), "NAME_INVALID", "filename"),
        (
            rag.IndexChunks(index_request(document=HANDBOOK, filename="x" * 256, chunk_count=1)),
            "NAME_INVALID",
            "filename",
        ),
        (rag.IndexChunks(index_request(document="handbook", filename="a", chunk_count=1)), "NAME_INVALID", "document"),
        (
            rag.DeleteDocumentChunks(rag_service_pb2.DeleteDocumentChunksRequest(document="documents/A")),
            "NAME_INVALID",
            "document",
        ),
        (rag.SearchChunks(search(question=" \n ")), "QUESTION_INVALID", "question"),
        (rag.SearchChunks(search(question="x" * 4_001)), "QUESTION_INVALID", "question"),
        (rag.SearchChunks(search(question="a\0b")), "QUESTION_INVALID", "question"),
        (rag.SearchChunks(search(question="x", top_k=-1)), "TOP_K_INVALID", "top_k"),
        (rag.SearchChunks(search(question="x", documents=[HANDBOOK, "?"])), "NAME_INVALID", "documents[1]"),
        (rag.SearchChunks(search(question="x", documents=[HANDBOOK] * 101)), "NAME_INVALID", "documents"),
        (rag.AnswerQuestion(ask(question="")), "QUESTION_INVALID", "question"),
        (rag.AnswerQuestion(ask(question="x", top_k=-5)), "TOP_K_INVALID", "top_k"),
        (rag.AnswerQuestion(ask(question="x", documents=["x"])), "NAME_INVALID", "documents[0]"),
        (rag.AssessQuestion(assess(question="x", parts=["y", ""])), "QUESTION_INVALID", "parts[1]"),
        (rag.AssessQuestion(assess(question="x", parts=["y"] * 9)), "QUESTION_INVALID", "parts"),
        (rag.EmbedTexts(embed()), "TEXTS_INVALID", "texts"),
        (rag.EmbedTexts(embed(texts=["x"] * 257)), "TEXTS_INVALID", "texts"),
        (rag.EmbedTexts(embed(texts=["x", " "])), "TEXTS_INVALID", "texts[1]"),
        (rag.EmbedTexts(embed(texts=["x", "ferry " * 257])), "TEXTS_INVALID", "texts[1]"),
    ]

    failures = [await failure_of(call) for call, _, _ in cases]

    told = [(failure.code, failure.reason, failure.fields[0].field) for failure in failures]
    assert told == [(grpc.StatusCode.INVALID_ARGUMENT, reason, field) for _, reason, field in cases]


async def test_the_longest_question_in_any_script_is_searched_for(rag: Stub) -> None:
    await index(rag, REMOTE)

    for question in (
        "q" * 4_000,
        "東" * 4_000,
        "🦊" * 4_000,
        "what? " * 666,
        "'; DROP TABLE chunks; --",
        "%s %(x)s {}",
    ):
        assert (await answer(rag, question)).answer.startswith(NOT_ANSWERED)
