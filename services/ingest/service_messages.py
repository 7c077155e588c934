"""Domain objects of ingest as messages of ingest.v1."""

from datetime import datetime

from google.protobuf import timestamp_pb2

from protos.ingest.v1 import document_pb2, ingest_service_pb2
from services.ingest.erasures import Erasure
from services.ingest.models import Document, DocumentImage, Job, PageNote
from services.ingest.uploads import FileUpload, SignedUpload


def to_document(document: Document) -> document_pb2.Document:
    return document_pb2.Document(
        name=f"documents/{document.document_id}",
        filenames=document.filenames,
        content_type=document.content_type,
        size_bytes=document.size_bytes,
        chunk_count=document.chunk_count,
        token_count=document.token_count,
        page_count=document.page_count,
        create_time=to_timestamp(document.create_time),
        update_time=to_timestamp(document.update_time),
        title=document.title,
        page_notes=map(_note, document.page_notes),
        version=document.version,
    )


def _note(note: PageNote) -> document_pb2.PageNote:
    return document_pb2.PageNote(page=note.page, reason=note.reason.value, detail=note.detail)


def to_image(document: str, image: DocumentImage) -> document_pb2.Image:
    return document_pb2.Image(
        name=f"{document}/images/{image.image_id}",
        page=image.page,
        kind=document_pb2.Image.EMBEDDED,
        width=image.width,
        height=image.height,
        content_type=image.content_type,
        size_bytes=image.size_bytes,
    )


def to_job(job: Job) -> document_pb2.IngestJob:
    return document_pb2.IngestJob(
        name=f"jobs/{job.job_id}",
        document=f"documents/{job.document_id}",
        filename=job.filename,
        state=document_pb2.IngestJob.State.Value(job.state.value),
        failure_reason=job.failure_reason,
        failure_detail=job.failure_detail,
        attempt_count=job.attempt_count,
        create_time=to_timestamp(job.create_time),
        update_time=to_timestamp(job.update_time),
        indexed_chunk_count=job.indexed_chunk_count,
        total_chunk_count=job.total_chunk_count,
        parsed_page_count=job.parsed_page_count,
        total_page_count=job.total_page_count,
        page_notes=map(_note, job.page_notes),
        retry_end_time=to_timestamp(job.file_kept_until),
    )


def to_timestamp(moment: datetime | None) -> timestamp_pb2.Timestamp | None:
    if moment is None:
        return None
    timestamp = timestamp_pb2.Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


def to_receipt(erasure: Erasure) -> ingest_service_pb2.ErasureReceipt:
    return ingest_service_pb2.ErasureReceipt(
        document=f"documents/{erasure.document_id}",
        filenames=erasure.filenames,
        chunk_count=erasure.chunks.chunk_count,
        image_count=erasure.files.image_count,
        file_count=erasure.files.file_count,
        cache_entry_count=erasure.chunks.cache_entry_count,
        erase_time=to_timestamp(erasure.erase_time),
        verified=erasure.verified,
    )


def to_upload(upload: FileUpload, signed: SignedUpload | None) -> ingest_service_pb2.FileUpload:
    target = None
    if signed is not None:
        target = ingest_service_pb2.UploadTarget(method=signed.method, url=signed.url, headers=signed.headers)
    return ingest_service_pb2.FileUpload(
        name=f"uploads/{upload.upload_id}",
        filename=upload.filename,
        content_type=upload.content_type,
        size_bytes=upload.size_bytes,
        sha256=upload.sha256,
        expire_time=to_timestamp(upload.expire_time),
        target=target,
    )
