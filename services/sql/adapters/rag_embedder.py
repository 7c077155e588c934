"""Embeddings of questions, made by rag: the one service that knows the model."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from protos.rag.v1 import rag_service_pb2, rag_service_pb2_grpc
from services.sql.errors import ExamplesUnavailable


class RagEmbedder:
    """QuestionEmbedder over a channel to the rag service."""

    def __init__(self, channel: grpc.aio.Channel, *, timeout_seconds: float) -> None:
        self._stub = rag_service_pb2_grpc.RagServiceStub(channel)
        self._timeout_seconds = timeout_seconds

    async def embed(self, question: str) -> Sequence[float]:
        request = rag_service_pb2.EmbedTextsRequest(texts=[question])
        try:
            reply = await self._stub.EmbedTexts(request, timeout=self._timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise ExamplesUnavailable("questions cannot be embedded at the moment") from error
        if len(reply.embeddings) != 1:
            raise ExamplesUnavailable("questions cannot be embedded at the moment")
        return list(reply.embeddings[0].values)
