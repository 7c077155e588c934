"""Replies of the router and of rag as answers of the REST surface. Fields that do not apply are left unset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from gateway.answers import (
    Citation,
    DocumentsAnswer,
    DocumentsPart,
    ResultColumn,
    RoutedAnswer,
    RoutedDocumentsAnswer,
    RoutedHybridAnswer,
    RoutedNoAnswer,
    RoutedSqlAnswer,
    RoutingFacts,
    Source,
    SourceFailure,
    SourceMetadata,
    SqlPart,
    SubQuestion,
    TablePlace,
    Usage,
)
from gateway.values import iso_time, plain_value, records
from protos.rag.v1 import chunk_pb2, rag_service_pb2
from protos.router.v1 import answer_pb2, router_service_pb2

_STATUS = router_service_pb2.AskQuestionResponse.Status
_ROUTE = answer_pb2.Routing.Route
Model = TypeVar("Model")


def documents_answer(reply: rag_service_pb2.AnswerQuestionResponse, execution_time_ms: float) -> DocumentsAnswer:
    """The answer of POST /query/documents."""
    return DocumentsAnswer(
        status="success" if reply.answered else "no_answer",
        query_type="DOCUMENTS",
        answer=reply.answer,
        sources=[_scored_source(scored) for scored in reply.sources],
        citations=_citations(reply.citations),
        cached=False,
        usage=_usage(reply.usage),
        execution_time_ms=execution_time_ms,
    )


def routed_answer(reply: router_service_pb2.AskQuestionResponse, execution_time_ms: float) -> RoutedAnswer:
    """The answer of POST /query, in the shape of the route it took."""
    shared: dict[str, Any] = {
        "status": _STATUS.Name(reply.status).lower(),
        "query_type": _ROUTE.Name(reply.routing.route),
        "answer": reply.answer,
        "routing": _routing(reply.routing),
        "execution_time_ms": execution_time_ms,
    }
    if reply.sql.pending:
        decision = f'{{"query_id": "{bare_id(reply.sql.query)}", "approved": true}}'
        shared["answer"] += f" POST /query/sql/execute with {decision} runs it."
    if reply.failures:
        shared["failures"] = [
            SourceFailure(source=_route_name(failure.route), reason=failure.reason, detail=failure.detail)
            for failure in reply.failures
        ]
    match reply.routing.route:
        case answer_pb2.Routing.SQL:
            return RoutedSqlAnswer(**shared, **_sql_fields(reply.sql, sql_name="sql_generated"))
        case answer_pb2.Routing.DOCUMENTS:
            return RoutedDocumentsAnswer(**shared, **_documents_fields(reply.documents), cached=False)
        case answer_pb2.Routing.HYBRID:
            return RoutedHybridAnswer(**shared, **_parts(reply))
        case _:
            return RoutedNoAnswer(**shared)


def column_names(columns: Iterable[Any]) -> list[str]:
    """Names of columns, in order."""
    return [column.name for column in columns]


def result_columns(columns: Iterable[Any]) -> list[ResultColumn]:
    """Columns of either contract."""
    return [ResultColumn(name=column.name, type=column.type) for column in columns]


def bare_id(name: str) -> str:
    """The id in a resource name: the last part of `documents/{id}` or `queries/{id}`."""
    return name.rpartition("/")[2]


def _parts(reply: router_service_pb2.AskQuestionResponse) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    if reply.HasField("sql"):
        sql = reply.sql
        parts["sql_results"] = SqlPart(
            status="pending_approval" if sql.pending else "success" if sql.query else "no_answer",
            **_sql_fields(sql, sql_name="sql"),
        )
    if reply.HasField("documents"):
        documents = reply.documents
        parts["document_results"] = DocumentsPart(
            status="success" if documents.answered else "no_answer",
            answer=documents.answer,
            **_documents_fields(documents),
        )
    return parts


def _sql_fields(sql: answer_pb2.SqlAnswer, *, sql_name: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"explanation": sql.explanation}
    if not sql.query:
        return fields
    fields |= {"query_id": bare_id(sql.query), sql_name: sql.sql, "sql_hash": sql.sql_hash}
    if sql.pending_reason:
        fields["pending_reason"] = sql.pending_reason
    if sql.HasField("plan_cost"):
        fields["plan_cost"] = sql.plan_cost
    if sql.HasField("expire_time"):
        fields["expires_at"] = iso_time(sql.expire_time)
    if not sql.pending:
        rows = [[plain_value(value) for value in row.values] for row in sql.rows]
        fields |= {
            "results": records(column_names(sql.columns), rows),
            "columns": result_columns(sql.columns),
            "row_count": len(rows),
            "truncated": sql.truncated,
        }
    return fields


def _documents_fields(documents: answer_pb2.DocumentAnswer) -> dict[str, Any]:
    return {
        "sources": [_routed_source(source) for source in documents.sources],
        "citations": _citations(documents.citations),
        "usage": _usage(documents.usage),
    }


def _routing(routing: answer_pb2.Routing) -> RoutingFacts:
    return RoutingFacts(
        route=_route_name(routing.route),
        confidence=routing.confidence,
        reason=routing.reason,
        sub_questions=[
            SubQuestion(route=_route_name(sub.route), question=sub.question) for sub in routing.sub_questions
        ],
    )


def _route_name(route: answer_pb2.Routing.Route.ValueType) -> Any:
    return _ROUTE.Name(route)


def _scored_source(scored: chunk_pb2.ScoredChunk) -> Source:
    chunk = scored.chunk
    metadata = _metadata(chunk, scored.document, scored.filename, chunk.headings)
    return Source(content=chunk.text, metadata=metadata, similarity_score=scored.similarity_score)


def _routed_source(source: answer_pb2.Source) -> Source:
    metadata = _metadata(source, source.document, source.filename, source.headings)
    return Source(content=source.content, metadata=metadata, similarity_score=source.similarity_score)


def _metadata(
    place: chunk_pb2.Chunk | answer_pb2.Source, document: str, filename: str, headings: Sequence[str]
) -> SourceMetadata:
    fields: dict[str, Any] = {
        "filename": filename,
        "document_id": bare_id(document),
        "chunk_index": place.chunk_index,
        "start": place.start,
        "end": place.end,
    }
    if place.HasField("page"):
        fields["page"] = place.page
    if headings:
        fields["heading"] = " > ".join(headings)
    if place.HasField("table"):
        fields["table"] = _table_place(place.table)
    return SourceMetadata(**fields)


def _table_place(rows: chunk_pb2.TableRange | answer_pb2.TableRange) -> TablePlace:
    return TablePlace(table=rows.table, first_row=rows.first_row, last_row=rows.last_row)


def _citations(citations: Iterable[chunk_pb2.Citation | answer_pb2.Citation]) -> list[Citation]:
    return [_citation(citation) for citation in citations]


def _citation(citation: chunk_pb2.Citation | answer_pb2.Citation) -> Citation:
    # documents/{document}/chunks/{chunk_index}
    _, document_id, _, chunk_index = [*citation.chunk.split("/"), "", "", "", "0"][:4]
    fields: dict[str, Any] = {
        "document_id": document_id,
        "chunk_index": int(chunk_index) if chunk_index.isdigit() else 0,
        "filename": citation.filename,
        "quote": citation.quote,
        "start": citation.start,
        "end": citation.end,
        "sentence_index": citation.sentence_index,
    }
    if citation.HasField("page"):
        fields["page"] = citation.page
    if citation.headings:
        fields["heading"] = " > ".join(citation.headings)
    if citation.HasField("table"):
        fields["table"] = _table_place(citation.table)
    return Citation(**fields)


def _usage(usage: chunk_pb2.Usage | answer_pb2.Usage) -> Usage:
    return Usage(
        input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, embedded_texts=usage.embedded_texts
    )
