"""Texts made to keep the service busy for years, while others want to be answered."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from protos.sql.v1 import sql_query_pb2, sql_service_pb2
from protos.sql.v1.sql_training_pb2 import TrainingExample
from services.transport.identity import acting_as
from tests.integration.sql.running_service import ADA, OUTSIDER, failure_of
from tests.integration.sql.service_processes import postgres_store, service_process, stub_of

ARRAYS = f"SELECT {'ARRAY[' * 30}1{']' * 30}"
SUBSCRIPTS = f"SELECT {'name[' * 30}1{']' * 30} FROM customers"
DDL = f"CREATE VIEW v AS {ARRAYS}"
QUESTION = "How many customers do we have?"


@pytest.mark.timeout(60)
async def test_texts_that_would_take_years_are_refused_while_another_tenant_is_answered(
    shop_url: str, store_url: str, tmp_path: Path
) -> None:
    socket = tmp_path / "sql.sock"
    generate = sql_service_pb2.GenerateSqlRequest(question=QUESTION)
    with service_process(shop_url, postgres_store(store_url), socket, tmp_path / "sql.log"):
        async with stub_of(socket) as sql:
            with acting_as(OUTSIDER):
                query = (await sql.GenerateSql(generate)).query
                edits = [
                    sql.EditQuery(sql_service_pb2.EditQueryRequest(name=query.name, sql=text))
                    for text in (ARRAYS, SUBSCRIPTS)
                ]
                lessons = [
                    sql.AddTraining(sql_service_pb2.AddTrainingRequest(ddl=DDL)),
                    sql.AddTraining(
                        sql_service_pb2.AddTrainingRequest(example=TrainingExample(question="x", sql=ARRAYS))
                    ),
                ]
            with acting_as(ADA):
                answer = await sql.GenerateSql(generate)
            failures = await asyncio.gather(*map(failure_of, (*edits, *lessons)))

    assert answer.query.state == sql_query_pb2.SqlQuery.State.PENDING
    assert {failure.code for failure in failures} == {grpc.StatusCode.INVALID_ARGUMENT}
    assert [failure.metadata.get("refusal") for failure in failures] == [
        "TOO_COMPLEX",
        "TOO_COMPLEX",
        None,
        "TOO_COMPLEX",
    ]
