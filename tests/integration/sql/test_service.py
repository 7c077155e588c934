"""The sql service whole: real PostgreSQL on both sides, real gRPC between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import grpc
import psycopg
import pytest

from protos.sql.v1 import sql_query_pb2, sql_service_pb2
from services.sql.answering import AutoApprovePolicy
from services.transport.identity import acting_as
from tests.integration.sql.running_service import ADA, BO, OUTSIDER, failure_of, running, settings_for

if TYPE_CHECKING:
    from protos.sql.v1.sql_service_pb2_grpc import SqlServiceAsyncStub

State = sql_query_pb2.SqlQuery.State
LONG = "x" * 4_001
HOW_MANY = "How many customers do we have?"


@pytest.fixture
async def sql(shop_url: str, store_url: str, tmp_path: Path) -> AsyncIterator[SqlServiceAsyncStub]:
    async with running(settings_for(shop_url, store_url), tmp_path) as stub:
        with acting_as(ADA):
            yield stub


async def generate(sql: SqlServiceAsyncStub, question: str = HOW_MANY) -> sql_query_pb2.SqlQuery:
    response = await sql.GenerateSql(sql_service_pb2.GenerateSqlRequest(question=question))
    assert response.WhichOneof("outcome") == "query"
    return response.query


async def approve(sql: SqlServiceAsyncStub, query: sql_query_pb2.SqlQuery) -> sql_query_pb2.SqlQuery:
    request = sql_service_pb2.ApproveQueryRequest(name=query.name, sql_hash=query.sql_hash)
    return (await sql.ApproveQuery(request)).query


def run_request(query: sql_query_pb2.SqlQuery) -> sql_service_pb2.RunQueryRequest:
    return sql_service_pb2.RunQueryRequest(name=query.name, sql_hash=query.sql_hash)


async def test_a_question_is_answered_at_once_where_policy_lets_it(sql: SqlServiceAsyncStub) -> None:
    answer = await sql.AnswerQuestion(sql_service_pb2.AnswerQuestionRequest(question=HOW_MANY, auto_approve=True))

    assert answer.query.state == State.EXECUTED
    assert answer.query.row_count == 1
    assert answer.query.tables == ["public.customers"]
    assert answer.query.sql.endswith(" LIMIT 1001")
    assert [value.integer_value for row in answer.result.rows for value in row.values] == [100]
    assert not answer.result.truncated


async def test_policy_may_refuse_to_run_at_once(shop_url: str, store_url: str, tmp_path: Path) -> None:
    never = settings_for(shop_url, store_url, policy=AutoApprovePolicy.NEVER)
    async with running(never, tmp_path) as sql:
        with acting_as(ADA):
            answer = await sql.AnswerQuestion(
                sql_service_pb2.AnswerQuestionRequest(question=HOW_MANY, auto_approve=True)
            )

    assert answer.query.state == State.PENDING
    assert not answer.HasField("result")


async def test_a_query_is_generated_read_approved_and_run_once(sql: SqlServiceAsyncStub) -> None:
    query = await generate(sql)
    approved = await approve(sql, query)

    ran = await sql.RunQuery(run_request(query))
    again = await failure_of(sql.RunQuery(run_request(query)))

    assert query.state == State.PENDING
    assert len(query.sql_hash) == 64
    assert query.owner == "ada"
    assert query.explanation
    assert query.expire_time.ToDatetime() - query.create_time.ToDatetime() == timedelta(hours=1)
    assert approved.state == State.APPROVED
    assert ran.query.state == State.EXECUTED
    assert (again.code, again.reason) == (grpc.StatusCode.ABORTED, "QUERY_STATE_CONFLICT")
    assert again.metadata["state"] == "EXECUTED"
    assert await sql.GetQuery(sql_service_pb2.GetQueryRequest(name=query.name)) == ran.query


async def test_a_question_that_the_schema_cannot_answer_is_told_so(sql: SqlServiceAsyncStub) -> None:
    response = await sql.GenerateSql(sql_service_pb2.GenerateSqlRequest(question="Who won the chess olympiad?"))

    assert response.WhichOneof("outcome") == "no_answer"
    assert 0 < len(response.no_answer.reason) <= 500


async def test_a_repeated_request_gives_the_same_query(sql: SqlServiceAsyncStub) -> None:
    request = sql_service_pb2.GenerateSqlRequest(question=HOW_MANY, request_id=str(uuid4()))

    first, again = await sql.GenerateSql(request), await sql.GenerateSql(request)

    assert first == again


async def test_a_query_of_another_owner_or_tenant_is_unknown(sql: SqlServiceAsyncStub) -> None:
    query = await approve(sql, await generate(sql))

    for caller in (BO, OUTSIDER):
        with acting_as(caller):
            failures = [
                await failure_of(sql.GetQuery(sql_service_pb2.GetQueryRequest(name=query.name))),
                await failure_of(sql.RunQuery(run_request(query))),
                await failure_of(sql.RejectQuery(sql_service_pb2.RejectQueryRequest(name=query.name))),
                await failure_of(sql.EditQuery(sql_service_pb2.EditQueryRequest(name=query.name, sql="SELECT 1"))),
                await failure_of(sql.GetQuery(sql_service_pb2.GetQueryRequest(name="queries/" + "0" * 32))),
            ]
            listed = await sql.ListQueries(sql_service_pb2.ListQueriesRequest())
        assert {(failure.code, failure.reason, failure.message) for failure in failures} == {
            (grpc.StatusCode.NOT_FOUND, "QUERY_NOT_FOUND", "there is no such query")
        }
        assert list(listed.queries) == []


async def test_an_edited_query_is_guarded_and_approved_by_its_new_hash(sql: SqlServiceAsyncStub) -> None:
    query = await generate(sql)
    text = "select name from customers order by name limit 2"

    edited = (await sql.EditQuery(sql_service_pb2.EditQueryRequest(name=query.name, sql=text))).query
    stale = await failure_of(approve(sql, query))
    await approve(sql, edited)
    ran = await sql.RunQuery(run_request(edited))

    assert edited.sql == "SELECT name FROM public.customers ORDER BY name LIMIT 2"
    assert "edited" in edited.explanation
    assert (stale.code, stale.reason) == (grpc.StatusCode.ABORTED, "SQL_HASH_MISMATCH")
    assert [row.values[0].text_value for row in ran.result.rows] == ["Alice Costa", "Alice Hansen"]


async def test_a_refused_edit_says_why_and_names_the_field(sql: SqlServiceAsyncStub) -> None:
    query = await generate(sql)

    for text, refusal in (
        ("DELETE FROM customers", "NOT_A_SELECT"),
        ("SELECT 1; SELECT 2", "NOT_ONE_STATEMENT"),
        ("SELECT pg_sleep(1)", "FUNCTION_NOT_ALLOWED"),
        ("SELECT * FROM pg_authid", "UNKNOWN_TABLE"),
        ("", "EMPTY"),
        ("SELECT '" + "x" * 20_000 + "'", "TOO_LONG"),
    ):
        failure = await failure_of(sql.EditQuery(sql_service_pb2.EditQueryRequest(name=query.name, sql=text)))
        assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SQL_REFUSED")
        assert failure.metadata["refusal"] == refusal
        assert [violation.field for violation in failure.fields] == ["sql"]
    assert await sql.GetQuery(sql_service_pb2.GetQueryRequest(name=query.name)) == query


async def test_a_rejected_query_is_not_run(sql: SqlServiceAsyncStub) -> None:
    query = await approve(sql, await generate(sql))

    rejected = await sql.RejectQuery(sql_service_pb2.RejectQueryRequest(name=query.name, reason="not needed"))
    failure = await failure_of(sql.RunQuery(run_request(query)))

    assert (rejected.query.state, rejected.query.state_reason) == (State.REJECTED, "REJECTED")
    assert failure.metadata["state"] == "REJECTED"


async def test_a_run_that_the_database_refuses_is_told_with_its_sqlstate(sql: SqlServiceAsyncStub) -> None:
    query = await generate(sql)
    request = sql_service_pb2.EditQueryRequest(name=query.name, sql="SELECT 1 / (customer_id - 1) FROM customers")
    query = await approve(sql, (await sql.EditQuery(request)).query)

    failure = await failure_of(sql.RunQuery(run_request(query)))
    stored = await sql.GetQuery(sql_service_pb2.GetQueryRequest(name=query.name))

    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "QUERY_FAILED")
    assert failure.metadata["sqlstate"] == "22012"
    assert (stored.state, stored.state_reason) == (State.FAILED, "QUERY_FAILED")


async def test_slow_and_costly_runs_end_with_their_own_reason(shop_url: str, store_url: str, tmp_path: Path) -> None:
    strict = settings_for(shop_url, store_url, statement_seconds=0.3, lock_seconds=0.2, max_plan_cost=10_000)
    # The planner expects few rows of it, and there are ten thousand million.
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(a.i + b.i) FROM n AS a, n AS b"
    costly = "SELECT count(*) FROM order_items a, order_items b, order_items c"
    async with running(strict, tmp_path) as sql:
        with acting_as(ADA):
            reasons = []
            for text in (slow, costly):
                request = sql_service_pb2.EditQueryRequest(name=(await generate(sql)).name, sql=text)
                query = await approve(sql, (await sql.EditQuery(request)).query)
                failure = await failure_of(sql.RunQuery(run_request(query)))
                stored = await sql.GetQuery(sql_service_pb2.GetQueryRequest(name=query.name))
                reasons.append((failure.code, failure.reason, stored.state_reason))

    assert reasons == [
        (grpc.StatusCode.DEADLINE_EXCEEDED, "STATEMENT_TIMEOUT", "STATEMENT_TIMEOUT"),
        (grpc.StatusCode.FAILED_PRECONDITION, "QUERY_TOO_COSTLY", "QUERY_TOO_COSTLY"),
    ]


async def test_an_expired_query_can_be_neither_approved_nor_run(shop_url: str, store_url: str, tmp_path: Path) -> None:
    async with running(settings_for(shop_url, store_url, approval_seconds=0.3), tmp_path) as sql:
        with acting_as(ADA):
            query = await generate(sql)
            await asyncio.sleep(0.4)

            failures = [await failure_of(approve(sql, query)), await failure_of(sql.RunQuery(run_request(query)))]

    assert [failure.metadata["state"] for failure in failures] == ["EXPIRED", "EXPIRED"]


async def test_bad_fields_are_named(sql: SqlServiceAsyncStub) -> None:
    cases = [
        (sql.GenerateSql(sql_service_pb2.GenerateSqlRequest(question=" ")), "QUESTION_INVALID", "question"),
        (
            sql.AnswerQuestion(sql_service_pb2.AnswerQuestionRequest(question=LONG)),
            "QUESTION_INVALID",
            "question",
        ),
        (
            sql.GenerateSql(sql_service_pb2.GenerateSqlRequest(question="x", request_id="1")),
            "REQUEST_ID_INVALID",
            "request_id",
        ),
        (sql.GetQuery(sql_service_pb2.GetQueryRequest(name="jobs/1")), "NAME_INVALID", "name"),
        (sql.RunQuery(sql_service_pb2.RunQueryRequest(name="")), "NAME_INVALID", "name"),
        (sql.ListQueries(sql_service_pb2.ListQueriesRequest(page_token="x")), "PAGE_TOKEN_INVALID", "page_token"),
        (
            sql.AssessQuestion(sql_service_pb2.AssessQuestionRequest(question="x", parts=["y", ""])),
            "QUESTION_INVALID",
            "parts[1]",
        ),
        (
            sql.AssessQuestion(sql_service_pb2.AssessQuestionRequest(question="x", parts=["y"] * 9)),
            "QUESTION_INVALID",
            "parts",
        ),
    ]

    for call, reason, field in cases:
        failure = await failure_of(call)
        assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
        assert [violation.field for violation in failure.fields] == [field]


async def test_lists_page_newest_first_under_one_filter(sql: SqlServiceAsyncStub) -> None:
    queries = [await generate(sql) for _ in range(3)]
    await sql.RejectQuery(sql_service_pb2.RejectQueryRequest(name=queries[1].name))

    first = await sql.ListQueries(sql_service_pb2.ListQueriesRequest(page_size=1, state=State.PENDING))
    token = first.next_page_token
    second = await sql.ListQueries(
        sql_service_pb2.ListQueriesRequest(page_size=1, state=State.PENDING, page_token=token)
    )
    everything = await sql.ListQueries(sql_service_pb2.ListQueriesRequest(page_size=-1))
    mixed = await failure_of(sql.ListQueries(sql_service_pb2.ListQueriesRequest(page_token=token)))

    assert [query.name for query in (*first.queries, *second.queries)] == [queries[2].name, queries[0].name]
    assert second.next_page_token == ""
    assert [query.name for query in everything.queries] == [query.name for query in reversed(queries)]
    assert mixed.reason == "PAGE_TOKEN_INVALID"


async def test_page_sizes_are_lowered_to_200(sql: SqlServiceAsyncStub, store_url: str) -> None:
    await generate(sql)
    async with await psycopg.AsyncConnection.connect(store_url, autocommit=True) as connection:
        await connection.execute(
            "INSERT INTO sql.queries SELECT md5(n::text), tenant, owner, NULL, question, sql, sql_hash, explanation,"
            " confidence, tables, state, state_reason, row_count, create_time, expire_time"
            " FROM sql.queries, generate_series(1, 250) AS n"
        )

    page = await sql.ListQueries(sql_service_pb2.ListQueriesRequest(page_size=1_000))
    usual = await sql.ListQueries(sql_service_pb2.ListQueriesRequest())

    assert (len(page.queries), len(usual.queries)) == (200, 50)


async def test_the_schema_is_described_and_synced(sql: SqlServiceAsyncStub, shop_owner_url: str) -> None:
    schema = await sql.DescribeSchema(sql_service_pb2.DescribeSchemaRequest())
    unchanged = await sql.SyncSchema(sql_service_pb2.SyncSchemaRequest())
    async with await psycopg.AsyncConnection.connect(shop_owner_url, autocommit=True) as owner:
        await owner.execute("CREATE TABLE returns (id int PRIMARY KEY)")
        await owner.execute("GRANT SELECT ON returns TO diglot_reader")
        try:
            changed = await sql.SyncSchema(sql_service_pb2.SyncSchemaRequest())
        finally:
            await owner.execute("DROP TABLE returns")

    assert [table.name for table in schema.tables] == [
        "public.customers",
        "public.order_items",
        "public.orders",
        "public.products",
    ]
    customers, _, orders, _ = schema.tables
    assert customers.estimated_row_count == 100
    assert customers.primary_key == ["customer_id"]
    assert customers.comment
    segment = next(column for column in customers.columns if column.name == "segment")
    assert segment.type == "text"
    assert sorted(segment.sample_values) == ["Basic", "Enterprise", "Premium", "Standard"]
    assert [(key.referenced_table, list(key.columns)) for key in orders.foreign_keys] == [
        ("public.customers", ["customer_id"])
    ]
    assert not unchanged.changed
    assert unchanged.fingerprint == schema.fingerprint
    assert changed.changed
    assert changed.table_count == 5


async def test_questions_are_assessed_with_their_parts(sql: SqlServiceAsyncStub) -> None:
    reply = await sql.AssessQuestion(
        sql_service_pb2.AssessQuestionRequest(question=HOW_MANY, parts=[HOW_MANY, "Why is the sky blue?"])
    )

    assert reply.question.score > 0.5
    assert reply.question.tables == ["public.customers"]
    assert reply.parts[0] == reply.question
    assert reply.parts[1].score < 0.5
    assert all(0 < len(part.reason) <= 300 for part in reply.parts)


async def test_statistics_count_the_queries_of_the_tenant(sql: SqlServiceAsyncStub) -> None:
    await generate(sql)
    query = await generate(sql)
    await sql.RejectQuery(sql_service_pb2.RejectQueryRequest(name=query.name))

    stats = await sql.GetStats(sql_service_pb2.GetStatsRequest())
    with acting_as(OUTSIDER):
        others = await sql.GetStats(sql_service_pb2.GetStatsRequest())

    assert dict(stats.queries_by_state) == {"PENDING": 1, "REJECTED": 1}
    assert (stats.table_count, stats.generator, stats.auto_approve_policy) == (4, "grounded", "allowed")
    assert stats.uptime.ToTimedelta() > timedelta(0)
    assert dict(others.queries_by_state) == {}
