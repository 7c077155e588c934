"""The behaviour of a store of uploads, on the fake, on a folder and on a bucket."""

# ruff: noqa: ASYNC240, ASYNC210 -- files of tests are small, and the bucket runs in threads of its own

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import httpx
import pytest

from services.ingest.adapters.local_uploads import LocalUploads
from services.ingest.adapters.s3_bucket import S3Bucket
from services.ingest.adapters.s3_presigning import S3Presigner
from services.ingest.adapters.s3_uploads import S3Uploads
from services.ingest.errors import UploadsFull
from services.ingest.uploads import UploadStore
from services.transport.aws_clients import make_aws_client
from tests.aws_server import AwsAccount
from tests.contract.ingest.upload_store_contract import (
    ID,
    LONG_AGO,
    NOW,
    ONE,
    TWO,
    UPLOAD,
    UploadStoreContract,
    ended,
    received,
)
from tests.fakes.ingest_uploads import FakeUploadStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "rag-cache-123456789012-us-east-1"


class TestFakeUploadStore(UploadStoreContract):
    @pytest.fixture
    def store(self) -> UploadStore:
        return FakeUploadStore()


class TestLocalUploads(UploadStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> UploadStore:
        return LocalUploads(tmp_path / "uploads", max_bytes=1_000)

    async def test_what_was_abandoned_is_swept_and_told_as_ended_for_a_day(self, tmp_path: Path) -> None:
        store = LocalUploads(tmp_path, max_bytes=1_000)
        for upload in (ended(timedelta(seconds=1)), ended(LONG_AGO, "2" * 32)):
            await store.open(upload)
            await store.append(upload.upload_id, ONE, 0, b"0123")

        await store.sweep(NOW)

        assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"upload.json"}
        assert await store.find(ID) == ended(timedelta(seconds=1))
        assert await store.find("2" * 32) is None

    async def test_open_uploads_take_no_more_than_the_room_for_them(self, tmp_path: Path) -> None:
        store = LocalUploads(tmp_path, max_bytes=25)
        await store.open(UPLOAD)
        await store.open(replace(UPLOAD, upload_id="2" * 32))

        with pytest.raises(UploadsFull):
            await store.open(replace(UPLOAD, upload_id="3" * 32))
        await store.complete(UPLOAD.completed_by("7" * 32))
        await store.open(replace(UPLOAD, upload_id="3" * 32))

        assert await store.find("3" * 32) is not None


class TestS3Uploads(UploadStoreContract):
    @pytest.fixture
    def s3(self, aws_account: AwsAccount) -> Iterator[S3Client]:
        client: S3Client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield client
        client.close()

    @pytest.fixture
    def store(self, s3: S3Client) -> Iterator[UploadStore]:
        client = make_aws_client("s3", addressing_style="virtual")
        yield S3Uploads(S3Bucket(client, BUCKET), S3Presigner(client, BUCKET))
        client.close()

    async def test_a_file_sent_to_the_signed_target_is_received(self, store: UploadStore, s3: S3Client) -> None:
        content = b"%PDF-1.7 x"
        upload = replace(UPLOAD, sha256=hashlib.sha256(content).hexdigest())
        await store.open(upload)
        signed = await store.sign(upload, seconds=300)
        assert signed is not None

        reply = httpx.request(signed.method, signed.url, content=content, headers=dict(signed.headers))

        assert reply.status_code == 200
        assert await received(store) == content
        await store.complete(upload.completed_by("7" * 32))
        left = s3.list_object_versions(Bucket=BUCKET)
        assert {found["Key"] for found in left["Versions"]} == {f"tmp/uploads/{ID}.json"}
        assert "DeleteMarkers" not in left

    async def test_everything_lies_where_the_bucket_lets_it_go(self, store: UploadStore, s3: S3Client) -> None:
        await store.open(UPLOAD)
        await store.append(ID, TWO, 0, b"0123456789")
        await store.seal(ID, TWO)

        keys = [found["Key"] for found in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
        assert len(keys) == 3
        assert all(key.startswith("tmp/uploads/") for key in keys)
