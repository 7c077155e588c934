"""A rag service for these tests: real gRPC, chunks in memory, and everything counted that would cost embedding."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from datetime import UTC
from typing import Any

import grpc

from protos.rag.v1 import rag_service_pb2, rag_service_pb2_grpc
from services.ingest.models import DocumentFacts
from services.transport.errors import Failure
from services.transport.identity import current_caller
from services.transport.serving import ServiceDefinition

# To the type checker a servicer has every method of its contract; this one needs four.
_Servicer: Any = rag_service_pb2_grpc.RagServiceServicer
_DOCUMENT = re.compile("documents/[0-9a-f]{64}")


class Refused(Exception):
    """What the stand-in answers with when told to."""


class Away(Exception):
    """What it answers with when it is to seem out of order."""


class RagStandIn(_Servicer):  # type: ignore[misc]
    """Keeps the promises of IndexChunks and DeleteDocumentChunks; `away` breaks both, `refuses` the first."""

    def __init__(self) -> None:
        self.texts: dict[tuple[str, str], dict[int, str]] = {}
        self.filenames: dict[tuple[str, str], str] = {}
        self.facts: dict[tuple[str, str], DocumentFacts] = {}
        self.held_back: set[tuple[str, str]] = set()
        self.embedded: Counter[str] = Counter()
        self.requests: list[rag_service_pb2.IndexChunksRequest] = []
        self.subjects: set[str] = set()
        self.away = False
        self.refuses = False
        self.pause_after: int | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def IndexChunks(
        self, request: rag_service_pb2.IndexChunksRequest, context: object
    ) -> rag_service_pb2.IndexChunksResponse:
        await self._check(request.document)
        if self.refuses:
            raise Refused("the index was built with another model")
        assert 1 <= len(request.filename) <= 255
        assert len(request.chunks) <= 256
        assert all(chunk.text.strip() and chunk.chunk_index < request.chunk_count for chunk in request.chunks)
        self.requests.append(request)
        if len(self.requests) == self.pause_after:
            self.gate.clear()
        key = (current_caller().tenant, request.document)
        before = self.texts.get(key, {})
        if request.held_back and not before:
            self.held_back.add(key)
        changed = {
            chunk.chunk_index: chunk.text for chunk in request.chunks if before.get(chunk.chunk_index) != chunk.text
        }
        self.embedded.update(changed.values())
        merged = {index: text for index, text in (before | changed).items() if index < request.chunk_count}
        self.texts[key], self.filenames[key] = merged, request.filename
        if request.HasField("facts"):
            told = request.facts
            came = told.create_time.ToDatetime(UTC) if told.HasField("create_time") else None
            self.facts[key] = DocumentFacts(told.title, told.extension, tuple(told.tags), came)
        return rag_service_pb2.IndexChunksResponse(
            indexed_count=len(changed), unchanged_count=len(request.chunks) - len(changed)
        )

    async def DeleteDocumentChunks(
        self, request: rag_service_pb2.DeleteDocumentChunksRequest, context: object
    ) -> rag_service_pb2.DeleteDocumentChunksResponse:
        await self._check(request.document)
        key = (current_caller().tenant, request.document)
        self.filenames.pop(key, None)
        self.facts.pop(key, None)
        self.held_back -= {key, (key[0], request.successor)}
        return rag_service_pb2.DeleteDocumentChunksResponse(removed_count=len(self.texts.pop(key, {})))

    async def ShowDocumentChunks(
        self, request: rag_service_pb2.ShowDocumentChunksRequest, context: object
    ) -> rag_service_pb2.ShowDocumentChunksResponse:
        await self._check(request.document)
        self.held_back.discard((current_caller().tenant, request.document))
        return rag_service_pb2.ShowDocumentChunksResponse()

    async def GetStats(
        self, request: rag_service_pb2.GetStatsRequest, context: object
    ) -> rag_service_pb2.GetStatsResponse:
        if self.away:
            raise Away("the embedder is away")
        return rag_service_pb2.GetStatsResponse(embedding_model="all-MiniLM-L6-v2-onnx-int8", max_text_tokens=256)

    async def _check(self, document: str) -> None:
        assert _DOCUMENT.fullmatch(document)
        self.subjects.add(current_caller().subject)
        await self.gate.wait()
        if self.away:
            raise Away("the embedder is away")

    def definition(self) -> ServiceDefinition:
        async def serves() -> bool:
            return not self.away

        return ServiceDefinition(
            name="diglot.rag.v1.RagService",
            domain="rag.diglot",
            failures={
                Away: Failure(grpc.StatusCode.UNAVAILABLE, "EMBEDDER_UNAVAILABLE"),
                Refused: Failure(grpc.StatusCode.FAILED_PRECONDITION, "EMBEDDING_MODEL_MISMATCH"),
            },
            add_to=lambda server: rag_service_pb2_grpc.add_RagServiceServicer_to_server(self, server),
            checks={"": serves},
        )
