"""diglot.sql.v1.SqlService: requests in, one domain call, replies out."""

from __future__ import annotations

from typing import Any

from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from protos.sql.v1 import sql_query_pb2, sql_service_pb2, sql_service_pb2_grpc
from services.sql.answering import Answering, AutoApprovePolicy
from services.sql.approvals import Approvals
from services.sql.audit import AuditScope
from services.sql.auditing import AUDITOR_ROLE, Auditing
from services.sql.errors import (
    DatabaseRefused,
    DatabaseUnavailable,
    PageTokenInvalid,
    QueryFailed,
    QueryNameInvalid,
    QueryNotFound,
    QueryStateConflict,
    QueryStoreUnavailable,
    QueryTooCostly,
    QuestionInvalid,
    RequestIdInvalid,
    SqlHashMismatch,
    SqlRefused,
    StatementTimeout,
    TimeInvalid,
    TrainerRoleMissing,
    TrainingContradicts,
    TrainingFull,
    TrainingInvalid,
    TrainingNameInvalid,
    TrainingNotFound,
)
from services.sql.generating import Generating
from services.sql.knowledge import SchemaKnowledge
from services.sql.models import NoDraft, Owner
from services.sql.page_tokens import read_audit_token, read_page_token, write_audit_token, write_page_token
from services.sql.questions import read_parts, read_query_name, read_question, read_request_id, read_time_range
from services.sql.service_messages import (
    assessment_message,
    assessment_messages,
    audit_message,
    no_answer_message,
    page_limit,
    query_message,
    result_message,
    schema_message,
    state_filter,
    time_of,
)
from services.sql.service_training import TrainingServicer
from services.sql.statistics import Statistics
from services.sql.training import TRAINER_ROLE, Training
from services.transport.errors import Failure
from services.transport.identity import current_caller

