"""A stand-in for the rag service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from protos.rag.v1 import chunk_pb2, rag_service_pb2, rag_service_pb2_grpc
from services.transport.errors import PassedOn
from services.transport.serving import ServiceDefinition
from tests.fakes.servicers import Faults, document_name, overlap, terms, unknown_method


class FakeRag(rag_service_pb2_grpc.RagServiceServicer):
    """Sentences by file name; the answer is the sentence that shares most words with the question."""

    def __init__(self, sentences: Mapping[str, str]) -> None:
        self.sentences = dict(sentences)
        self.rows: chunk_pb2.TableRange | None = None
        """The rows of a table that every source holds."""
        self.faults = Faults()
        self.requests: list[Any] = []

    async def AssessQuestion(
        self, request: rag_service_pb2.AssessQuestionRequest, context: object
    ) -> rag_service_pb2.AssessQuestionResponse:
        await self.faults.strike("AssessQuestion")
        self.requests.append(request)
        return rag_service_pb2.AssessQuestionResponse(
            question=self._assess(request.question), parts=[self._assess(part) for part in request.parts]
        )

    async def AnswerQuestion(
        self, request: rag_service_pb2.AnswerQuestionRequest, context: object
    ) -> rag_service_pb2.AnswerQuestionResponse:
        await self.faults.strike("AnswerQuestion")
        self.requests.append(request)
        filename, score = self._best(request.question)
        sources = [self._source(name) for name in list(self.sentences)[: request.top_k or 3]]
        if score < 0.5:
            return rag_service_pb2.AnswerQuestionResponse(
                answer="The documents do not say.", answered=False, sources=sources, writer="extractive"
            )
        text = self.sentences[filename]
        citation = chunk_pb2.Citation(
            chunk=f"{document_name(filename)}/chunks/0",
            filename=filename,
            quote=text,
            start=0,
            end=len(text),
            page=2,
            table=self.rows,
        )
        return rag_service_pb2.AnswerQuestionResponse(
            answer=text,
            answered=True,
            citations=[citation],
            sources=[self._source(filename)],
            writer="extractive",
            usage=chunk_pb2.Usage(embedded_texts=1),
        )

    async def StreamAnswer(
        self, request: rag_service_pb2.StreamAnswerRequest, context: object
    ) -> AsyncIterator[rag_service_pb2.StreamAnswerResponse]:
        asked = rag_service_pb2.AnswerQuestionRequest(
            question=request.question, top_k=request.top_k, documents=request.documents, filters=request.filters
        )
        whole = await self.AnswerQuestion(asked, context)
        if whole.answered:
            sentence = rag_service_pb2.AnswerSentence(text=whole.answer, citations=whole.citations)
            yield rag_service_pb2.StreamAnswerResponse(sentence=sentence)
        yield rag_service_pb2.StreamAnswerResponse(answer=whole)

    async def GetStats(
        self, request: rag_service_pb2.GetStatsRequest, context: object
    ) -> rag_service_pb2.GetStatsResponse:
        await self.faults.strike("GetStats")
        return rag_service_pb2.GetStatsResponse(
            document_count=len(self.sentences),
            chunk_count=len(self.sentences),
            embedding_model="fake",
            embedding_dimension=8,
            index_kind="memory",
            writer="extractive",
        )

    async def IndexChunks(
        self, request: rag_service_pb2.IndexChunksRequest, context: object
    ) -> rag_service_pb2.IndexChunksResponse:
        raise PassedOn(unknown_method("rag.diglot"))

    async def DeleteDocumentChunks(
        self, request: rag_service_pb2.DeleteDocumentChunksRequest, context: object
    ) -> rag_service_pb2.DeleteDocumentChunksResponse:
        raise PassedOn(unknown_method("rag.diglot"))

    async def ShowDocumentChunks(
        self, request: rag_service_pb2.ShowDocumentChunksRequest, context: object
    ) -> rag_service_pb2.ShowDocumentChunksResponse:
        raise PassedOn(unknown_method("rag.diglot"))

    async def SearchChunks(
        self, request: rag_service_pb2.SearchChunksRequest, context: object
    ) -> rag_service_pb2.SearchChunksResponse:
        raise PassedOn(unknown_method("rag.diglot"))

    async def EmbedTexts(
        self, request: rag_service_pb2.EmbedTextsRequest, context: object
    ) -> rag_service_pb2.EmbedTextsResponse:
        raise PassedOn(unknown_method("rag.diglot"))

    def definition(self) -> ServiceDefinition:
        return ServiceDefinition(
            name="diglot.rag.v1.RagService",
            domain="rag.diglot",
            failures={},
            add_to=lambda server: rag_service_pb2_grpc.add_RagServiceServicer_to_server(self, server),
            checks={name: self.faults.check(name) for name in ("", "embedder", "chunk_index")},
        )

    def _best(self, question: str) -> tuple[str, float]:
        scored = [(overlap(question, terms(text)), name) for name, text in self.sentences.items()]
        score, name = max(scored, default=(0.0, ""))
        return name, score

    def _assess(self, text: str) -> rag_service_pb2.Assessment:
        filename, score = self._best(text)
        return rag_service_pb2.Assessment(score=score, reason=f"{filename} shares words." if score else "Nothing fits.")

    def _source(self, filename: str) -> chunk_pb2.ScoredChunk:
        text = self.sentences[filename]
        chunk = chunk_pb2.Chunk(text=text, start=0, end=len(text), page=2, headings=["Work", "Hours"], table=self.rows)
        return chunk_pb2.ScoredChunk(
            chunk=chunk, document=document_name(filename), filename=filename, similarity_score=0.8, fused_score=0.03
        )
