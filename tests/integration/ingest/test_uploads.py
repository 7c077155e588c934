"""Uploads past a request with the service whole: over the wire, on a disk and in a bucket, and what a removal tells."""

# ruff: noqa: ASYNC210 -- the bucket runs in threads of its own

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

import boto3
import grpc
import httpx
import pytest

from protos.ingest.v1 import document_pb2
from protos.ingest.v1.ingest_service_pb2 import (
    CompleteUploadRequest,
    CreateUploadRequest,
    DeleteDocumentRequest,
    FileUpload,
    GetJobRequest,
    IngestDocumentRequest,
    ReadDocumentContentRequest,
    StartIngestResponse,
    WriteUploadRequest,
)
from services.transport.errors import read_failure
from services.transport.identity import acting_as
from tests.aws_server import AwsAccount
from tests.integration.ingest.conftest import ANN, BOB, Running, StartIngest
from tests.integration.ingest.rag_stand_in import RagStandIn

BUCKET = "rag-cache-123456789012-us-east-1"
CONTENT = b"The pier opens at nine.\n" * 200
READY = document_pb2.IngestJob.READY


@pytest.fixture
async def in_bucket(start_ingest: StartIngest, aws_account: AwsAccount) -> AsyncIterator[Running]:
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    client.close()
    async with start_ingest(STORAGE_BACKEND="s3", S3_CACHE_BUCKET=BUCKET) as running:
        with acting_as(ANN):
            yield running


async def opened(ingest: Running, content: bytes = CONTENT, **fields: object) -> FileUpload:
    return await ingest.stub.CreateUpload(
        CreateUploadRequest(
            filename="pier.txt",
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            **fields,  # type: ignore[arg-type]
        )
    )


async def written(ingest: Running, upload: FileUpload, content: bytes = CONTENT) -> bool:
    is_whole = False
    for offset in range(0, len(content), 2_000):
        piece = content[offset : offset + 2_000]
        reply = await ingest.stub.WriteUpload(
            WriteUploadRequest(name=upload.name, sending="a" * 32, offset=offset, content=piece)
        )
        is_whole = reply.is_whole
    return is_whole


async def finished(ingest: Running, started: StartIngestResponse) -> document_pb2.IngestJob:
    job = started.job
    while job.state not in (READY, document_pb2.IngestJob.FAILED):
        await asyncio.sleep(0.05)
        job = await ingest.stub.GetJob(GetJobRequest(name=job.name))
    return job


def keys() -> set[str]:
    client = boto3.client("s3")
    page = client.list_object_versions(Bucket=BUCKET)
    client.close()
    return {found["Key"] for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))}


