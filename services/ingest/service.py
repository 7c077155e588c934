"""ingest.v1 on the wire: requests in, replies out, and the status of every error."""

from collections.abc import Mapping

from google.protobuf import duration_pb2
from grpc import StatusCode

from protos.ingest.v1 import document_pb2, ingest_service_pb2, ingest_service_pb2_grpc
from services.ingest.cancelling import Cancelling
from services.ingest.errors import (
    ChecksumInvalid,
    ContentTypeInvalid,
    DocumentNotFound,
    FileBroken,
    FileEmpty,
    FilenameInvalid,
    FileStoreUnavailable,
    FileTooLarge,
    FileTypeMismatch,
    FileTypeUnsupported,
    FileWithoutText,
    ImageNotFound,
    IndexRefused,
    IndexUnavailable,
    JobCancelled,
    JobFileGone,
    JobFinal,
    JobNotFound,
    JobNotRetryable,
    JobStoreUnavailable,
    NameInvalid,
    OffsetInvalid,
    PageTokenInvalid,
    ParsingTimeout,
    RangeInvalid,
    RemovalUnderWay,
    RequestIdInvalid,
    SendingInvalid,
    StorageFull,
    TagsInvalid,
    UploadExpired,
    UploadMismatch,
    UploadNotFound,
    UploadReceived,
    UploadsBusy,
    UploadsFull,
    UploadUnfinished,
    WorkGoesOn,
)
from services.ingest.filenames import CONTENT_TYPES
from services.ingest.imaging import Imaging
from services.ingest.ingesting import Ingesting
from services.ingest.models import JobState
from services.ingest.reading import Reading, document_id_of, job_id_of
from services.ingest.retrying import Retrying
from services.ingest.service_messages import to_document, to_image, to_job, to_receipt
from services.ingest.service_uploads import UploadCalls
from services.ingest.uploading import Uploading
from services.transport.errors import Failure
from services.transport.identity import current_caller

