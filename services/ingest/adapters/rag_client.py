"""The chunk index as the rag service keeps it."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from protos.rag.v1 import chunk_pb2, rag_service_pb2, rag_service_pb2_grpc
from services.ingest.erasures import ErasedFromIndex
from services.ingest.errors import IndexRefused, IndexUnavailable
from services.ingest.models import Chunk, DocumentFacts, EmbeddingLimits
from services.transport.errors import read_failure

Reply = TypeVar("Reply", bound=Message)

MAX_BATCH_CHUNKS = 256
# Under the 6 MB a Lambda invoke takes, also after base64 has made a third more of it.
MAX_BATCH_BYTES = 3 * 1024 * 1024
# Another model means another index, and a rag service that was started anew.
_LIMITS_TRUSTED_SECONDS = 300.0
_WORTH_RETRYING = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
    }
)


class RagChunkIndexer:
    """ChunkIndexer over rag.v1.RagService.

    `batch_chunks` bounds a call also in time: each call ends well before its deadline, and progress is told after it.
    """

    def __init__(self, channel: grpc.aio.Channel, *, batch_chunks: int = 64, timeout_seconds: float = 120) -> None:
        self._stub = rag_service_pb2_grpc.RagServiceStub(channel)
        self._batch_chunks = min(batch_chunks, MAX_BATCH_CHUNKS)
        self._timeout_seconds = timeout_seconds
        self._limits = EmbeddingLimits("", 0)
        self._limits_trusted_until = float("-inf")

    async def limits(self) -> EmbeddingLimits:
        if time.monotonic() > self._limits_trusted_until:
            stats = await self._called(self._stub.GetStats, rag_service_pb2.GetStatsRequest())
            self._limits = EmbeddingLimits(stats.embedding_model, stats.max_text_tokens)
            self._limits_trusted_until = time.monotonic() + _LIMITS_TRUSTED_SECONDS
        return self._limits

    async def index(
        self,
        document_id: str,
        filename: str,
        chunks: Sequence[Chunk],
        *,
        chunk_count: int,
        facts: DocumentFacts | None = None,
        held_back: bool = False,
        progress: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        done = 0
        for batch in self._batches(chunks):
            request = rag_service_pb2.IndexChunksRequest(
                document=f"documents/{document_id}",
                filename=filename,
                chunks=batch,
                chunk_count=chunk_count,
                facts=_to_proto_facts(facts) if facts else None,
                held_back=held_back,
            )
            await self._called(self._stub.IndexChunks, request)
            done += len(batch)
            if progress is not None and batch:
                await progress(done)

    async def delete(self, document_id: str, *, successor: str = "") -> ErasedFromIndex:
        request = rag_service_pb2.DeleteDocumentChunksRequest(
            document=f"documents/{document_id}", successor=f"documents/{successor}" if successor else ""
        )
        reply = await self._called(self._stub.DeleteDocumentChunks, request)
        return ErasedFromIndex(reply.removed_count, reply.cache_entry_count, reply.remaining_count)

    async def show(self, document_id: str) -> None:
        request = rag_service_pb2.ShowDocumentChunksRequest(document=f"documents/{document_id}")
        await self._called(self._stub.ShowDocumentChunks, request)

    async def _called(self, method: Callable[..., Awaitable[Reply]], request: Message) -> Reply:
        try:
            return await method(request, timeout=self._timeout_seconds)
        except grpc.aio.AioRpcError as error:
            failure = read_failure(error)
            if error.code() in _WORTH_RETRYING:
                raise IndexUnavailable("the chunk index cannot be reached at the moment") from error
            raise IndexRefused(
                f"the chunk index does not take the document ({failure.reason})", index_reason=failure.reason
            ) from error

    def _batches(self, chunks: Sequence[Chunk]) -> Iterator[list[chunk_pb2.Chunk]]:
        """Batches within both limits; one empty batch when there are no chunks, so that the name still arrives."""
        batch: list[chunk_pb2.Chunk] = []
        size_bytes = 0
        for chunk in chunks:
            message = _to_proto(chunk)
            message_bytes = message.ByteSize() + 8  # with its tag and length
            if batch and (len(batch) >= self._batch_chunks or size_bytes + message_bytes > MAX_BATCH_BYTES):
                yield batch
                batch, size_bytes = [], 0
            batch.append(message)
            size_bytes += message_bytes
        if batch or not chunks:
            yield batch


def _to_proto(chunk: Chunk) -> chunk_pb2.Chunk:
    return chunk_pb2.Chunk(
        chunk_index=chunk.index,
        text=chunk.text,
        page=chunk.page,
        headings=chunk.headings,
        start=chunk.start,
        end=chunk.end,
        table=chunk_pb2.TableRange(
            table=chunk.table.table, first_row=chunk.table.first_row, last_row=chunk.table.last_row
        )
        if chunk.table
        else None,
    )


def _to_proto_facts(facts: DocumentFacts) -> chunk_pb2.DocumentFacts:
    message = chunk_pb2.DocumentFacts(title=facts.title, extension=facts.extension, tags=facts.tags)
    if facts.create_time is not None:
        message.create_time.FromDatetime(facts.create_time)
    return message
