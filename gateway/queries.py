"""POST /query and POST /query/documents: a question in, an answer with its proof out."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from gateway.answer_building import documents_answer, routed_answer
from gateway.answers import DocumentsAnswer, RoutedAnswer
from gateway.callees import Service, reply_of
from gateway.context import Asked, Stopwatch
from gateway.filters import Filters
from gateway.json_route import JsonRoute
from gateway.problems import problem_docs
from gateway.questions import DEFAULT_TOP_K, QuestionBody, TopK
from protos.rag.v1 import rag_service_pb2
from protos.router.v1 import router_service_pb2

router = APIRouter(route_class=JsonRoute, tags=["questions"])


class DocumentsQuery(QuestionBody):
    """A question to the documents alone."""

    model_config = ConfigDict(
        json_schema_extra=QuestionBody.example(
            {"query": "What are the remote work hours?", "filters": {"types": ["pdf"], "tags": ["policies"]}}
        )
    )

    top_k: TopK = DEFAULT_TOP_K
    filters: Filters = Filters()


class Query(QuestionBody):
    """A question to whatever can answer it."""

    model_config = ConfigDict(
        json_schema_extra=QuestionBody.example({"query": "How many customers do we have?", "auto_approve_sql": True})
    )

    top_k: TopK = DEFAULT_TOP_K
    filters: Filters = Field(
        default=Filters(), description="Which documents may be read; the database is not narrowed."
    )
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
        documents=query.filters.documents,
        filters=query.filters.for_rag(),
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
        question=query.text,
        top_k=query.top_k,
        auto_approve_sql=query.auto_approve_sql,
        document_filters=query.filters.for_router(),
    )
    reply = await reply_of(Service.ROUTER, callees.router.AskQuestion(request), {"question": "query"})
    return routed_answer(reply, stopwatch.elapsed_ms)
