"""POST /query and POST /query/documents: a question in, an answer with its proof out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from gateway.answer_building import documents_answer, routed_answer
from gateway.answers import DocumentsAnswer, RoutedAnswer
from gateway.callees import Service, reply_of
from gateway.context import Asked, Stopwatch
from gateway.json_route import JsonRoute
from gateway.problems import problem_docs
from gateway.questions import DEFAULT_TOP_K, Body, QuestionBody, TopK
from protos.rag.v1 import rag_service_pb2
from protos.router.v1 import router_service_pb2

router = APIRouter(route_class=JsonRoute, tags=["questions"])

MAX_FILTERED_DOCUMENTS = 100
DocumentId = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Filters(Body):
    """Which documents may be read."""

    document_ids: list[DocumentId] = Field(
        default=[], max_length=MAX_FILTERED_DOCUMENTS, description="Only these; none means all."
    )


class DocumentsQuery(QuestionBody):
    """A question to the documents alone."""

    model_config = ConfigDict(json_schema_extra=QuestionBody.example({"query": "What are the remote work hours?"}))

    top_k: TopK = DEFAULT_TOP_K
    filters: Filters = Filters()


class Query(QuestionBody):
    """A question to whatever can answer it."""

    model_config = ConfigDict(
        json_schema_extra=QuestionBody.example({"query": "How many customers do we have?", "auto_approve_sql": True})
    )

    top_k: TopK = DEFAULT_TOP_K
    auto_approve_sql: bool = Field(
        default=False,
        description="Asks to run generated SQL without a person's approval. A request only: policy may refuse it.",
    )


@router.post(
    "/query/documents",
    summary="Ask the documents",
    response_model=DocumentsAnswer,
    response_model_exclude_unset=True,
    responses=problem_docs(400, 413, 415, 422, 503, 504),
)
async def query_documents(query: DocumentsQuery, callees: Asked) -> DocumentsAnswer:
    """Answer from the uploaded documents alone, with citations. No answer there is status `no_answer`, not an error."""
    stopwatch = Stopwatch()
    request = rag_service_pb2.AnswerQuestionRequest(
        question=query.text,
        top_k=query.top_k,
        documents=[f"documents/{document_id}" for document_id in query.filters.document_ids],
    )
    reply = await reply_of(Service.RAG, callees.rag.AnswerQuestion(request), {"question": "query", "": "query"})
    return documents_answer(reply, stopwatch.elapsed_ms)


@router.post(
    "/query",
    summary="Ask a question",
    response_model=RoutedAnswer,
    response_model_exclude_unset=True,
    responses=problem_docs(400, 413, 415, 422, 503, 504),
)
async def query(query: Query, callees: Asked) -> RoutedAnswer:
    """Answer from the documents, the database, or both; `routing` says which and why."""
    stopwatch = Stopwatch()
    request = router_service_pb2.AskQuestionRequest(
        question=query.text, top_k=query.top_k, auto_approve_sql=query.auto_approve_sql
    )
    reply = await reply_of(Service.ROUTER, callees.router.AskQuestion(request), {"question": "query"})
    return routed_answer(reply, stopwatch.elapsed_ms)
