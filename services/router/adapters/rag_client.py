"""The documents, asked through rag.v1."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from protos.rag.v1 import chunk_pb2, rag_service_pb2, rag_service_pb2_grpc
from services.router.adapters.source_errors import source_errors
from services.router.models import (
    NO_FILTERS,
    Assessment,
    Citation,
    DocumentAnswer,
    DocumentFilters,
    Evidence,
    Source,
    TableRange,
    Usage,
)

SOURCE = "rag"


class RagClient:
    """DocumentSource over a channel to the rag service."""

    def __init__(self, channel: grpc.aio.Channel, *, assess_timeout_seconds: float) -> None:
        self._stub = rag_service_pb2_grpc.RagServiceStub(channel)
        self._assess_timeout_seconds = assess_timeout_seconds

    async def assess(self, question: str, parts: Sequence[str], filters: DocumentFilters = NO_FILTERS) -> Evidence:
        request = rag_service_pb2.AssessQuestionRequest(
            question=question, parts=parts, documents=filters.documents, filters=_filters(filters)
        )
        with source_errors(SOURCE):
            reply = await self._stub.AssessQuestion(request, timeout=self._assess_timeout_seconds)
        return Evidence(_assessment(reply.question), tuple(_assessment(part) for part in reply.parts))

    async def answer(self, question: str, *, top_k: int, filters: DocumentFilters = NO_FILTERS) -> DocumentAnswer:
        request = rag_service_pb2.AnswerQuestionRequest(
            question=question, top_k=top_k, documents=filters.documents, filters=_filters(filters)
        )
        with source_errors(SOURCE):
            reply = await self._stub.AnswerQuestion(request)
        usage = reply.usage
        return DocumentAnswer(
            answer=reply.answer,
            answered=reply.answered,
            sources=tuple(_source(chunk) for chunk in reply.sources),
            citations=tuple(_citation(citation) for citation in reply.citations),
            usage=Usage(usage.input_tokens, usage.output_tokens, usage.embedded_texts),
        )


def _filters(filters: DocumentFilters) -> rag_service_pb2.SearchFilters | None:
    if filters == NO_FILTERS:
        return None
    message = rag_service_pb2.SearchFilters(
        filenames=filters.filenames, extensions=filters.extensions, tags=filters.tags
    )
    if filters.create_time_from is not None:
        message.create_time_from.FromDatetime(filters.create_time_from)
    if filters.create_time_before is not None:
        message.create_time_before.FromDatetime(filters.create_time_before)
    return message


def _assessment(message: rag_service_pb2.Assessment) -> Assessment:
    return Assessment(message.score, message.reason)


def _source(scored: chunk_pb2.ScoredChunk) -> Source:
    chunk = scored.chunk
    return Source(
        content=chunk.text,
        filename=scored.filename,
        document=scored.document,
        chunk_index=chunk.chunk_index,
        similarity_score=scored.similarity_score,
        page=chunk.page if chunk.HasField("page") else None,
        headings=tuple(chunk.headings),
        start=chunk.start,
        end=chunk.end,
        table=_table(chunk),
    )


def _citation(message: chunk_pb2.Citation) -> Citation:
    return Citation(
        chunk=message.chunk,
        filename=message.filename,
        quote=message.quote,
        start=message.start,
        end=message.end,
        page=message.page if message.HasField("page") else None,
        sentence_index=message.sentence_index,
        table=_table(message),
        headings=tuple(message.headings),
    )


def _table(message: chunk_pb2.Chunk | chunk_pb2.Citation) -> TableRange | None:
    rows = message.table
    return TableRange(rows.table, rows.first_row, rows.last_row) if message.HasField("table") else None
