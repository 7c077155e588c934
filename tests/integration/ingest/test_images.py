"""Images of PDFs by the real service: in its own process, and by a function of its own beside the ingest function."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import grpc
import pytest

from protos.ingest.v1.ingest_service_pb2 import (
    DeleteDocumentRequest,
    ExtractImagesRequest,
    IngestDocumentRequest,
    ListImagesRequest,
    ReadImageRequest,
)
from protos.ingest.v1.ingest_service_pb2_grpc import IngestServiceStub
from services.transport.channels import open_channel
from services.transport.errors import read_failure
from services.transport.identity import acting_as
from tests.aws_server import AwsAccount
from tests.fakes.servicers import INTERNAL_KEY, transport_settings
from tests.integration.ingest.conftest import ANN, BOB, Running
from tests.lambda_cluster import Function, LambdaCluster
from tests.unit.ingest.image_files import gray_jpeg, jpeg_image, pdf_with, rgb_image

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "rag-cache-123456789012-us-east-1"
JPEG = gray_jpeg(64, 32)
PDF = pdf_with([0], [0, 1], images=[jpeg_image(64, 32, JPEG), rgb_image(40, 30)])


async def test_images_are_there_soon_after_the_document_and_go_with_it(ingest: Running) -> None:
    uploaded = await ingest.stub.IngestDocument(IngestDocumentRequest(filename="pictures.pdf", content=PDF))
    name = uploaded.document.name
    async with asyncio.timeout(20):
        while not (listed := (await ingest.stub.ListImages(ListImagesRequest(document=name))).images):  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    assert [(image.page, image.width, image.height, image.content_type) for image in listed] == [
        (1, 64, 32, "image/jpeg"),
        (2, 40, 30, "image/png"),
    ]
    read = await ingest.stub.ReadImage(ReadImageRequest(name=listed[0].name))
    assert (read.content, read.image) == (JPEG, listed[0])
    with acting_as(BOB), pytest.raises(grpc.aio.AioRpcError) as caught:
        await ingest.stub.ReadImage(ReadImageRequest(name=listed[0].name))
    assert read_failure(caught.value).reason == "DOCUMENT_NOT_FOUND"
    assert any("/images/" in path for path in ingest.stored_files())

    await ingest.stub.DeleteDocument(DeleteDocumentRequest(name=name))
    assert ingest.stored_files() == set()


async def test_extracting_is_said_to_be_done_as_often_as_it_is_asked_for(ingest: Running) -> None:
    uploaded = await ingest.stub.IngestDocument(IngestDocumentRequest(filename="pictures.pdf", content=PDF))

    for _ in range(2):
        reply = await ingest.stub.ExtractImages(ExtractImagesRequest(name=uploaded.document.name))
        assert reply.image_count == 2


async def test_a_function_of_its_own_takes_the_images_out_and_its_absence_fails_no_upload(
    aws_account: AwsAccount, store_url: str, rag_target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3: S3Client = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    shared = {
        **aws_account.environment(),
        "TMPDIR": str(tmp_path),
        "DIGLOT_INTERNAL_KEY": INTERNAL_KEY,
        "DIGLOT_STORE_URL": store_url,
        "STORAGE_BACKEND": "s3",
        "S3_CACHE_BUCKET": BUCKET,
        "INGEST_RAG_TARGET": rag_target,
    }
    handler = "services.ingest.handler.handler"
    functions = [
        Function("diglot-ingest", handler, env={**shared, "INGEST_IMAGES_TARGET": "lambda:diglot-images:live"}),
        Function("diglot-images", handler, env=shared),
        Function("lost-ingest", handler, env={**shared, "INGEST_IMAGES_TARGET": "lambda:diglot-nowhere:live"}),
    ]
    cluster = LambdaCluster(functions)
    await asyncio.to_thread(cluster.start)
    for variable, value in cluster.caller_environment().items():
        monkeypatch.setenv(variable, value)
    try:
        async with (
            open_channel("lambda:diglot-ingest", transport_settings()) as channel,
            open_channel("lambda:lost-ingest", transport_settings()) as lost_channel,
        ):
            with acting_as(ANN):
                stub, lost = IngestServiceStub(channel), IngestServiceStub(lost_channel)
                other = pdf_with([0], images=[rgb_image(50, 50)])
                unlucky = await lost.IngestDocument(IngestDocumentRequest(filename="b.pdf", content=other))
                assert (await lost.ListImages(ListImagesRequest(document=unlucky.document.name))).images == []
                uploaded = await stub.IngestDocument(IngestDocumentRequest(filename="a.pdf", content=PDF))
                listed = (await stub.ListImages(ListImagesRequest(document=uploaded.document.name))).images
    finally:
        await asyncio.to_thread(cluster.stop)

    assert cluster.invoke_count("diglot-images") == 1
    assert len(listed) == 2
    folder = uploaded.document.name.replace("documents/", "tenants/red/pdf/")
    names = [found["Key"] for found in s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{folder}/images/")["Contents"]]
    assert len(names) == 2
    noted = s3.get_object(
        Bucket=BUCKET, Key=unlucky.document.name.replace("documents/", "tenants/red/pdf/") + "/metadata.json"
    )["Body"].read()
    assert b"failure_reason" in noted
    s3.close()
