"""SQL before it runs: generating it, deciding on it, running it once."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, HTTPException, Path
from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from gateway.answer_building import bare_id, column_names, result_columns
from gateway.answers import Answer, Milliseconds, PendingReason, PlanCost, ResultColumn, Rows
from gateway.callees import Callees, Service, reply_of
from gateway.context import Asked, Stopwatch
from gateway.json_route import JsonRoute
from gateway.paging import PageSize, PageToken
from gateway.problems import ProblemRaised, problem_docs
from gateway.questions import Body, QuestionBody, valid_text, without_default
from gateway.values import iso_time, records, typed_value
from protos.sql.v1 import sql_query_pb2, sql_service_pb2

router = APIRouter(route_class=JsonRoute, prefix="/query/sql", tags=["sql"])

MAX_SQL_CHARACTERS = 20_000
Reply = TypeVar("Reply")
_QUERY_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ACTIONS = frozenset({"generate", "execute"})  # paths of their own beside `{query_id}`, without GET
_STATE = sql_query_pb2.SqlQuery.State

QueryState = Literal["PENDING", "APPROVED", "REJECTED", "EXPIRED", "EXECUTING", "EXECUTED", "FAILED"]
QueryId = Annotated[
    str,
    Path(
        description="Id of a query, as /query or /query/sql/generate gave it. Anything else is not found.",
        json_schema_extra={"pattern": "^[A-Za-z0-9_-]{1,128}$"},
    ),
]
SqlText = Annotated[
    str,
    Field(min_length=1, max_length=MAX_SQL_CHARACTERS),  # first, so that a fault is told in characters
    AfterValidator(valid_text),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_SQL_CHARACTERS,
            "pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+$",
        }
    ),
]


class Generate(QuestionBody):
    """A question to write SQL for."""

    model_config = ConfigDict(json_schema_extra=QuestionBody.example({"query": "How many customers do we have?"}))


class Generated(Answer):
    """SQL that waits for a decision, or why there is none."""

    status: Literal["pending_approval", "no_answer"]
    query_type: Literal["SQL"]
    query_id: str = Field(default="", description="Left out, as what follows from it, where there is no SQL.")
    sql_generated: str = ""
    sql_hash: str = ""
    explanation: str
    confidence: float = Field(default=0, ge=0, le=1)
    tables: list[str] = Field(default=[])
    expires_at: str = ""
    pending_reason: PendingReason = ""
    plan_cost: PlanCost = 0
    unmatched_words: list[str] = Field(default=[], description="Words nothing in the schema stands for.")
    execution_time_ms: Milliseconds


class Execute(Body):
    """A decision on a query."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"query_id": "5f2c0d6e7a", "approved": True}]})

    query_id: str = Field(max_length=200)
    approved: bool
    sql: SqlText = Field(
        default="",
        description="An edited text to run instead; checked like the generated one. Looked at only when approved.",
        json_schema_extra=without_default,
    )
    sql_hash: str = Field(
        default="",
        pattern="^[0-9a-f]{64}$",
        description="Hash of the text that was read. With it nothing runs once that text was written over (409).",
        json_schema_extra=without_default,
    )


class Executed(Answer):
    """The rows of a query that ran, or the word that it was rejected."""

    status: Literal["success", "rejected"]
    query_type: Literal["SQL"]
    query_id: str
    sql_generated: str
    explanation: str
    results: Rows = Field(default=[])
    columns: list[ResultColumn] = Field(default=[])
    row_count: int = Field(default=0, ge=0)
    truncated: bool = False
    execution_time_ms: Milliseconds


class StoredQuery(Answer):
    """A query and where it stands."""

    query_id: str
    state: QueryState
    question: str
    sql: str
    sql_hash: str
    explanation: str
    confidence: float
    tables: list[str]
    created_at: str
    expires_at: str
    decided_at: str = ""
    executed_at: str = ""
    state_reason: str = Field(default="", description="Why it waits, failed or was rejected; else left out.")
    row_count: int = 0
    plan_cost: PlanCost = 0


class QueryList(Answer):
    """Queries that wait, newest first."""

    queries: list[StoredQuery]
    next_page_token: str | None = Field(description="Token of the next page; null on the last.")


@router.post(
    "/generate",
    summary="Write SQL for a question",
    response_model=Generated,
    response_model_exclude_unset=True,
    responses=problem_docs(400, 413, 415, 422, 503, 504),
)
async def generate(body: Generate, callees: Asked) -> Generated:
    """Write guarded SQL and keep it for a decision. Nothing runs."""
    stopwatch = Stopwatch()
    request = sql_service_pb2.GenerateSqlRequest(question=body.text)
    reply = await reply_of(Service.SQL, callees.sql.GenerateSql(request), {"question": "query"})
    if not reply.HasField("query"):
        return Generated(
            status="no_answer",
            query_type="SQL",
            explanation=reply.no_answer.reason,
            unmatched_words=list(reply.no_answer.unmatched_words),
            execution_time_ms=stopwatch.elapsed_ms,
        )
    stored = reply.query
    return Generated(
        status="pending_approval",
        query_type="SQL",
        query_id=bare_id(stored.name),
        sql_generated=stored.sql,
        sql_hash=stored.sql_hash,
        explanation=stored.explanation,
        confidence=stored.confidence,
        tables=list(stored.tables),
        expires_at=iso_time(stored.expire_time),
        **_how_it_waits(stored),
        execution_time_ms=stopwatch.elapsed_ms,
    )


