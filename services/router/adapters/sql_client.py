"""The database, asked through sql.v1."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

import grpc

from protos.sql.v1 import sql_query_pb2, sql_service_pb2, sql_service_pb2_grpc
from services.router.adapters.source_errors import source_errors
from services.router.adapters.sql_values import to_json
from services.router.models import Assessment, Column, Evidence, SqlAnswer

SOURCE = "sql"


class SqlClient:
    """DatabaseSource over a channel to the sql service."""

    def __init__(self, channel: grpc.aio.Channel, *, assess_timeout_seconds: float) -> None:
        self._stub = sql_service_pb2_grpc.SqlServiceStub(channel)
        self._assess_timeout_seconds = assess_timeout_seconds

    async def assess(self, question: str, parts: Sequence[str]) -> Evidence:
        request = sql_service_pb2.AssessQuestionRequest(question=question, parts=parts)
        with source_errors(SOURCE):
            reply = await self._stub.AssessQuestion(request, timeout=self._assess_timeout_seconds)
        return Evidence(_assessment(reply.question), tuple(_assessment(part) for part in reply.parts))

    async def answer(self, question: str, *, auto_approve: bool) -> SqlAnswer:
        request = sql_service_pb2.AnswerQuestionRequest(question=question, auto_approve=auto_approve)
        with source_errors(SOURCE):
            reply = await self._stub.AnswerQuestion(request)
        if not reply.HasField("query"):
            return SqlAnswer(answered=False, explanation=reply.no_answer.reason)
        query = reply.query
        pending = query.state != sql_query_pb2.SqlQuery.EXECUTED
        return SqlAnswer(
            answered=True,
            explanation=query.explanation,
            query=query.name,
            sql=query.sql,
            sql_hash=query.sql_hash,
            pending=pending,
            pending_reason=query.state_reason if pending else "",
            plan_cost=query.plan_cost if pending and query.HasField("plan_cost") else None,
            expire_time=query.expire_time.ToDatetime(tzinfo=UTC) if pending and query.HasField("expire_time") else None,
            columns=tuple(Column(column.name, column.type) for column in reply.result.columns),
            rows=tuple(tuple(to_json(value) for value in row.values) for row in reply.result.rows),
            truncated=reply.result.truncated,
        )


def _assessment(message: sql_service_pb2.Assessment) -> Assessment:
    return Assessment(message.score, message.reason)
