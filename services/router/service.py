"""router.v1 on the wire: requests in, replies out, and the status of every error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC

from google.protobuf import struct_pb2
from grpc import StatusCode

from protos.router.v1 import answer_pb2, router_service_pb2, router_service_pb2_grpc
from services.router.asking import Asking
from services.router.errors import QuestionInvalid, SourceTimeout, SourceUnavailable, TopKInvalid
from services.router.models import (
    Citation,
    Decision,
    DocumentAnswer,
    DocumentFilters,
    JsonValue,
    Reply,
    Route,
    Source,
    SqlAnswer,
    Status,
    TableRange,
)
from services.transport.errors import Failure

# SourceRefused is not here: the transport passes on the error that it carries.
FAILURES: Mapping[type[Exception], Failure] = {
    QuestionInvalid: Failure(StatusCode.INVALID_ARGUMENT, "QUESTION_INVALID"),
    TopKInvalid: Failure(StatusCode.INVALID_ARGUMENT, "TOP_K_INVALID"),
    SourceUnavailable: Failure(StatusCode.UNAVAILABLE, "SOURCE_UNAVAILABLE", retry_after_seconds=2),
    SourceTimeout: Failure(StatusCode.DEADLINE_EXCEEDED, "SOURCE_TIMEOUT"),
}

_ROUTES = {
    Route.SQL: answer_pb2.Routing.SQL,
    Route.DOCUMENTS: answer_pb2.Routing.DOCUMENTS,
    Route.HYBRID: answer_pb2.Routing.HYBRID,
    Route.NONE: answer_pb2.Routing.NONE,
}
_STATUSES = {
    Status.SUCCESS: router_service_pb2.AskQuestionResponse.SUCCESS,
    Status.PENDING_APPROVAL: router_service_pb2.AskQuestionResponse.PENDING_APPROVAL,
    Status.NO_ANSWER: router_service_pb2.AskQuestionResponse.NO_ANSWER,
    Status.NEEDS_CLARIFICATION: router_service_pb2.AskQuestionResponse.NEEDS_CLARIFICATION,
    Status.PARTIAL: router_service_pb2.AskQuestionResponse.PARTIAL,
}


class RouterServicer(router_service_pb2_grpc.RouterServiceServicer):
    """router.v1.RouterService."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def AskQuestion(
        self, request: router_service_pb2.AskQuestionRequest, context: object
    ) -> router_service_pb2.AskQuestionResponse:
        reply = await self._asking.ask(
            request.question,
            top_k=request.top_k,
            auto_approve=request.auto_approve_sql,
            filters=_filters(request.document_filters),
        )
        return to_proto_reply(reply)

    async def RouteQuestion(
        self, request: router_service_pb2.RouteQuestionRequest, context: object
    ) -> router_service_pb2.RouteQuestionResponse:
        decision = await self._asking.route(request.question)
        return router_service_pb2.RouteQuestionResponse(routing=_routing(decision))


def to_proto_reply(reply: Reply) -> router_service_pb2.AskQuestionResponse:
    """A reply as the contract's message."""
    return router_service_pb2.AskQuestionResponse(
        status=_STATUSES[reply.status],
        routing=_routing(reply.decision),
        answer=reply.answer,
        sql=None if reply.sql is None else _sql(reply.sql),
        documents=None if reply.documents is None else _documents(reply.documents),
        failures=[
            answer_pb2.SourceFailure(route=_ROUTES[failure.route], reason=failure.reason, detail=failure.detail)
            for failure in reply.failures
        ],
    )


def _filters(message: router_service_pb2.DocumentFilters) -> DocumentFilters:
    return DocumentFilters(
        documents=tuple(message.documents),
        filenames=tuple(message.filenames),
        extensions=tuple(message.extensions),
        tags=tuple(message.tags),
        create_time_from=message.create_time_from.ToDatetime(UTC) if message.HasField("create_time_from") else None,
        create_time_before=message.create_time_before.ToDatetime(UTC)
        if message.HasField("create_time_before")
        else None,
    )


def _routing(decision: Decision) -> answer_pb2.Routing:
    return answer_pb2.Routing(
        route=_ROUTES[decision.route],
        confidence=decision.confidence,
        reason=decision.reason,
        sub_questions=[
            answer_pb2.SubQuestion(route=_ROUTES[sub.route], question=sub.question) for sub in decision.sub_questions
        ],
    )


def _sql(sql: SqlAnswer) -> answer_pb2.SqlAnswer:
    message = answer_pb2.SqlAnswer(
        query=sql.query,
        sql=sql.sql,
        explanation=sql.explanation,
        pending=sql.pending,
        pending_reason=sql.pending_reason,
        columns=[answer_pb2.ResultColumn(name=column.name, type=column.type) for column in sql.columns],
        rows=[_row(row) for row in sql.rows],
        truncated=sql.truncated,
        sql_hash=sql.sql_hash,
        plan_cost=sql.plan_cost,
    )
    if sql.expire_time is not None:
        message.expire_time.FromDatetime(sql.expire_time)
    return message


def _row(row: Sequence[JsonValue]) -> struct_pb2.ListValue:
    message = struct_pb2.ListValue()
    message.extend(row)  # type: ignore[arg-type]  # the stub names the nested messages; at run time lists and dicts do
    return message


def _documents(documents: DocumentAnswer) -> answer_pb2.DocumentAnswer:
    usage = documents.usage
    return answer_pb2.DocumentAnswer(
        answer=documents.answer,
        answered=documents.answered,
        sources=[_source(source) for source in documents.sources],
        citations=[_citation(citation) for citation in documents.citations],
        usage=answer_pb2.Usage(
            input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, embedded_texts=usage.embedded_texts
        ),
    )


def _source(source: Source) -> answer_pb2.Source:
    return answer_pb2.Source(
        content=source.content,
        filename=source.filename,
        document=source.document,
        chunk_index=source.chunk_index,
        similarity_score=source.similarity_score,
        page=source.page,
        headings=source.headings,
        start=source.start,
        end=source.end,
        table=_table(source.table),
    )


def _citation(citation: Citation) -> answer_pb2.Citation:
    return answer_pb2.Citation(
        chunk=citation.chunk,
        filename=citation.filename,
        quote=citation.quote,
        start=citation.start,
        end=citation.end,
        page=citation.page,
        sentence_index=citation.sentence_index,
        table=_table(citation.table),
        headings=citation.headings,
    )


def _table(rows: TableRange | None) -> answer_pb2.TableRange | None:
    return answer_pb2.TableRange(table=rows.table, first_row=rows.first_row, last_row=rows.last_row) if rows else None
