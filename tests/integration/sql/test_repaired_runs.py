"""A model's query that the database refuses as it runs: mended, within bounds, and told in the audit log."""

from collections.abc import Callable
from pathlib import Path

import pytest

from protos.sql.v1 import sql_query_pb2, sql_service_pb2
from services.transport.identity import acting_as
from tests.contract.sql.vanna_generators import reply
from tests.integration.sql.running_service import ADA, failure_of, running, settings_for
from tests.openai_server import OpenAiServer

# Both are planned without a word; only the rows show that they cannot be computed.
DIVIDES = "SELECT 1 / (customer_id - 1) AS share FROM customers"
CONVERTS = "SELECT name::int AS number FROM customers"
COUNT = "SELECT count(*) AS customer_count FROM customers"
ASK = sql_service_pb2.AnswerQuestionRequest(question="How many customers do we have?", auto_approve=True)

State = sql_query_pb2.SqlQuery.State


@pytest.mark.timeout(120)
async def test_a_run_that_fails_is_mended_and_every_try_is_in_the_log(
    shop_url: str, store_url: str, make_folder: Callable[[], Path], openai_server: OpenAiServer
) -> None:
    openai_server.answer(reply(DIVIDES), reply(CONVERTS), reply(COUNT, "Counts."))
    settings = settings_for(
        shop_url, store_url, OPENAI_API_KEY=openai_server.api_key, OPENAI_BASE_URL=openai_server.base_url
    )
    async with running(settings, make_folder()) as sql:
        with acting_as(ADA):
            answer = await sql.AnswerQuestion(ASK)
            queries = (await sql.ListQueries(sql_service_pb2.ListQueriesRequest())).queries
            steps = (await sql.ListAuditEntries(sql_service_pb2.ListAuditEntriesRequest())).audit_entries

    assert [value.integer_value for row in answer.result.rows for value in row.values] == [100]
    assert [(State.Name(query.state), query.state_reason) for query in reversed(queries)] == [
        ("FAILED", "QUERY_FAILED"),
        ("FAILED", "QUERY_FAILED"),
        ("EXECUTED", ""),
    ]
    divided, converted, counted = [query.name for query in reversed(queries)]
    assert answer.query.name == counted
    approvals = [(step.query, step.subject, step.note) for step in reversed(steps) if step.to_state == State.APPROVED]
    assert approvals == [
        (divided, "", "AUTO_APPROVED"),
        (converted, "", f"AUTO_APPROVED; REPAIRS {divided}"),
        (counted, "", f"AUTO_APPROVED; REPAIRS {converted}"),
    ]
    asked = [str(request.body["messages"]) for request in openai_server.asked("/chat/completions")]
    assert len(asked) == 3
    assert "SQLSTATE 22012" in asked[1]
    assert "SQLSTATE 22P02" in asked[2]
    assert not any("Alice" in prompt for prompt in asked), "the database quotes the value it cannot convert"


@pytest.mark.timeout(120)
async def test_after_two_repairs_the_failure_is_told(
    shop_url: str, store_url: str, make_folder: Callable[[], Path], openai_server: OpenAiServer
) -> None:
    tries = [f"SELECT {number} / (customer_id - 1) AS share FROM customers" for number in (1, 2, 3, 4)]
    openai_server.answer(*(reply(sql) for sql in tries))
    settings = settings_for(
        shop_url, store_url, OPENAI_API_KEY=openai_server.api_key, OPENAI_BASE_URL=openai_server.base_url
    )
    async with running(settings, make_folder()) as sql:
        with acting_as(ADA):
            failure = await failure_of(sql.AnswerQuestion(ASK))
            queries = (await sql.ListQueries(sql_service_pb2.ListQueriesRequest())).queries

    assert (failure.reason, failure.metadata["sqlstate"]) == ("QUERY_FAILED", "22012")
    assert [State.Name(query.state) for query in queries] == ["FAILED"] * 3
    assert len(openai_server.asked("/chat/completions")) == 3
