"""What the stand-in for the ingest service does about uploads in pieces, and about the bytes of a document."""

from __future__ import annotations

import hashlib
from typing import Any

import grpc

from protos.ingest.v1 import ingest_service_pb2
from services.transport.errors import PassedOn
from tests.fakes.servicers import failure


class FakeUploadCalls:
    """Keeps uploads in memory. `target` is signed for them when it is set, `url` given for a document's bytes."""

    def __init__(self) -> None:
        self.uploads: dict[str, ingest_service_pb2.FileUpload] = {}
        self.sent: dict[str, bytes] = {}
        self.whole: set[str] = set()
        self.pieces: list[int] = []
        self.contents: dict[str, bytes] = {}
        self.target: ingest_service_pb2.UploadTarget | None = None
        self.url = ""
        self.max_bytes = 0
        self.expire_seconds = 4_000_000_000

    async def CreateUpload(
        self, request: ingest_service_pb2.CreateUploadRequest, context: object
    ) -> ingest_service_pb2.FileUpload:
        if request.size_bytes > self.max_bytes:
            raise _refused(
                grpc.StatusCode.OUT_OF_RANGE, "FILE_TOO_LARGE", "content", {"max_bytes": str(self.max_bytes)}
            )
        name = f"uploads/{len(self.uploads) + 1:032x}"
        upload = ingest_service_pb2.FileUpload(
            name=name,
            filename=request.filename,
            content_type=request.content_type or "text/plain",
            size_bytes=request.size_bytes,
            sha256=request.sha256,
            target=None if request.by_write else self.target,
        )
        upload.expire_time.FromSeconds(self.expire_seconds)
        self.uploads[name] = upload
        return upload

    async def WriteUpload(
        self, request: ingest_service_pb2.WriteUploadRequest, context: object
    ) -> ingest_service_pb2.WriteUploadResponse:
        upload = self._upload(request.name)
        if request.name in self.whole:
            raise _refused(grpc.StatusCode.ABORTED, "UPLOAD_RECEIVED", "")
        self.pieces.append(len(request.content))
        content = self.sent.get(request.name, b"")[: request.offset] + request.content
        self.sent[request.name] = content
        if len(content) == upload.size_bytes:
            if hashlib.sha256(content).hexdigest() != upload.sha256:
                raise _refused(grpc.StatusCode.INVALID_ARGUMENT, "UPLOAD_MISMATCH", "content")
            self.whole.add(request.name)
        return ingest_service_pb2.WriteUploadResponse(received_bytes=len(content), is_whole=request.name in self.whole)

    async def CompleteUpload(
        self: Any, request: ingest_service_pb2.CompleteUploadRequest, context: object
    ) -> ingest_service_pb2.StartIngestResponse:
        upload = self._upload(request.name)
        if request.name not in self.whole:
            raise _refused(grpc.StatusCode.ABORTED, "UPLOAD_UNFINISHED", "")
        start = ingest_service_pb2.StartIngestRequest(filename=upload.filename, content=self.sent[request.name])
        reply: ingest_service_pb2.StartIngestResponse = await self.StartIngest(start, context)
        return reply

    async def ReadDocumentContent(
        self: Any, request: ingest_service_pb2.ReadDocumentContentRequest, context: object
    ) -> ingest_service_pb2.ReadDocumentContentResponse:
        document = await self.GetDocument(ingest_service_pb2.GetDocumentRequest(name=request.name), context)
        content = self.contents[request.name]
        return ingest_service_pb2.ReadDocumentContentResponse(
            content=content[request.offset : request.offset + request.max_bytes],
            filename=document.filenames[-1],
            content_type=document.content_type,
            size_bytes=len(content),
            url=self.url if request.max_bytes == 0 else "",
        )

    def taken(self, request: ingest_service_pb2.IngestDocumentRequest) -> ingest_service_pb2.IngestDocumentRequest:
        """The same request with the bytes of the upload that it names."""
        if not request.upload:
            return request
        upload, content = self._upload(request.upload), self.sent.pop(request.upload)
        return ingest_service_pb2.IngestDocumentRequest(filename=upload.filename, content=content, tags=request.tags)

    def _upload(self, name: str) -> ingest_service_pb2.FileUpload:
        if name not in self.uploads:
            raise _refused(grpc.StatusCode.NOT_FOUND, "UPLOAD_NOT_FOUND", "")
        return self.uploads[name]


def _refused(code: grpc.StatusCode, reason: str, field: str, metadata: dict[str, str] | None = None) -> PassedOn:
    fields = {field: "Not so."} if field else {}
    return PassedOn(failure(code, reason, domain="ingest.diglot", fields=fields, metadata=metadata or {}))
