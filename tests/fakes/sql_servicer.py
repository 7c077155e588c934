"""A stand-in for the sql service."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping

import grpc

from protos.sql.v1 import sql_query_pb2, sql_service_pb2, sql_service_pb2_grpc
from services.transport.errors import PassedOn
from services.transport.identity import current_caller
from services.transport.serving import ServiceDefinition
from tests.fakes.servicers import Faults, check_name, failure, overlap, page_of, terms, unknown_method

_STATE = sql_query_pb2.SqlQuery


class FakeSql(sql_service_pb2_grpc.SqlServiceServicer):
    """Results by the words a question must hold; queries belong to their owner and run once."""

    def __init__(self, results: Mapping[str, sql_service_pb2.RunQueryResponse]) -> None:
        self.results = dict(results)
        self.queries: dict[str, sql_query_pb2.SqlQuery] = {}
        self.auto_approve_allowed = True
        self.faults = Faults()
        self._ids = itertools.count(1)

    async def AssessQuestion(
        self, request: sql_service_pb2.AssessQuestionRequest, context: object
    ) -> sql_service_pb2.AssessQuestionResponse:
        await self.faults.strike("AssessQuestion")
        return sql_service_pb2.AssessQuestionResponse(
            question=self._assess(request.question), parts=[self._assess(part) for part in request.parts]
        )

    async def GenerateSql(
        self, request: sql_service_pb2.GenerateSqlRequest, context: object
    ) -> sql_service_pb2.GenerateSqlResponse:
        await self.faults.strike("GenerateSql")
        query = self._generate(request.question)
        if query is None:
            return sql_service_pb2.GenerateSqlResponse(no_answer=_no_answer())
        return sql_service_pb2.GenerateSqlResponse(query=query)

    async def AnswerQuestion(
        self, request: sql_service_pb2.AnswerQuestionRequest, context: object
    ) -> sql_service_pb2.AnswerQuestionResponse:
        await self.faults.strike("AnswerQuestion")
        query = self._generate(request.question)
        if query is None:
            return sql_service_pb2.AnswerQuestionResponse(no_answer=_no_answer())
        if not (request.auto_approve and self.auto_approve_allowed):
            return sql_service_pb2.AnswerQuestionResponse(query=query)
        query.state = _STATE.EXECUTED
        return sql_service_pb2.AnswerQuestionResponse(query=query, result=self._result(query))

    async def GetQuery(self, request: sql_service_pb2.GetQueryRequest, context: object) -> sql_query_pb2.SqlQuery:
        await self.faults.strike("GetQuery")
        return self._own(request.name)

    async def EditQuery(
        self, request: sql_service_pb2.EditQueryRequest, context: object
    ) -> sql_service_pb2.EditQueryResponse:
        query = self._in_state(request.name, _STATE.PENDING)
        if not request.sql.lower().startswith("select"):
            raise PassedOn(
                failure(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    "SQL_REFUSED",
                    "Only SELECT is allowed.",
                    domain="sql.diglot",
                    fields={"sql": "Only SELECT is allowed."},
                    metadata={"refusal": "NOT_A_SELECT"},
                )
            )
        query.sql, query.sql_hash = request.sql, _hash(request.sql)
        return sql_service_pb2.EditQueryResponse(query=query)

    async def ApproveQuery(
        self, request: sql_service_pb2.ApproveQueryRequest, context: object
    ) -> sql_service_pb2.ApproveQueryResponse:
        query = self._in_state(request.name, _STATE.PENDING, _STATE.APPROVED)
        if request.sql_hash != query.sql_hash:
            raise PassedOn(failure(grpc.StatusCode.ABORTED, "SQL_HASH_MISMATCH", domain="sql.diglot"))
        query.state = _STATE.APPROVED
        return sql_service_pb2.ApproveQueryResponse(query=query)

    async def RejectQuery(
        self, request: sql_service_pb2.RejectQueryRequest, context: object
    ) -> sql_service_pb2.RejectQueryResponse:
        query = self._in_state(request.name, _STATE.PENDING, _STATE.APPROVED, _STATE.REJECTED)
        query.state = _STATE.REJECTED
        return sql_service_pb2.RejectQueryResponse(query=query)

    async def RunQuery(
        self, request: sql_service_pb2.RunQueryRequest, context: object
    ) -> sql_service_pb2.RunQueryResponse:
        await self.faults.strike("RunQuery")
        query = self._in_state(request.name, _STATE.APPROVED)
        query.state = _STATE.EXECUTED
        return sql_service_pb2.RunQueryResponse(query=query, result=self._result(query))

    async def ListQueries(
        self, request: sql_service_pb2.ListQueriesRequest, context: object
    ) -> sql_service_pb2.ListQueriesResponse:
        await self.faults.strike("ListQueries")
        own = [query for query in self.queries.values() if query.owner == _owner()]
        wanted = [query for query in reversed(own) if query.state == request.state]
        page, token = page_of(wanted, request.page_size, request.page_token, "sql.diglot")
        return sql_service_pb2.ListQueriesResponse(queries=page, next_page_token=token)

    async def GetStats(
        self, request: sql_service_pb2.GetStatsRequest, context: object
    ) -> sql_service_pb2.GetStatsResponse:
        await self.faults.strike("GetStats")
        return sql_service_pb2.GetStatsResponse(
            queries_by_state={"PENDING": len(self.queries)},
            table_count=4,
            generator="grounded",
            auto_approve_policy="allowed",
        )

    async def SyncSchema(
        self, request: sql_service_pb2.SyncSchemaRequest, context: object
    ) -> sql_service_pb2.SyncSchemaResponse:
        raise PassedOn(unknown_method("sql.diglot"))

    async def DescribeSchema(
        self, request: sql_service_pb2.DescribeSchemaRequest, context: object
    ) -> sql_service_pb2.DescribeSchemaResponse:
        raise PassedOn(unknown_method("sql.diglot"))

    def definition(self) -> ServiceDefinition:
        return ServiceDefinition(
            name="diglot.sql.v1.SqlService",
            domain="sql.diglot",
            failures={},
            add_to=lambda server: sql_service_pb2_grpc.add_SqlServiceServicer_to_server(self, server),
            checks={"": self.faults.check("")},
        )

    def _assess(self, text: str) -> sql_service_pb2.Assessment:
        score = max((overlap(text, terms(key)) for key in self.results), default=0.0)
        return sql_service_pb2.Assessment(score=score, reason="Table public.shop fits." if score else "No table fits.")

    def _generate(self, question: str) -> sql_query_pb2.SqlQuery | None:
        key = next((key for key in self.results if terms(key) <= terms(question)), None)
        if key is None:
            return None
        sql = f"SELECT '{key}' LIMIT 1000"
        query = sql_query_pb2.SqlQuery(
            name=f"queries/q{next(self._ids)}",
            question=question,
            sql=sql,
            sql_hash=_hash(sql),
            explanation=f"Looks up {key}.",
            state=_STATE.PENDING,
            confidence=0.9,
            tables=["public.shop"],
            owner=_owner(),
        )
        query.create_time.FromSeconds(1_763_700_000)
        query.expire_time.FromSeconds(1_763_703_600)
        self.queries[query.name] = query
        return query

    def _result(self, query: sql_query_pb2.SqlQuery) -> sql_query_pb2.ResultTable:
        key = next((key for key in self.results if f"'{key}'" in query.sql), next(iter(self.results)))
        return self.results[key].result

    def _own(self, name: str) -> sql_query_pb2.SqlQuery:
        check_name(name, "queries/q[0-9]+", "sql.diglot")
        query = self.queries.get(name)
        if query is None or query.owner != _owner():
            raise PassedOn(failure(grpc.StatusCode.NOT_FOUND, "QUERY_NOT_FOUND", domain="sql.diglot"))
        return query

    def _in_state(self, name: str, *states: int) -> sql_query_pb2.SqlQuery:
        query = self._own(name)
        if query.state not in states:
            state = _STATE.State.Name(query.state)
            raise PassedOn(
                failure(
                    grpc.StatusCode.ABORTED,
                    "QUERY_STATE_CONFLICT",
                    f"The query is {state}.",
                    domain="sql.diglot",
                    metadata={"state": state},
                )
            )
        return query


def _owner() -> str:
    caller = current_caller()
    return f"{caller.tenant}/{caller.subject}"


def _hash(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()


def _no_answer() -> sql_service_pb2.NoAnswer:
    return sql_service_pb2.NoAnswer(reason="No table holds it.", unmatched_words=["it"])
