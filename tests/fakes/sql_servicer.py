"""A stand-in for the sql service."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping

import grpc

from protos.sql.v1 import sql_query_pb2, sql_service_pb2, sql_service_pb2_grpc
from services.sql.service import FAILURES
from services.sql.service_training import TrainingServicer
from services.transport.errors import PassedOn
from services.transport.identity import current_caller
from services.transport.serving import ServiceDefinition
from tests.fakes.servicers import Faults, check_name, failure, overlap, page_of, terms
from tests.fakes.sql_training import FakeTrainingStore, training_of

_STATE = sql_query_pb2.SqlQuery


class FakeSql(TrainingServicer, sql_service_pb2_grpc.SqlServiceServicer):
    """Results by the words a question must hold; queries belong to their owner and run once."""

    def __init__(self, results: Mapping[str, sql_service_pb2.RunQueryResponse]) -> None:
        self.training_store = FakeTrainingStore()
        super().__init__(training_of(self.training_store, max_items=1_000))
        self.results = dict(results)
        self.queries: dict[str, sql_query_pb2.SqlQuery] = {}
        self.auto_approve_allowed = True
        self.policy = "allowed"
        self.log: list[sql_query_pb2.AuditEntry] = []
        self.audit_requests: list[sql_service_pb2.ListAuditEntriesRequest] = []
        self.syncs = 0
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
            query.state_reason = "POLICY_NEVER" if request.auto_approve else "NOT_ASKED"
            return sql_service_pb2.AnswerQuestionResponse(query=query)
        self._step(query, _STATE.APPROVED, subject="", note="AUTO_APPROVED")
        self._step(query, _STATE.EXECUTED)
        return sql_service_pb2.AnswerQuestionResponse(query=query, result=self._result(query))

    async def GetQuery(self, request: sql_service_pb2.GetQueryRequest, context: object) -> sql_query_pb2.SqlQuery:
        await self.faults.strike("GetQuery")
        return self._own(request.name)

    async def EditQuery(
        self, request: sql_service_pb2.EditQueryRequest, context: object
    ) -> sql_service_pb2.EditQueryResponse:
        query = self._in_state(request.name, _STATE.PENDING)
        if not request.sql.lower().startswith("select"):
            self._step(query, _STATE.PENDING, note="EDIT_REFUSED; NOT_A_SELECT", refused_sql=request.sql)
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
        self._step(query, _STATE.PENDING, note="EDITED", sql=request.sql)
        return sql_service_pb2.EditQueryResponse(query=query)

    async def ApproveQuery(
        self, request: sql_service_pb2.ApproveQueryRequest, context: object
    ) -> sql_service_pb2.ApproveQueryResponse:
        query = self._in_state(request.name, _STATE.PENDING, _STATE.APPROVED)
        if request.sql_hash != query.sql_hash:
            raise PassedOn(failure(grpc.StatusCode.ABORTED, "SQL_HASH_MISMATCH", domain="sql.diglot"))
        self._step(query, _STATE.APPROVED)
        return sql_service_pb2.ApproveQueryResponse(query=query)

    async def RejectQuery(
        self, request: sql_service_pb2.RejectQueryRequest, context: object
    ) -> sql_service_pb2.RejectQueryResponse:
        query = self._in_state(request.name, _STATE.PENDING, _STATE.APPROVED, _STATE.REJECTED)
        self._step(query, _STATE.REJECTED)
        return sql_service_pb2.RejectQueryResponse(query=query)

    async def RunQuery(
        self, request: sql_service_pb2.RunQueryRequest, context: object
    ) -> sql_service_pb2.RunQueryResponse:
        await self.faults.strike("RunQuery")
        query = self._in_state(request.name, _STATE.APPROVED)
        self._step(query, _STATE.EXECUTED)
        return sql_service_pb2.RunQueryResponse(query=query, result=self._result(query))

    async def ListQueries(
        self, request: sql_service_pb2.ListQueriesRequest, context: object
    ) -> sql_service_pb2.ListQueriesResponse:
        await self.faults.strike("ListQueries")
        own = [query for query in self.queries.values() if query.owner == _owner()]
        wanted = [query for query in reversed(own) if query.state == request.state]
        page, token = page_of(wanted, request.page_size, request.page_token, "sql.diglot")
        return sql_service_pb2.ListQueriesResponse(queries=page, next_page_token=token)

    async def ListAuditEntries(
        self, request: sql_service_pb2.ListAuditEntriesRequest, context: object
    ) -> sql_service_pb2.ListAuditEntriesResponse:
        await self.faults.strike("ListAuditEntries")
        sees_all = "sql_auditor" in current_caller().roles
        if request.query and not sees_all:
            self._own(request.query)
        wanted = [
            entry
            for entry in reversed(self.log)
            if (sees_all or entry.owner == _owner()) and request.query in ("", entry.query)
        ]
        self.audit_requests.append(request)
        page, token = page_of(wanted, request.page_size, request.page_token, "sql.diglot")
        return sql_service_pb2.ListAuditEntriesResponse(audit_entries=page, next_page_token=token)

    async def GetStats(
        self, request: sql_service_pb2.GetStatsRequest, context: object
    ) -> sql_service_pb2.GetStatsResponse:
        await self.faults.strike("GetStats")
        return sql_service_pb2.GetStatsResponse(
            queries_by_state={"PENDING": len(self.queries)},
            table_count=4,
            generator="grounded",
            auto_approve_policy=self.policy,
            auto_approve_cost=250 if self.policy == "cost_below" else None,
        )

    async def SyncSchema(
        self, request: sql_service_pb2.SyncSchemaRequest, context: object
    ) -> sql_service_pb2.SyncSchemaResponse:
        await self.faults.strike("SyncSchema")
        self.syncs += 1
        return sql_service_pb2.SyncSchemaResponse(fingerprint="f" * 64, table_count=1, changed=self.syncs == 1)

    async def DescribeSchema(
        self, request: sql_service_pb2.DescribeSchemaRequest, context: object
    ) -> sql_service_pb2.DescribeSchemaResponse:
        await self.faults.strike("DescribeSchema")
        columns = [
            sql_service_pb2.TableColumn(name="id", type="int4"),
            sql_service_pb2.TableColumn(
                name="city", type="text", comment="Where it is", nullable=True, sample_values=["Bern", "Oslo"]
            ),
        ]
        key = sql_service_pb2.ForeignKey(columns=["id"], referenced_table="public.owners", referenced_columns=["id"])
        shop = sql_service_pb2.Table(
            name="public.shop",
            comment="One row a shop",
            estimated_row_count=12,
            columns=columns,
            primary_key=["id"],
            foreign_keys=[key],
        )
        view = sql_service_pb2.Table(name="public.towns", estimated_row_count=-1, columns=columns[1:])
        schema = sql_service_pb2.DescribeSchemaResponse(tables=[shop, view], fingerprint="f" * 64)
        schema.sync_time.FromSeconds(1_763_700_000)
        return schema

    def definition(self) -> ServiceDefinition:
        return ServiceDefinition(
            name="diglot.sql.v1.SqlService",
            domain="sql.diglot",
            failures=FAILURES,
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
            state_reason="NOT_ASKED",
            plan_cost=12.5,
        )
        query.create_time.FromSeconds(1_763_700_000)
        query.expire_time.FromSeconds(1_763_703_600)
        self.queries[query.name] = query
        self._step(query, _STATE.PENDING, sql=sql)
        return query

    def _step(
        self,
        query: sql_query_pb2.SqlQuery,
        to_state: sql_query_pb2.SqlQuery.State.ValueType,
        *,
        subject: str | None = None,
        note: str = "",
        sql: str = "",
        refused_sql: str = "",
    ) -> None:
        steps = [entry for entry in self.log if entry.query == query.name]
        entry = sql_query_pb2.AuditEntry(
            query=query.name,
            owner=query.owner,
            subject=_owner() if subject is None else subject,
            from_state=steps[-1].to_state if steps else _STATE.STATE_UNSPECIFIED,
            to_state=to_state,
            sql_hash=query.sql_hash,
            previous_sql_hash=steps[-1].sql_hash if steps and sql else "",
            sql=sql,
            note=note,
            refused_sql=refused_sql,
        )
        entry.step_time.FromSeconds(1_763_700_000 + len(self.log))
        self.log.append(entry)
        query.state = to_state
        query.state_reason = ("EDITED" if steps else "NOT_ASKED") if to_state == _STATE.PENDING else ""

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
