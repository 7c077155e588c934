"""The router over real sockets: real adapters, fake services behind them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from protos.router.v1 import answer_pb2, router_service_pb2, router_service_pb2_grpc
from services.router.service import FAILURES
from services.router.settings import RouterSettings
from services.router.wiring import open_router
from services.transport.channels import open_channel
from services.transport.errors import read_failure
from services.transport.identity import acting_as
from services.transport.serving import serving
from tests.contract.router.test_database_source import COUNT
from tests.fakes.rag_servicer import FakeRag
from tests.fakes.served_sources import CALLER
from tests.fakes.servicers import failure, served, transport_settings
from tests.fakes.sql_servicer import FakeSql

Reply = router_service_pb2.AskQuestionResponse
Routing = answer_pb2.Routing
HOURS = "Remote work core hours are 10 AM to 3 PM"


@dataclass
class House:
    """A router between its two fake sources, each with a way to stop it."""

    stub: router_service_pb2_grpc.RouterServiceAsyncStub
    rag: FakeRag
    sql: FakeSql
    rag_server: AsyncExitStack
    sql_server: AsyncExitStack

    async def ask(self, question: str, *, top_k: int = 0, auto_approve: bool = True) -> Reply:
        request = router_service_pb2.AskQuestionRequest(question=question, top_k=top_k, auto_approve_sql=auto_approve)
        return await self.stub.AskQuestion(request)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    rag, sql = FakeRag({"handbook.md": HOURS}), FakeSql({"customers": COUNT})
    async with AsyncExitStack() as stack:
        rag_server = await stack.enter_async_context(AsyncExitStack())
        sql_server = await stack.enter_async_context(AsyncExitStack())
        settings = RouterSettings(
            rag_target=await rag_server.enter_async_context(served(rag)),
            sql_target=await sql_server.enter_async_context(served(sql)),
            assess_timeout_seconds=0.5,
            transport=transport_settings(),
        )
        definition = await stack.enter_async_context(open_router(settings))
        target = await stack.enter_async_context(
            serving(definition, listen="127.0.0.1:0", settings=transport_settings())
        )
        channel = await stack.enter_async_context(open_channel(target, transport_settings()))
        stack.enter_context(acting_as(CALLER))
        yield House(router_service_pb2_grpc.RouterServiceStub(channel), rag, sql, rag_server, sql_server)


async def test_a_database_question_gives_rows_and_says_them(house: House) -> None:
    reply = await house.ask("How many customers do we have?")

    assert reply.status == Reply.SUCCESS
    assert reply.routing.route == Routing.SQL
    assert [column.name for column in reply.sql.columns] == ["customer_count"]
    assert [value.number_value for value in reply.sql.rows[0].values] == [100]
    assert reply.answer == "Customer count: 100 [query q1]."
    assert not reply.HasField("documents")


async def test_without_approval_the_query_waits_for_the_same_caller(house: House) -> None:
    reply = await house.ask("How many customers do we have?", auto_approve=False)

    assert reply.status == Reply.PENDING_APPROVAL
    assert reply.sql.pending
    assert reply.sql.pending_reason == "NOT_ASKED"
    assert not reply.sql.rows
    assert house.sql.queries[reply.sql.query].owner == "acme/ada"


async def test_a_documents_question_is_answered_with_its_source(house: House) -> None:
    reply = await house.ask("What are the remote work hours?", top_k=2)

    assert reply.status == Reply.SUCCESS
    assert reply.routing.route == Routing.DOCUMENTS
    assert reply.documents.answered
    assert reply.documents.citations[0].page == 2
    assert reply.documents.sources[0].filename == "handbook.md"
    assert reply.answer == f"{HOURS}. [handbook.md, p. 2]"
    assert house.rag.requests[-1].top_k == 2


async def test_a_hybrid_question_is_split_and_fused(house: House) -> None:
    reply = await house.ask("How many customers do we have and what are the remote work hours?")

    assert reply.status == Reply.SUCCESS
    assert reply.routing.route == Routing.HYBRID
    assert [(sub.route, sub.question) for sub in reply.routing.sub_questions] == [
        (Routing.SQL, "How many customers do we have"),
        (Routing.DOCUMENTS, "what are the remote work hours"),
    ]
    assert "Customer count: 100" in reply.answer
    assert "10 AM to 3 PM" in reply.answer


async def test_a_question_nobody_can_answer_is_no_error(house: House) -> None:
    reply = await house.ask("Who won the cup in 1966?")

    assert reply.status == Reply.NO_ANSWER
    assert reply.routing.route == Routing.NONE
    assert reply.answer


async def test_routing_alone_gives_the_decision(house: House) -> None:
    reply = await house.stub.RouteQuestion(router_service_pb2.RouteQuestionRequest(question="How many customers?"))

    assert reply.routing.route == Routing.SQL
    assert 0 < reply.routing.confidence <= 1
    assert house.sql.queries == {}


async def test_a_stopped_source_leaves_the_other_serving(house: House) -> None:
    await house.sql_server.aclose()

    reply = await house.ask("What are the remote work hours?")

    assert reply.status == Reply.PARTIAL
    assert [(found.route, found.reason) for found in reply.failures] == [(Routing.SQL, "SOURCE_UNAVAILABLE")]


@pytest.mark.parametrize("both", [False, True])
async def test_a_stopped_source_that_is_needed_is_an_error(house: House, both: bool) -> None:
    await house.sql_server.aclose()
    if both:
        await house.rag_server.aclose()

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await house.ask("How many customers do we have?")

    failed = read_failure(raised.value)
    assert (failed.code, failed.domain) == (grpc.StatusCode.UNAVAILABLE, "router.diglot")
    assert failed.reason == "SOURCE_UNAVAILABLE"
    assert failed.metadata == {"source": "sql"}
    assert failed.retry_after_seconds


async def test_sources_that_are_too_slow_are_a_timeout(house: House) -> None:
    house.sql.faults.stall_seconds = house.rag.faults.stall_seconds = 2

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await house.ask("How many customers do we have?")

    failed = read_failure(raised.value)
    assert (failed.code, failed.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "SOURCE_TIMEOUT")


async def test_the_only_needed_sources_error_arrives_unchanged(house: House) -> None:
    house.sql.faults.failures["AnswerQuestion"] = failure(
        grpc.StatusCode.FAILED_PRECONDITION, "QUERY_FAILED", "No.", domain="sql.diglot", metadata={"sqlstate": "22012"}
    )

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await house.ask("How many customers do we have?")

    failed = read_failure(raised.value)
    assert (failed.code, failed.domain, failed.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "sql.diglot",
        "QUERY_FAILED",
    )
    assert failed.metadata == {"sqlstate": "22012"}


@pytest.mark.parametrize(
    ("question", "top_k", "reason", "field"),
    [
        ("", 0, "QUESTION_INVALID", "question"),
        ("x" * 4_001, 0, "QUESTION_INVALID", "question"),
        ("How many?", -1, "TOP_K_INVALID", "top_k"),
    ],
)
async def test_a_bad_request_names_its_field(house: House, question: str, top_k: int, reason: str, field: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await house.ask(question, top_k=top_k)

    failed = read_failure(raised.value)
    assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert [violation.field for violation in failed.fields] == [field]


def test_the_contract_lists_exactly_the_failures_of_the_table() -> None:
    contract = (Path(__file__).parents[3] / "protos/router/v1/router_service.proto").read_text(encoding="utf-8")
    service = contract[contract.index("service RouterService") : contract.index("message AskQuestionRequest")]

    listed = {(code, reason) for code, reason in re.findall(r"// ([A-Z_]+) / ([A-Z_]+)", service)}

    assert listed == {(entry.code.name, entry.reason) for entry in FAILURES.values()}
