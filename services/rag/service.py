"""rag.v1 on the wire: requests in, replies out, and the status of every error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from datetime import UTC

from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from protos.rag.v1 import chunk_pb2, rag_service_pb2, rag_service_pb2_grpc
from services.rag.answering import Answering
from services.rag.assessing import Assessing
from services.rag.embedding import TextEmbedding
from services.rag.errors import (
    AnswerModelUnavailable,
    ChunkInvalid,
    ChunkStoreUnavailable,
    EmbedderUnavailable,
    EmbeddingModelMismatch,
    FactsInvalid,
    FiltersInvalid,
    ModelRefused,
    NameInvalid,
    QuestionInvalid,
    TextsInvalid,
    TopKInvalid,
)
from services.rag.indexing import Indexing
from services.rag.models import (
    Answer,
    Assessment,
    Chunk,
    Citation,
    DocumentFacts,
    ScoredChunk,
    SearchFilters,
    TableRange,
    WriterUsage,
)
from services.rag.searching import Searching
from services.rag.statistics import Counting
from services.transport.errors import Failure
from services.transport.identity import current_caller

FAILURES: Mapping[type[Exception], Failure] = {
    QuestionInvalid: Failure(StatusCode.INVALID_ARGUMENT, "QUESTION_INVALID"),
    TopKInvalid: Failure(StatusCode.INVALID_ARGUMENT, "TOP_K_INVALID"),
    NameInvalid: Failure(StatusCode.INVALID_ARGUMENT, "NAME_INVALID"),
    ChunkInvalid: Failure(StatusCode.INVALID_ARGUMENT, "CHUNK_INVALID"),
    FactsInvalid: Failure(StatusCode.INVALID_ARGUMENT, "FACTS_INVALID"),
    FiltersInvalid: Failure(StatusCode.INVALID_ARGUMENT, "FILTERS_INVALID"),
    TextsInvalid: Failure(StatusCode.INVALID_ARGUMENT, "TEXTS_INVALID"),
    EmbeddingModelMismatch: Failure(StatusCode.FAILED_PRECONDITION, "EMBEDDING_MODEL_MISMATCH"),
    ChunkStoreUnavailable: Failure(StatusCode.UNAVAILABLE, "CHUNK_STORE_UNAVAILABLE", retry_after_seconds=2),
    EmbedderUnavailable: Failure(StatusCode.UNAVAILABLE, "EMBEDDER_UNAVAILABLE", retry_after_seconds=5),
    AnswerModelUnavailable: Failure(StatusCode.UNAVAILABLE, "ANSWER_MODEL_UNAVAILABLE", retry_after_seconds=5),
    # A fault of this service's own set-up: no client can mend it, and an alarm on internal errors should see it.
    ModelRefused: Failure(StatusCode.INTERNAL, "MODEL_REFUSED"),
}


class RagServicer(rag_service_pb2_grpc.RagServiceServicer):
    """rag.v1.RagService."""

    def __init__(
        self,
        *,
        indexing: Indexing,
        searching: Searching,
        answering: Answering,
        assessing: Assessing,
        text_embedding: TextEmbedding,
        counting: Counting,
    ) -> None:
        self._indexing = indexing
        self._searching = searching
        self._answering = answering
        self._assessing = assessing
        self._text_embedding = text_embedding
        self._counting = counting

    async def IndexChunks(
        self, request: rag_service_pb2.IndexChunksRequest, context: object
    ) -> rag_service_pb2.IndexChunksResponse:
        outcome = await self._indexing.index(
            current_caller().tenant,
            request.document,
            request.filename,
            [_chunk(chunk) for chunk in request.chunks],
            request.chunk_count,
            _facts(request.facts) if request.HasField("facts") else None,
            held_back=request.held_back,
        )
        return rag_service_pb2.IndexChunksResponse(
            indexed_count=outcome.indexed_count,
            unchanged_count=outcome.unchanged_count,
            removed_count=outcome.removed_count,
        )

    async def DeleteDocumentChunks(
        self, request: rag_service_pb2.DeleteDocumentChunksRequest, context: object
    ) -> rag_service_pb2.DeleteDocumentChunksResponse:
        outcome = await self._indexing.delete(current_caller().tenant, request.document, request.successor)
        return rag_service_pb2.DeleteDocumentChunksResponse(
            removed_count=outcome.removed_count,
            cache_entry_count=outcome.forgotten_count,
            remaining_count=outcome.remaining_count,
        )

    async def ShowDocumentChunks(
        self, request: rag_service_pb2.ShowDocumentChunksRequest, context: object
    ) -> rag_service_pb2.ShowDocumentChunksResponse:
        await self._indexing.show(current_caller().tenant, request.document)
        return rag_service_pb2.ShowDocumentChunksResponse()

    async def SearchChunks(
        self, request: rag_service_pb2.SearchChunksRequest, context: object
    ) -> rag_service_pb2.SearchChunksResponse:
        chunks = await self._searching.search(
            current_caller().tenant,
            request.question,
            top_k=request.top_k,
            documents=request.documents,
            filters=_filters(request.filters),
        )
        return rag_service_pb2.SearchChunksResponse(chunks=map(_to_proto_scored, chunks))

    async def AnswerQuestion(
        self, request: rag_service_pb2.AnswerQuestionRequest, context: object
    ) -> rag_service_pb2.AnswerQuestionResponse:
        answer = await self._answering.answer(
            current_caller().tenant,
            request.question,
            top_k=request.top_k,
            documents=request.documents,
            filters=_filters(request.filters),
        )
        return self._to_proto_answer(answer)

    async def StreamAnswer(
        self, request: rag_service_pb2.StreamAnswerRequest, context: object
    ) -> AsyncIterator[rag_service_pb2.StreamAnswerResponse]:
        parts = self._answering.stream(
            current_caller().tenant,
            request.question,
            top_k=request.top_k,
            documents=request.documents,
            filters=_filters(request.filters),
        )
        async with aclosing(parts):
            async for part in parts:
                if isinstance(part, Answer):
                    yield rag_service_pb2.StreamAnswerResponse(answer=self._to_proto_answer(part))
                else:
                    citations = map(_to_proto_citation, part.citations)
                    sentence = rag_service_pb2.AnswerSentence(text=part.text, citations=citations)
                    yield rag_service_pb2.StreamAnswerResponse(sentence=sentence)

    def _to_proto_answer(self, answer: Answer) -> rag_service_pb2.AnswerQuestionResponse:
        return rag_service_pb2.AnswerQuestionResponse(
            answer=answer.text,
            answered=answer.answered,
            citations=map(_to_proto_citation, answer.citations),
            sources=map(_to_proto_scored, answer.sources),
            writer=self._answering.writer,
            usage=_to_proto_usage(answer.usage),
        )

    async def AssessQuestion(
        self, request: rag_service_pb2.AssessQuestionRequest, context: object
    ) -> rag_service_pb2.AssessQuestionResponse:
        question, parts = await self._assessing.assess(
            current_caller().tenant,
            request.question,
            request.parts,
            documents=request.documents,
            filters=_filters(request.filters),
        )
        return rag_service_pb2.AssessQuestionResponse(
            question=_to_proto_assessment(question), parts=map(_to_proto_assessment, parts)
        )

    async def EmbedTexts(
        self, request: rag_service_pb2.EmbedTextsRequest, context: object
    ) -> rag_service_pb2.EmbedTextsResponse:
        embeddings = await self._text_embedding.embed(request.texts)
        model = self._text_embedding.model
        return rag_service_pb2.EmbedTextsResponse(
            embeddings=[rag_service_pb2.Embedding(values=values) for values in embeddings],
            model=model.name,
            dimension=model.dimension,
        )

    async def GetStats(
        self, request: rag_service_pb2.GetStatsRequest, context: object
    ) -> rag_service_pb2.GetStatsResponse:
        statistics = await self._counting.count(current_caller().tenant)
        return rag_service_pb2.GetStatsResponse(
            document_count=statistics.index.document_count,
            chunk_count=statistics.index.chunk_count,
            embedding_model=statistics.model.name,
            embedding_dimension=statistics.model.dimension,
            index_kind=statistics.index_kind,
            writer=statistics.writer,
            embedded_text_count=statistics.embedded_text_count,
            max_text_tokens=statistics.max_text_tokens,
            uptime=_to_proto_duration(statistics.uptime_seconds),
            parts=statistics.parts,
        )


def _chunk(chunk: chunk_pb2.Chunk) -> Chunk:
    return Chunk(
        index=chunk.chunk_index,
        text=chunk.text,
        start=chunk.start,
        end=chunk.end,
        page=chunk.page if chunk.HasField("page") else None,
        headings=tuple(chunk.headings),
        table=TableRange(chunk.table.table, chunk.table.first_row, chunk.table.last_row)
        if chunk.HasField("table")
        else None,
    )


def _facts(facts: chunk_pb2.DocumentFacts) -> DocumentFacts:
    return DocumentFacts(
        title=facts.title,
        extension=facts.extension,
        tags=tuple(facts.tags),
        create_time=facts.create_time.ToDatetime(UTC) if facts.HasField("create_time") else None,
    )


def _filters(filters: rag_service_pb2.SearchFilters) -> SearchFilters:
    return SearchFilters(
        filenames=tuple(filters.filenames),
        extensions=tuple(filters.extensions),
        tags=tuple(filters.tags),
        create_time_from=filters.create_time_from.ToDatetime(UTC) if filters.HasField("create_time_from") else None,
        create_time_before=filters.create_time_before.ToDatetime(UTC)
        if filters.HasField("create_time_before")
        else None,
    )


def _to_proto_scored(scored: ScoredChunk) -> chunk_pb2.ScoredChunk:
    found, chunk = scored.found, scored.found.chunk
    return chunk_pb2.ScoredChunk(
        chunk=chunk_pb2.Chunk(
            chunk_index=chunk.index,
            text=chunk.text,
            page=chunk.page,
            headings=chunk.headings,
            start=chunk.start,
            end=chunk.end,
            table=_to_proto_table(chunk.table),
        ),
        document=found.document,
        filename=found.filename,
        similarity_score=found.similarity,
        fused_score=scored.fused_score,
    )


def _to_proto_citation(citation: Citation) -> chunk_pb2.Citation:
    return chunk_pb2.Citation(
        chunk=citation.chunk.name,
        filename=citation.filename,
        quote=citation.quote,
        start=citation.start,
        end=citation.end,
        page=citation.page,
        sentence_index=citation.sentence_index,
        table=_to_proto_table(citation.table),
        headings=citation.headings,
    )


def _to_proto_table(table: TableRange | None) -> chunk_pb2.TableRange | None:
    if table is None:
        return None
    return chunk_pb2.TableRange(table=table.table, first_row=table.first_row, last_row=table.last_row)


def _to_proto_usage(usage: WriterUsage) -> chunk_pb2.Usage:
    return chunk_pb2.Usage(
        input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, embedded_texts=usage.embedded_texts
    )


def _to_proto_assessment(assessment: Assessment) -> rag_service_pb2.Assessment:
    return rag_service_pb2.Assessment(score=assessment.score, reason=assessment.reason, document=assessment.document)


def _to_proto_duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1_000_000_000))
    return duration