async def test_pieces_become_a_document_on_the_disk_and_nothing_of_the_upload_stays(
    ingest: Running, rag: RagStandIn
) -> None:
    upload = await opened(ingest, tags=["piers"])

    assert not upload.HasField("target")
    assert await written(ingest, upload)
    started = await ingest.stub.CompleteUpload(CompleteUploadRequest(name=upload.name))
    job = await finished(ingest, started)
    again = await ingest.stub.CompleteUpload(CompleteUploadRequest(name=upload.name))
    [tags] = [facts.tags for facts in rag.facts.values()]
    receipt = await ingest.stub.DeleteDocument(DeleteDocumentRequest(name=job.document))

    assert (job.state, again.job.name) == (READY, job.name)
    assert tags == ("piers",)
    assert (receipt.verified, receipt.file_count, list(receipt.filenames)) == (True, 3, ["pier.txt"])
    assert receipt.chunk_count >= 1
    left = [path for path in ingest.files.parent.rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["upload.json"]
    assert b"pier" not in left[0].read_bytes()


async def test_an_upload_that_is_waited_for_becomes_a_document(ingest: Running) -> None:
    upload = await opened(ingest, by_write=True)
    await written(ingest, upload)

    reply = await ingest.stub.IngestDocument(IngestDocumentRequest(upload=upload.name))
    part = await ingest.stub.ReadDocumentContent(
        ReadDocumentContentRequest(name=reply.document.name, offset=4, max_bytes=4)
    )

    assert (list(reply.document.filenames), reply.document.version) == (["pier.txt"], 1)
    assert (part.content, part.filename, part.size_bytes) == (b"pier", "pier.txt", len(CONTENT))


async def test_a_file_is_put_into_the_bucket_and_fetched_from_there(in_bucket: Running) -> None:
    upload = await opened(in_bucket)
    target = upload.target

    sent = httpx.request(target.method, target.url, content=CONTENT, headers=dict(target.headers))
    started = await in_bucket.stub.CompleteUpload(CompleteUploadRequest(name=upload.name))
    job = await finished(in_bucket, started)
    told = await in_bucket.stub.ReadDocumentContent(ReadDocumentContentRequest(name=job.document))
    fetched = httpx.get(told.url)
    part = await in_bucket.stub.ReadDocumentContent(
        ReadDocumentContentRequest(name=job.document, offset=4, max_bytes=4)
    )
    receipt = await in_bucket.stub.DeleteDocument(DeleteDocumentRequest(name=job.document))

    assert (sent.status_code, job.state) == (200, READY)
    assert (fetched.content, part.content) == (CONTENT, b"pier")
    assert fetched.headers["content-disposition"].startswith('attachment; filename="pier.txt"')
    assert (receipt.verified, receipt.file_count) == (True, 3)
    assert keys() == {f"tmp/uploads/{upload.name.removeprefix('uploads/')}.json"}


async def test_other_bytes_in_the_bucket_than_announced_are_told_and_may_be_put_anew(in_bucket: Running) -> None:
    upload = await opened(in_bucket)
    httpx.put(upload.target.url, content=CONTENT[::-1], headers=dict(upload.target.headers))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await in_bucket.stub.CompleteUpload(CompleteUploadRequest(name=upload.name))
    httpx.put(upload.target.url, content=CONTENT, headers=dict(upload.target.headers))
    started = await in_bucket.stub.CompleteUpload(CompleteUploadRequest(name=upload.name))

    failure = read_failure(caught.value)
    assert failure.reason == "UPLOAD_MISMATCH"
    assert failure.metadata["expected_sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert failure.metadata["found_sha256"] == hashlib.sha256(CONTENT[::-1]).hexdigest()
    assert (await finished(in_bucket, started)).state == READY


async def test_pieces_find_their_way_into_the_bucket_too(in_bucket: Running) -> None:
    upload = await opened(in_bucket, by_write=True)

    assert not upload.HasField("target")
    assert await written(in_bucket, upload)
    reply = await in_bucket.stub.IngestDocument(IngestDocumentRequest(upload=upload.name))

    assert reply.document.size_bytes == len(CONTENT)
    assert [key for key in keys() if key.startswith("tmp/")] == [f"tmp/{upload.name}.json"]


async def test_a_foreign_upload_is_unknown_and_one_without_bytes_unfinished(ingest: Running) -> None:
    upload = await opened(ingest)
    reasons = []
    for caller, name in ((ANN, upload.name), (BOB, upload.name), (BOB, f"uploads/{'7' * 32}")):
        with acting_as(caller), pytest.raises(grpc.aio.AioRpcError) as caught:
            await ingest.stub.CompleteUpload(CompleteUploadRequest(name=name))
        reasons.append(read_failure(caught.value).reason)

    assert reasons == ["UPLOAD_UNFINISHED", "UPLOAD_NOT_FOUND", "UPLOAD_NOT_FOUND"]


async def test_files_that_come_whole_take_no_more_memory_than_they_may(
    start_ingest: StartIngest, rag: RagStandIn
) -> None:
    rag.gate.clear()
    large = b"The pier opens at nine.\n" * 30_000
    async with start_ingest(max_content_bytes=1024 * 1024) as ingest:
        with acting_as(ANN):
            first = asyncio.ensure_future(
                ingest.stub.IngestDocument(IngestDocumentRequest(filename="a.txt", content=large))
            )
            for _ in range(400):
                await asyncio.sleep(0 if rag.subjects else 0.05)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ingest.stub.IngestDocument(IngestDocumentRequest(filename="b.txt", content=large + b"!"))
            rag.gate.set()
            await first

    failure = read_failure(caught.value)
    assert (failure.reason, failure.retry_after_seconds) == ("UPLOADS_BUSY", 5.0)
