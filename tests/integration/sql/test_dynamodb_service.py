"""The sql service whole, with its queries in DynamoDB: from a question to its one run, restarts, an outage."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from protos.sql.v1 import sql_query_pb2, sql_service_pb2
from services.sql.adapters.dynamodb_tables import TABLES
from services.transport.aws_clients import make_aws_client
from services.transport.identity import acting_as
from tests.aws_server import AwsAccount
from tests.dynamodb import PREFIX, make_tables
from tests.integration.sql.running_service import ADA, BO, failure_of, running, settings_for

State = sql_query_pb2.SqlQuery.State
HOW_MANY = "How many customers do we have?"
STORE_URL = f"dynamodb://{PREFIX}"


@pytest.fixture
async def store_url(aws_account: AwsAccount) -> str:
    await make_tables(*TABLES)
    return STORE_URL


async def test_a_query_is_generated_approved_and_run_once_over_restarts(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    settings = settings_for(shop_url, store_url)
    async with running(settings, tmp_path) as sql:
        with acting_as(ADA):
            generated = (await sql.GenerateSql(sql_service_pb2.GenerateSqlRequest(question=HOW_MANY))).query

    async with running(settings, tmp_path) as sql:
        with acting_as(BO):
            foreign = await failure_of(sql.GetQuery(sql_service_pb2.GetQueryRequest(name=generated.name)))
        with acting_as(ADA):
            approval = sql_service_pb2.ApproveQueryRequest(name=generated.name, sql_hash=generated.sql_hash)
            approved = (await sql.ApproveQuery(approval)).query

    run = sql_service_pb2.RunQueryRequest(name=generated.name, sql_hash=generated.sql_hash)
    async with running(settings, tmp_path) as sql:
        with acting_as(ADA):
            outcomes = await asyncio.gather(*(sql.RunQuery(run) for _ in range(10)), return_exceptions=True)
            stored = await sql.GetQuery(sql_service_pb2.GetQueryRequest(name=generated.name))
            stats = await sql.GetStats(sql_service_pb2.GetStatsRequest())

    [ran] = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert generated.state == State.PENDING
    assert foreign.reason == "QUERY_NOT_FOUND"
    assert approved.state == State.APPROVED
    assert [value.integer_value for row in ran.result.rows for value in row.values] == [100]
    assert (stored.state, stored.row_count) == (State.EXECUTED, 1)
    assert stats.parts["query_store"] == "dynamodb"


async def test_a_question_is_answered_at_once_and_listed(shop_url: str, store_url: str, tmp_path: Path) -> None:
    async with running(settings_for(shop_url, store_url), tmp_path) as sql:
        with acting_as(ADA):
            request = sql_service_pb2.AnswerQuestionRequest(question=HOW_MANY, auto_approve=True)
            answer = await sql.AnswerQuestion(request)
            listed = await sql.ListQueries(sql_service_pb2.ListQueriesRequest())

    assert answer.query.state == State.EXECUTED
    assert [query.name for query in listed.queries] == [answer.query.name]


async def test_a_store_that_went_away_is_told_as_unavailable(shop_url: str, store_url: str, tmp_path: Path) -> None:
    async with running(settings_for(shop_url, store_url), tmp_path) as sql:
        client = make_aws_client("dynamodb")
        await client.run(lambda database: database.delete_table(TableName=f"{PREFIX}-queries"))
        client.close()

        with acting_as(ADA):
            call = sql.GetQuery(sql_service_pb2.GetQueryRequest(name=f"queries/{'0' * 32}"), timeout=5)
            failure = await failure_of(call)

    assert failure.reason == "QUERY_STORE_UNAVAILABLE"
