"""Passages of uploaded documents, found by rag for the caller whose claim the channel carries."""

from __future__ import annotations

import grpc

from protos.rag.v1 import rag_service_pb2, rag_service_pb2_grpc
from services.sql.errors import KnowledgeUnavailable
from services.sql.training_models import Passage

_AWAY = "documents cannot be searched at the moment"


class RagDocuments:
    """DocumentSearch over a channel to the rag service."""

    def __init__(self, channel: grpc.aio.Channel, *, timeout_seconds: float) -> None:
        self._stub = rag_service_pb2_grpc.RagServiceStub(channel)
        self._timeout_seconds = timeout_seconds

    async def has_any(self) -> bool:
        """See the port."""
        try:
            reply = await self._stub.GetStats(rag_service_pb2.GetStatsRequest(), timeout=self._timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise KnowledgeUnavailable(_AWAY) from error
        return reply.document_count > 0

    async def passages(self, question: str, *, limit: int) -> list[Passage]:
        """See the port."""
        request = rag_service_pb2.SearchChunksRequest(question=question, top_k=limit)
        try:
            reply = await self._stub.SearchChunks(request, timeout=self._timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise KnowledgeUnavailable(_AWAY) from error
        return [
            Passage(found.chunk.text, found.filename, found.chunk.page, tuple(found.chunk.headings))
            for found in reply.chunks[:limit]
        ]
