"""The function that takes images out of PDFs: this service again, with memory and concurrency of its own."""

import grpc

from protos.ingest.v1 import ingest_service_pb2, ingest_service_pb2_grpc
from services.ingest.errors import DocumentNotFound, FileStoreUnavailable, JobFailed
from services.transport.errors import read_failure


class ImagesClient:
    """ImageFunction over ingest.v1.IngestService."""

    def __init__(self, channel: grpc.aio.Channel, *, timeout_seconds: float) -> None:
        self._stub = ingest_service_pb2_grpc.IngestServiceStub(channel)
        self._timeout_seconds = timeout_seconds

    async def extract(self, document_id: str) -> int:
        request = ingest_service_pb2.ExtractImagesRequest(name=f"documents/{document_id}")
        try:
            reply = await self._stub.ExtractImages(request, timeout=self._timeout_seconds)
        except grpc.aio.AioRpcError as error:
            failure = read_failure(error)
            if failure.code is grpc.StatusCode.NOT_FOUND:
                raise DocumentNotFound from error
            if failure.code is grpc.StatusCode.UNAVAILABLE:
                raise FileStoreUnavailable("the images function cannot be reached at the moment") from error
            raise JobFailed(failure.reason, "the images function failed") from error
        return reply.image_count
