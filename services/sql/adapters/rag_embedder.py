"""Embeddings of questions and of training, made by rag: the one service that knows the model."""

from __future__ import annotations

from collections.abc import Sequence

import grpc

from protos.rag.v1 import rag_service_pb2, rag_service_pb2_grpc
from services.sql.errors import KnowledgeUnavailable, TextTooLong
from services.sql.training_models import Embeddings

_SECONDS_A_TEXT = 0.4  # a sentence model on a busy core
_AWAY = "texts cannot be embedded at the moment"


class RagEmbedder:
    """QuestionEmbedder over a channel to the rag service."""

    def __init__(self, channel: grpc.aio.Channel, *, timeout_seconds: float) -> None:
        """`timeout_seconds` is for one text; a call with more may take longer."""
        self._stub = rag_service_pb2_grpc.RagServiceStub(channel)
        self._timeout_seconds = timeout_seconds

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """See the port."""
        request = rag_service_pb2.EmbedTextsRequest(texts=texts)
        try:
            timeout_seconds = self._timeout_seconds + _SECONDS_A_TEXT * (len(texts) - 1)
            reply = await self._stub.EmbedTexts(request, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                raise TextTooLong("a text is longer than the embedding model reads") from error
            raise KnowledgeUnavailable(_AWAY) from error
        vectors = [list(embedding.values) for embedding in reply.embeddings]
        if len(vectors) != len(texts) or any(len(vector) != reply.dimension for vector in vectors):
            raise KnowledgeUnavailable(_AWAY)
        return Embeddings(vectors, f"{reply.model}/{reply.dimension}")