@router.post(
    "/execute",
    summary="Approve and run, or reject, a query",
    response_model=Executed,
    response_model_exclude_unset=True,
    responses=problem_docs(400, 404, 409, 413, 415, 422, 503, 504),
)
async def execute(body: Execute, callees: Asked) -> Executed:
    """Run a pending query once, as it is or edited, or reject it. One that was used, rejected or has expired is 409."""
    stopwatch = Stopwatch()
    name = query_name(body.query_id)
    if not body.approved:
        rejection = sql_service_pb2.RejectQueryRequest(name=name)
        rejected = await _reply(callees.sql.RejectQuery(rejection))
        return Executed(**_shared("rejected", rejected.query), execution_time_ms=stopwatch.elapsed_ms)
    sql_hash = await _hash_to_approve(callees, name, body)
    approval = sql_service_pb2.ApproveQueryRequest(name=name, sql_hash=sql_hash)
    await _reply(callees.sql.ApproveQuery(approval))
    run = sql_service_pb2.RunQueryRequest(name=name, sql_hash=sql_hash)
    reply = await _reply(callees.sql.RunQuery(run))
    rows = [[typed_value(value) for value in row.values] for row in reply.result.rows]
    return Executed(
        **_shared("success", reply.query),
        results=records(column_names(reply.result.columns), rows),
        columns=result_columns(reply.result.columns),
        row_count=len(rows),
        truncated=reply.result.truncated,
        execution_time_ms=stopwatch.elapsed_ms,
    )


@router.get(
    "/pending",
    summary="Queries that wait for a decision",
    response_model=QueryList,
    response_model_exclude_unset=True,
    responses=problem_docs(400, 422, 503, 504),
)
async def pending(callees: Asked, page_size: PageSize = 50, page_token: PageToken = "") -> QueryList:
    """The caller's own pending queries, newest first."""
    request = sql_service_pb2.ListQueriesRequest(
        page_size=page_size, page_token=page_token, state=sql_query_pb2.SqlQuery.PENDING
    )
    reply = await reply_of(Service.SQL, callees.sql.ListQueries(request), {"": "page_token"})
    return QueryList(queries=[_stored(query) for query in reply.queries], next_page_token=reply.next_page_token or None)


@router.get(
    "/{query_id}",
    summary="Where a query stands",
    response_model=StoredQuery,
    response_model_exclude_unset=True,
    responses=problem_docs(404, 422, 503, 504),
)
async def get_query(query_id: QueryId, callees: Asked) -> StoredQuery:
    """One of the caller's own queries."""
    if query_id in _ACTIONS:
        raise HTTPException(405)
    request = sql_service_pb2.GetQueryRequest(name=query_name(query_id))
    return _stored(await _reply(callees.sql.GetQuery(request)))


_FIELDS = {"name": "query_id", "sql": "sql", "": "query_id"}


async def _reply(call: Awaitable[Reply]) -> Reply:
    return await reply_of(Service.SQL, call, _FIELDS, unknown="QUERY_NOT_FOUND")


def query_name(query_id: str) -> str:
    """An id that cannot be one of ours is as unknown as any other."""
    if not _QUERY_ID.fullmatch(query_id):
        raise ProblemRaised(404, "QUERY_NOT_FOUND", "There is no such query.", field="query_id")
    return f"queries/{query_id}"


async def _hash_to_approve(callees: Callees, name: str, decision: Execute) -> str:
    """The hash of the text that the caller means: the one it names, the one it wrote, or the one there is."""
    if decision.sql_hash and not decision.sql:
        return decision.sql_hash
    query = await _reply(callees.sql.GetQuery(sql_service_pb2.GetQueryRequest(name=name)))
    if not decision.sql or decision.sql == query.sql:
        return decision.sql_hash or query.sql_hash
    if decision.sql_hash not in ("", query.sql_hash):
        raise ProblemRaised(409, "SQL_HASH_MISMATCH", "The query's text is not the one of this hash; read it again.")
    edit = sql_service_pb2.EditQueryRequest(name=name, sql=decision.sql)
    reply = await reply_of(Service.SQL, callees.sql.EditQuery(edit), {**_FIELDS, "": "sql"})
    return reply.query.sql_hash


def _shared(status: str, query: sql_query_pb2.SqlQuery) -> dict[str, Any]:
    return {
        "status": status,
        "query_type": "SQL",
        "query_id": bare_id(query.name),
        "sql_generated": query.sql,
        "explanation": query.explanation,
    }


def _stored(query: sql_query_pb2.SqlQuery) -> StoredQuery:
    fields: dict[str, Any] = {
        "query_id": bare_id(query.name),
        "state": _STATE.Name(query.state),
        "question": query.question,
        "sql": query.sql,
        "sql_hash": query.sql_hash,
        "explanation": query.explanation,
        "confidence": query.confidence,
        "tables": list(query.tables),
        "created_at": iso_time(query.create_time),
        "expires_at": iso_time(query.expire_time),
    }
    if query.HasField("decide_time"):
        fields["decided_at"] = iso_time(query.decide_time)
    if query.HasField("execute_time"):
        fields["executed_at"] = iso_time(query.execute_time)
    if query.state_reason:
        fields["state_reason"] = query.state_reason
    if query.HasField("row_count"):
        fields["row_count"] = query.row_count
    if query.HasField("plan_cost"):
        fields["plan_cost"] = query.plan_cost
    return StoredQuery(**fields)


def _how_it_waits(query: sql_query_pb2.SqlQuery) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if query.state_reason:
        fields["pending_reason"] = query.state_reason
    if query.HasField("plan_cost"):
        fields["plan_cost"] = query.plan_cost
    return fields
