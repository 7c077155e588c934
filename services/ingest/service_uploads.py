"""Calls of ingest.v1 that carry files in pieces, and the memory that whole ones may take."""

from collections.abc import Iterator
from contextlib import contextmanager

from protos.ingest.v1 import ingest_service_pb2
from services.ingest.errors import UploadsBusy
from services.ingest.reading import Reading
from services.ingest.service_messages import to_document, to_job, to_upload
from services.ingest.uploading import Uploading
from services.transport.identity import current_caller

_MAX_READ_BYTES = 1024 * 1024


class ByteBudget:
    """So many bytes may be held at a time; what does not fit beside others is refused. One alone always fits."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held_bytes = 0

    @contextmanager
    def taken(self, size_bytes: int) -> Iterator[None]:
        """Hold them inside the block. Raises UploadsBusy."""
        if self._held_bytes and self._held_bytes + size_bytes > self._max_bytes:
            raise UploadsBusy
        self._held_bytes += size_bytes
        try:
            yield
        finally:
            self._held_bytes -= size_bytes


class UploadCalls:
    """CreateUpload, WriteUpload, CompleteUpload and ReadDocumentContent."""

    def __init__(self, uploading: Uploading, reading: Reading, *, max_content_bytes: int) -> None:
        self._uploading = uploading
        self._reading = reading
        self._budget = ByteBudget(max_content_bytes)
        self._storage_backend = ""

    async def CreateUpload(
        self, request: ingest_service_pb2.CreateUploadRequest, context: object
    ) -> ingest_service_pb2.FileUpload:
        caller = current_caller()
        upload, signed = await self._uploading.create(
            tenant=caller.tenant,
            subject=caller.subject,
            filename=request.filename,
            size_bytes=request.size_bytes,
            sha256=request.sha256,
            content_type=request.content_type,
            tags=request.tags,
            by_write=request.by_write,
        )
        return to_upload(upload, signed)

    async def WriteUpload(
        self, request: ingest_service_pb2.WriteUploadRequest, context: object
    ) -> ingest_service_pb2.WriteUploadResponse:
        received_bytes, is_whole = await self._uploading.write(
            current_caller().tenant,
            request.name,
            sending=request.sending,
            offset=request.offset,
            content=request.content,
        )
        return ingest_service_pb2.WriteUploadResponse(received_bytes=received_bytes, is_whole=is_whole)

    async def CompleteUpload(
        self, request: ingest_service_pb2.CompleteUploadRequest, context: object
    ) -> ingest_service_pb2.StartIngestResponse:
        started = await self._uploading.complete(current_caller().tenant, request.name)
        return ingest_service_pb2.StartIngestResponse(
            job=to_job(started.job),
            document=to_document(started.document) if started.document is not None else None,
            storage_backend=self._storage_backend,
        )

    async def ReadDocumentContent(
        self, request: ingest_service_pb2.ReadDocumentContentRequest, context: object
    ) -> ingest_service_pb2.ReadDocumentContentResponse:
        part = await self._reading.content(
            current_caller().tenant,
            request.name,
            offset=request.offset,
            size_bytes=max(0, min(request.max_bytes, _MAX_READ_BYTES)),
        )
        return ingest_service_pb2.ReadDocumentContentResponse(
            content=part.content,
            filename=part.document.filenames[-1] if part.document.filenames else "",
            content_type=part.document.content_type,
            size_bytes=part.document.size_bytes,
            url=part.url,
        )