FAILURES: Mapping[type[Exception], Failure] = {
    FilenameInvalid: Failure(StatusCode.INVALID_ARGUMENT, "FILENAME_INVALID"),
    RequestIdInvalid: Failure(StatusCode.INVALID_ARGUMENT, "REQUEST_ID_INVALID"),
    TagsInvalid: Failure(StatusCode.INVALID_ARGUMENT, "TAGS_INVALID"),
    NameInvalid: Failure(StatusCode.INVALID_ARGUMENT, "NAME_INVALID"),
    PageTokenInvalid: Failure(StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"),
    ChecksumInvalid: Failure(StatusCode.INVALID_ARGUMENT, "CHECKSUM_INVALID"),
    ContentTypeInvalid: Failure(StatusCode.INVALID_ARGUMENT, "CONTENT_TYPE_INVALID"),
    SendingInvalid: Failure(StatusCode.INVALID_ARGUMENT, "SENDING_INVALID"),
    UploadMismatch: Failure(StatusCode.INVALID_ARGUMENT, "UPLOAD_MISMATCH"),
    OffsetInvalid: Failure(StatusCode.OUT_OF_RANGE, "OFFSET_INVALID"),
    RangeInvalid: Failure(StatusCode.OUT_OF_RANGE, "RANGE_INVALID"),
    UploadNotFound: Failure(StatusCode.NOT_FOUND, "UPLOAD_NOT_FOUND"),
    UploadExpired: Failure(StatusCode.FAILED_PRECONDITION, "UPLOAD_EXPIRED"),
    UploadReceived: Failure(StatusCode.ABORTED, "UPLOAD_RECEIVED"),
    UploadUnfinished: Failure(StatusCode.ABORTED, "UPLOAD_UNFINISHED"),
    UploadsFull: Failure(StatusCode.RESOURCE_EXHAUSTED, "UPLOADS_FULL"),
    UploadsBusy: Failure(StatusCode.RESOURCE_EXHAUSTED, "UPLOADS_BUSY"),
    FileEmpty: Failure(StatusCode.INVALID_ARGUMENT, "FILE_EMPTY"),
    FileTypeUnsupported: Failure(StatusCode.INVALID_ARGUMENT, "FILE_TYPE_UNSUPPORTED"),
    FileTypeMismatch: Failure(StatusCode.INVALID_ARGUMENT, "FILE_TYPE_MISMATCH"),
    FileBroken: Failure(StatusCode.INVALID_ARGUMENT, "FILE_BROKEN"),
    FileWithoutText: Failure(StatusCode.INVALID_ARGUMENT, "FILE_WITHOUT_TEXT"),
    FileTooLarge: Failure(StatusCode.OUT_OF_RANGE, "FILE_TOO_LARGE"),
    ParsingTimeout: Failure(StatusCode.DEADLINE_EXCEEDED, "PARSING_TIMEOUT"),
    WorkGoesOn: Failure(StatusCode.DEADLINE_EXCEEDED, "WORK_GOES_ON"),
    DocumentNotFound: Failure(StatusCode.NOT_FOUND, "DOCUMENT_NOT_FOUND"),
    ImageNotFound: Failure(StatusCode.NOT_FOUND, "IMAGE_NOT_FOUND"),
    JobNotFound: Failure(StatusCode.NOT_FOUND, "JOB_NOT_FOUND"),
    StorageFull: Failure(StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL"),
    IndexRefused: Failure(StatusCode.FAILED_PRECONDITION, "INDEX_REFUSED"),
    JobCancelled: Failure(StatusCode.ABORTED, "JOB_CANCELLED"),
    JobFinal: Failure(StatusCode.ABORTED, "JOB_FINAL"),
    JobNotRetryable: Failure(StatusCode.ABORTED, "JOB_NOT_RETRYABLE"),
    JobFileGone: Failure(StatusCode.FAILED_PRECONDITION, "JOB_FILE_GONE"),
    FileStoreUnavailable: Failure(StatusCode.UNAVAILABLE, "FILE_STORE_UNAVAILABLE"),
    JobStoreUnavailable: Failure(StatusCode.UNAVAILABLE, "JOB_STORE_UNAVAILABLE"),
    IndexUnavailable: Failure(StatusCode.UNAVAILABLE, "INDEX_UNAVAILABLE"),
    RemovalUnderWay: Failure(StatusCode.UNAVAILABLE, "REMOVAL_UNDER_WAY"),
}


_STATE = document_pb2.IngestJob.State
_KNOWN_STATES = frozenset(_STATE.Value(state.value) for state in JobState)


class IngestServicer(UploadCalls, ingest_service_pb2_grpc.IngestServiceServicer):
    """ingest.v1.IngestService."""

    def __init__(
        self,
        *,
        ingesting: Ingesting,
        uploading: Uploading,
        cancelling: Cancelling,
        retrying: Retrying,
        reading: Reading,
        imaging: Imaging,
        storage_backend: str,
        parts: Mapping[str, str],
        max_content_bytes: int,
    ) -> None:
        """`parts` is what settings chose, by name. `max_content_bytes`: what the files of calls under way may take."""
        super().__init__(uploading, reading, max_content_bytes=max_content_bytes)
        self._ingesting = ingesting
        self._cancelling = cancelling
        self._retrying = retrying
        self._reading = reading
        self._imaging = imaging
        self._storage_backend = storage_backend
        self._parts = parts

    async def IngestDocument(
        self, request: ingest_service_pb2.IngestDocumentRequest, context: object
    ) -> ingest_service_pb2.IngestDocumentResponse:
        caller = current_caller()
        if request.upload:
            ingested = await self._uploading.ingest(caller.tenant, request.upload, request_id=request.request_id)
        else:
            with self._budget.taken(len(request.content)):
                ingested = await self._ingesting.ingest(
                    tenant=caller.tenant,
                    subject=caller.subject,
                    filename=request.filename,
                    content=request.content,
                    request_id=request.request_id,
                    tags=request.tags,
                )
        return ingest_service_pb2.IngestDocumentResponse(
            document=to_document(ingested.document),
            cache_hit=ingested.cache_hit,
            storage_backend=self._storage_backend,
            job=f"jobs/{ingested.job_id}",
        )

    async def StartIngest(
        self, request: ingest_service_pb2.StartIngestRequest, context: object
    ) -> ingest_service_pb2.StartIngestResponse:
        caller = current_caller()
        with self._budget.taken(len(request.content)):
            started = await self._ingesting.start(
                tenant=caller.tenant,
                subject=caller.subject,
                filename=request.filename,
                content=request.content,
                request_id=request.request_id,
                tags=request.tags,
            )
        return ingest_service_pb2.StartIngestResponse(
            job=to_job(started.job),
            document=to_document(started.document) if started.document is not None else None,
            storage_backend=self._storage_backend,
        )

    async def CancelJob(self, request: ingest_service_pb2.CancelJobRequest, context: object) -> document_pb2.IngestJob:
        return to_job(await self._cancelling.cancel(current_caller().tenant, job_id_of(request.name)))

    async def RetryJob(self, request: ingest_service_pb2.RetryJobRequest, context: object) -> document_pb2.IngestJob:
        return to_job(await self._retrying.retry(current_caller().tenant, job_id_of(request.name)))

    async def GetJob(self, request: ingest_service_pb2.GetJobRequest, context: object) -> document_pb2.IngestJob:
        return to_job(await self._reading.job(current_caller().tenant, request.name))

    async def ListJobs(
        self, request: ingest_service_pb2.ListJobsRequest, context: object
    ) -> ingest_service_pb2.ListJobsResponse:
        jobs, next_page_token = await self._reading.job_list(
            current_caller().tenant,
            page_size=request.page_size,
            page_token=request.page_token,
            state=JobState(_STATE.Name(request.state)) if request.state in _KNOWN_STATES else None,
        )
        return ingest_service_pb2.ListJobsResponse(jobs=map(to_job, jobs), next_page_token=next_page_token)

    async def GetDocument(
        self, request: ingest_service_pb2.GetDocumentRequest, context: object
    ) -> document_pb2.Document:
        return to_document(await self._reading.document(current_caller().tenant, request.name))

    async def ListDocuments(
        self, request: ingest_service_pb2.ListDocumentsRequest, context: object
    ) -> ingest_service_pb2.ListDocumentsResponse:
        documents, next_page_token = await self._reading.documents(
            current_caller().tenant, page_size=request.page_size, page_token=request.page_token
        )
        return ingest_service_pb2.ListDocumentsResponse(
            documents=map(to_document, documents), next_page_token=next_page_token
        )

    async def DeleteDocument(
        self, request: ingest_service_pb2.DeleteDocumentRequest, context: object
    ) -> ingest_service_pb2.ErasureReceipt:
        return to_receipt(await self._ingesting.delete(current_caller().tenant, document_id_of(request.name)))

    async def ExtractImages(
        self, request: ingest_service_pb2.ExtractImagesRequest, context: object
    ) -> ingest_service_pb2.ExtractImagesResponse:
        images = await self._imaging.extract(current_caller().tenant, request.name)
        return ingest_service_pb2.ExtractImagesResponse(image_count=len(images))

    async def ListImages(
        self, request: ingest_service_pb2.ListImagesRequest, context: object
    ) -> ingest_service_pb2.ListImagesResponse:
        images, next_page_token = await self._imaging.images(
            current_caller().tenant, request.document, page_size=request.page_size, page_token=request.page_token
        )
        return ingest_service_pb2.ListImagesResponse(
            images=(to_image(request.document, image) for image in images), next_page_token=next_page_token
        )

    async def ReadImage(
        self, request: ingest_service_pb2.ReadImageRequest, context: object
    ) -> ingest_service_pb2.ReadImageResponse:
        image, content = await self._imaging.read(current_caller().tenant, request.name)
        document = request.name.partition("/images/")[0]
        return ingest_service_pb2.ReadImageResponse(image=to_image(document, image), content=content)

    async def GetStats(
        self, request: ingest_service_pb2.GetStatsRequest, context: object
    ) -> ingest_service_pb2.GetStatsResponse:
        stats = await self._reading.stats(current_caller().tenant)
        uptime = duration_pb2.Duration()
        uptime.FromMilliseconds(round(stats.uptime_seconds * 1000))
        return ingest_service_pb2.GetStatsResponse(
            document_count=stats.documents.document_count,
            total_size_bytes=stats.documents.total_size_bytes,
            jobs_by_state={state.value: count for state, count in stats.jobs_by_state.items()},
            storage_backend=self._storage_backend,
            parts=self._parts,
            parsed_file_count=stats.parsed_file_count,
            served_extensions=sorted(f".{extension}" for extension in CONTENT_TYPES),
            max_file_bytes=self._ingesting.max_file_bytes,
            uptime=uptime,
        )
