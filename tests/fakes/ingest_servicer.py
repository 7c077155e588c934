"""A stand-in for the ingest service."""

from __future__ import annotations

import grpc

from protos.ingest.v1 import document_pb2, ingest_service_pb2, ingest_service_pb2_grpc
from services.transport.errors import PassedOn
from services.transport.serving import ServiceDefinition
from tests.fakes.ingest_upload_calls import FakeUploadCalls
from tests.fakes.servicers import Faults, check_name, document_name, failure, page_of, unknown_method


class FakeIngest(FakeUploadCalls, ingest_service_pb2_grpc.IngestServiceServicer):
    """Text files by their hash, each READY at once; `max_bytes` is the limit, `under_way` holds jobs not done yet."""

    def __init__(self, *, max_bytes: int = 1_000_000) -> None:
        super().__init__()
        self.max_bytes = max_bytes
        self.documents: dict[str, document_pb2.Document] = {}
        self.under_way: list[document_pb2.IngestJob] = []
        self.images: list[bytes] = []
        self.tags: list[str] = []
        self.faults = Faults()

    async def IngestDocument(
        self, request: ingest_service_pb2.IngestDocumentRequest, context: object
    ) -> ingest_service_pb2.IngestDocumentResponse:
        await self.faults.strike("IngestDocument")
        request = self.taken(request)
        filename = request.filename
        if (
            not filename
            or "/" in filename
            or "\\" in filename
            or len(filename) > 255
            or any(ord(character) < 32 for character in filename)
        ):
            raise _refusal("FILENAME_INVALID", "filename")
        if not request.content:
            raise _refusal("FILE_EMPTY", "content")
        if len(request.content) > self.max_bytes:
            found = failure(
                grpc.StatusCode.OUT_OF_RANGE,
                "FILE_TOO_LARGE",
                domain="ingest.diglot",
                fields={"content": "too large"},
                metadata={"max_bytes": str(self.max_bytes)},
            )
            raise PassedOn(found)
        if not filename.endswith((".txt", ".md")):
            raise _refusal("FILE_TYPE_UNSUPPORTED", "filename")
        name = document_name(request.content)
        self.contents[name] = request.content
        self.tags = list(request.tags)
        cache_hit = name in self.documents
        document = self.documents.setdefault(
            name,
            document_pb2.Document(
                name=name,
                content_type="text/plain",
                size_bytes=len(request.content),
                chunk_count=1,
                token_count=len(request.content.split()),
            ),
        )
        if not cache_hit:
            document.create_time.FromSeconds(1_763_700_000 + len(self.documents))
            document.update_time.CopyFrom(document.create_time)
        if filename not in document.filenames:
            document.filenames.append(filename)
        return ingest_service_pb2.IngestDocumentResponse(
            document=document, cache_hit=cache_hit, storage_backend="local", job="jobs/j1"
        )

    async def GetDocument(
        self, request: ingest_service_pb2.GetDocumentRequest, context: object
    ) -> document_pb2.Document:
        await self.faults.strike("GetDocument")
        if request.name not in self.documents:
            raise PassedOn(failure(grpc.StatusCode.NOT_FOUND, "DOCUMENT_NOT_FOUND", domain="ingest.diglot"))
        return self.documents[request.name]

    async def ListDocuments(
        self, request: ingest_service_pb2.ListDocumentsRequest, context: object
    ) -> ingest_service_pb2.ListDocumentsResponse:
        await self.faults.strike("ListDocuments")
        newest_first = list(reversed(self.documents.values()))
        page, token = page_of(newest_first, request.page_size, request.page_token, "ingest.diglot")
        return ingest_service_pb2.ListDocumentsResponse(documents=page, next_page_token=token)

    async def DeleteDocument(
        self, request: ingest_service_pb2.DeleteDocumentRequest, context: object
    ) -> ingest_service_pb2.ErasureReceipt:
        document = await self.GetDocument(ingest_service_pb2.GetDocumentRequest(name=request.name), context)
        del self.documents[request.name]
        receipt = ingest_service_pb2.ErasureReceipt(
            document=document.name,
            filenames=document.filenames,
            chunk_count=document.chunk_count,
            file_count=3,
            verified=True,
        )
        receipt.erase_time.FromSeconds(1_763_700_100)
        return receipt

    async def ExtractImages(
        self, request: ingest_service_pb2.ExtractImagesRequest, context: object
    ) -> ingest_service_pb2.ExtractImagesResponse:
        raise PassedOn(unknown_method("ingest.diglot"))

    async def ListImages(
        self, request: ingest_service_pb2.ListImagesRequest, context: object
    ) -> ingest_service_pb2.ListImagesResponse:
        await self.faults.strike("ListImages")
        document = await self.GetDocument(ingest_service_pb2.GetDocumentRequest(name=request.document), context)
        images = [image_of(document.name, content) for content in self.images]
        page, token = page_of(images, request.page_size, request.page_token, "ingest.diglot")
        return ingest_service_pb2.ListImagesResponse(images=page, next_page_token=token)

    async def ReadImage(
        self, request: ingest_service_pb2.ReadImageRequest, context: object
    ) -> ingest_service_pb2.ReadImageResponse:
        await self.faults.strike("ReadImage")
        name = request.name.partition("/images/")[0]
        document = await self.GetDocument(ingest_service_pb2.GetDocumentRequest(name=name), context)
        for content in self.images:
            image = image_of(document.name, content)
            if image.name == request.name:
                return ingest_service_pb2.ReadImageResponse(image=image, content=content)
        raise PassedOn(failure(grpc.StatusCode.NOT_FOUND, "IMAGE_NOT_FOUND", domain="ingest.diglot"))

    async def StartIngest(
        self, request: ingest_service_pb2.StartIngestRequest, context: object
    ) -> ingest_service_pb2.StartIngestResponse:
        known = document_name(request.content) in self.documents
        wanted = ingest_service_pb2.IngestDocumentRequest(filename=request.filename, content=request.content)
        done = await self.IngestDocument(wanted, context)
        self.tags = list(request.tags)
        state = document_pb2.IngestJob.READY if known else document_pb2.IngestJob.QUEUED
        job = ingest_job("j1", request.content, state)
        return ingest_service_pb2.StartIngestResponse(
            job=job, document=done.document if known else None, storage_backend="local"
        )

    async def GetJob(self, request: ingest_service_pb2.GetJobRequest, context: object) -> document_pb2.IngestJob:
        return self._job(request.name)

    async def CancelJob(self, request: ingest_service_pb2.CancelJobRequest, context: object) -> document_pb2.IngestJob:
        job = self._job(request.name)
        if job.state in (document_pb2.IngestJob.READY, document_pb2.IngestJob.FAILED):
            name = document_pb2.IngestJob.State.Name(job.state)
            raise PassedOn(
                failure(grpc.StatusCode.ABORTED, "JOB_FINAL", domain="ingest.diglot", metadata={"state": name})
            )
        job.state = document_pb2.IngestJob.CANCELLED
        return job

    async def RetryJob(self, request: ingest_service_pb2.RetryJobRequest, context: object) -> document_pb2.IngestJob:
        job = self._job(request.name)
        if job.state == document_pb2.IngestJob.READY:
            raise PassedOn(failure(grpc.StatusCode.ABORTED, "JOB_NOT_RETRYABLE", domain="ingest.diglot"))
        if not job.HasField("retry_end_time"):
            raise PassedOn(failure(grpc.StatusCode.FAILED_PRECONDITION, "JOB_FILE_GONE", domain="ingest.diglot"))
        job.state = document_pb2.IngestJob.QUEUED
        job.ClearField("retry_end_time")
        return job

    def _job(self, name: str) -> document_pb2.IngestJob:
        check_name(name, "jobs/j[0-9]+", "ingest.diglot")
        for job in [*self.under_way, ingest_job()]:
            if job.name == name:
                return job
        raise PassedOn(failure(grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND", domain="ingest.diglot"))

    async def ListJobs(
        self, request: ingest_service_pb2.ListJobsRequest, context: object
    ) -> ingest_service_pb2.ListJobsResponse:
        jobs = [job for job in [*self.under_way, ingest_job()] if not request.state or job.state == request.state]
        page, token = page_of(jobs, request.page_size, request.page_token, "ingest.diglot")
        return ingest_service_pb2.ListJobsResponse(jobs=page, next_page_token=token)

    async def GetStats(
        self, request: ingest_service_pb2.GetStatsRequest, context: object
    ) -> ingest_service_pb2.GetStatsResponse:
        await self.faults.strike("GetStats")
        return ingest_service_pb2.GetStatsResponse(
            document_count=len(self.documents),
            storage_backend="local",
            served_extensions=[".md", ".txt"],
            max_file_bytes=self.max_bytes,
        )

    def definition(self) -> ServiceDefinition:
        return ServiceDefinition(
            name="diglot.ingest.v1.IngestService",
            domain="ingest.diglot",
            failures={},
            add_to=lambda server: ingest_service_pb2_grpc.add_IngestServiceServicer_to_server(self, server),
            checks={"": self.faults.check("")},
        )


def _refusal(reason: str, field_name: str) -> PassedOn:
    return PassedOn(
        failure(grpc.StatusCode.INVALID_ARGUMENT, reason, domain="ingest.diglot", fields={field_name: "Not so."})
    )


def image_of(document: str, content: bytes) -> document_pb2.Image:
    """An image of these bytes on page 1 of the document."""
    image_id = document_name(content).removeprefix("documents/")
    return document_pb2.Image(
        name=f"{document}/images/{image_id}",
        page=1,
        kind=document_pb2.Image.EMBEDDED,
        width=20,
        height=10,
        content_type="image/png",
        size_bytes=len(content),
    )


def ingest_job(
    job_id: str = "j1",
    content: str | bytes = "x",
    state: document_pb2.IngestJob.State.ValueType = document_pb2.IngestJob.READY,
) -> document_pb2.IngestJob:
    """The job of a file with this content."""
    job = document_pb2.IngestJob(name=f"jobs/{job_id}", document=document_name(content), filename="x.txt", state=state)
    job.create_time.FromSeconds(1_763_700_000)
    job.update_time.FromSeconds(1_763_700_001)
    return job