FAILURES: dict[type[Exception], Failure] = {
    QuestionInvalid: Failure(StatusCode.INVALID_ARGUMENT, "QUESTION_INVALID"),
    RequestIdInvalid: Failure(StatusCode.INVALID_ARGUMENT, "REQUEST_ID_INVALID"),
    QueryNameInvalid: Failure(StatusCode.INVALID_ARGUMENT, "NAME_INVALID"),
    PageTokenInvalid: Failure(StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"),
    TimeInvalid: Failure(StatusCode.INVALID_ARGUMENT, "TIME_INVALID"),
    SqlRefused: Failure(StatusCode.INVALID_ARGUMENT, "SQL_REFUSED"),
    TrainingInvalid: Failure(StatusCode.INVALID_ARGUMENT, "TRAINING_INVALID"),
    TrainingNameInvalid: Failure(StatusCode.INVALID_ARGUMENT, "NAME_INVALID"),
    TrainingNotFound: Failure(StatusCode.NOT_FOUND, "TRAINING_NOT_FOUND"),
    TrainingContradicts: Failure(StatusCode.ALREADY_EXISTS, "TRAINING_CONTRADICTS"),
    TrainingFull: Failure(StatusCode.RESOURCE_EXHAUSTED, "TRAINING_FULL"),
    TrainerRoleMissing: Failure(StatusCode.PERMISSION_DENIED, "TRAINER_ROLE_MISSING"),
    QueryNotFound: Failure(StatusCode.NOT_FOUND, "QUERY_NOT_FOUND"),
    SqlHashMismatch: Failure(StatusCode.ABORTED, "SQL_HASH_MISMATCH"),
    QueryStateConflict: Failure(StatusCode.ABORTED, "QUERY_STATE_CONFLICT"),
    QueryFailed: Failure(StatusCode.FAILED_PRECONDITION, "QUERY_FAILED"),
    QueryTooCostly: Failure(StatusCode.FAILED_PRECONDITION, "QUERY_TOO_COSTLY"),
    StatementTimeout: Failure(StatusCode.DEADLINE_EXCEEDED, "STATEMENT_TIMEOUT"),
    DatabaseUnavailable: Failure(StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE", retry_after_seconds=2),
    DatabaseRefused: Failure(StatusCode.UNAVAILABLE, "DATABASE_REFUSED"),
    QueryStoreUnavailable: Failure(StatusCode.UNAVAILABLE, "QUERY_STORE_UNAVAILABLE", retry_after_seconds=2),
}


class SqlServicer(TrainingServicer, sql_service_pb2_grpc.SqlServiceServicer):
    """One method for each rpc; what they promise stands in the contract."""

    def __init__(
        self,
        *,
        generating: Generating,
        approvals: Approvals,
        answering: Answering,
        auditing: Auditing,
        knowledge: SchemaKnowledge,
        statistics: Statistics,
        training: Training,
    ) -> None:
        super().__init__(training)
        self._generating = generating
        self._approvals = approvals
        self._answering = answering
        self._auditing = auditing
        self._knowledge = knowledge
        self._statistics = statistics

    async def GenerateSql(
        self, request: sql_service_pb2.GenerateSqlRequest, context: Any
    ) -> sql_service_pb2.GenerateSqlResponse:
        question, request_id = read_question(request.question), read_request_id(request.request_id)
        outcome = await self._generating.generate(_owner(), question, request_id=request_id)
        if isinstance(outcome, NoDraft):
            return sql_service_pb2.GenerateSqlResponse(no_answer=no_answer_message(outcome))
        return sql_service_pb2.GenerateSqlResponse(query=query_message(outcome))

    async def ApproveQuery(
        self, request: sql_service_pb2.ApproveQueryRequest, context: Any
    ) -> sql_service_pb2.ApproveQueryResponse:
        query = await self._approvals.approve(_owner(), read_query_name(request.name), sql_hash=request.sql_hash)
        return sql_service_pb2.ApproveQueryResponse(query=query_message(query))

    async def RejectQuery(
        self, request: sql_service_pb2.RejectQueryRequest, context: Any
    ) -> sql_service_pb2.RejectQueryResponse:
        query = await self._approvals.reject(_owner(), read_query_name(request.name), reason=request.reason)
        return sql_service_pb2.RejectQueryResponse(query=query_message(query))

    async def EditQuery(
        self, request: sql_service_pb2.EditQueryRequest, context: Any
    ) -> sql_service_pb2.EditQueryResponse:
        query = await self._approvals.edit(_owner(), read_query_name(request.name), sql=request.sql)
        return sql_service_pb2.EditQueryResponse(query=query_message(query))

    async def RunQuery(
        self, request: sql_service_pb2.RunQueryRequest, context: Any
    ) -> sql_service_pb2.RunQueryResponse:
        query, result = await self._approvals.run(
            _owner(),
            read_query_name(request.name),
            sql_hash=request.sql_hash,
            may_teach=TRAINER_ROLE in current_caller().roles,
        )
        return sql_service_pb2.RunQueryResponse(query=query_message(query), result=result_message(result))

    async def ListQueries(
        self, request: sql_service_pb2.ListQueriesRequest, context: Any
    ) -> sql_service_pb2.ListQueriesResponse:
        owner, state = _owner(), state_filter(request.state)
        after = read_page_token(request.page_token, owner, state)
        page = await self._approvals.page(owner, state=state, after=after, limit=page_limit(request.page_size))
        return sql_service_pb2.ListQueriesResponse(
            queries=map(query_message, page.queries), next_page_token=write_page_token(page.next_after, owner, state)
        )

    async def GetQuery(self, request: sql_service_pb2.GetQueryRequest, context: Any) -> sql_query_pb2.SqlQuery:
        return query_message(await self._approvals.get(_owner(), read_query_name(request.name)))

    async def ListAuditEntries(
        self, request: sql_service_pb2.ListAuditEntriesRequest, context: Any
    ) -> sql_service_pb2.ListAuditEntriesResponse:
        scope = _audit_scope(request)
        after = read_audit_token(request.page_token, scope)
        page = await self._auditing.page(scope, after=after, limit=page_limit(request.page_size))
        return sql_service_pb2.ListAuditEntriesResponse(
            audit_entries=map(audit_message, page.entries), next_page_token=write_audit_token(page.next_after, scope)
        )

    async def AnswerQuestion(
        self, request: sql_service_pb2.AnswerQuestionRequest, context: Any
    ) -> sql_service_pb2.AnswerQuestionResponse:
        question = read_question(request.question)
        outcome, result = await self._answering.answer(_owner(), question, auto_approve=request.auto_approve)
        if isinstance(outcome, NoDraft):
            return sql_service_pb2.AnswerQuestionResponse(no_answer=no_answer_message(outcome))
        return sql_service_pb2.AnswerQuestionResponse(query=query_message(outcome), result=result_message(result))

    async def SyncSchema(
        self, request: sql_service_pb2.SyncSchemaRequest, context: Any
    ) -> sql_service_pb2.SyncSchemaResponse:
        synced = await self._knowledge.sync()
        return sql_service_pb2.SyncSchemaResponse(
            fingerprint=synced.schema.fingerprint, table_count=len(synced.schema.tables), changed=synced.changed
        )

    async def DescribeSchema(
        self, request: sql_service_pb2.DescribeSchemaRequest, context: Any
    ) -> sql_service_pb2.DescribeSchemaResponse:
        return schema_message(await self._knowledge.current())

    async def AssessQuestion(
        self, request: sql_service_pb2.AssessQuestionRequest, context: Any
    ) -> sql_service_pb2.AssessQuestionResponse:
        question, parts = read_question(request.question), read_parts(request.parts)
        whole, rest = await self._generating.assess(current_caller().tenant, question, parts)
        return sql_service_pb2.AssessQuestionResponse(
            question=assessment_message(whole), parts=assessment_messages(rest)
        )

    async def GetStats(
        self, request: sql_service_pb2.GetStatsRequest, context: Any
    ) -> sql_service_pb2.GetStatsResponse:
        figures = await self._statistics.figures(current_caller().tenant)
        return sql_service_pb2.GetStatsResponse(
            queries_by_state={state.value: number for state, number in figures.queries_by_state.items()},
            table_count=figures.table_count,
            generator=figures.generator,
            auto_approve_policy=figures.auto_approval.policy.value,
            auto_approve_cost=figures.auto_approval.cost_below
            if figures.auto_approval.policy is AutoApprovePolicy.COST_BELOW
            else None,
            parts=figures.parts,
            uptime=Duration(seconds=int(figures.uptime.total_seconds()), nanos=figures.uptime.microseconds * 1000),
        )


def _audit_scope(request: sql_service_pb2.ListAuditEntriesRequest) -> AuditScope:
    """What the caller may see of what it asks for."""
    caller = current_caller()
    start_time, end_time = read_time_range(time_of(request, "start_time"), time_of(request, "end_time"))
    return AuditScope(
        tenant=caller.tenant,
        owner=None if AUDITOR_ROLE in caller.roles else caller.subject,
        query_id=read_query_name(request.query, field="query") if request.query else None,
        start_time=start_time,
        end_time=end_time,
    )


def _owner() -> Owner:
    caller = current_caller()
    return Owner(caller.tenant, caller.subject)
