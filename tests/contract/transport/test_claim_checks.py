"""The contract of claim checks over a folder, and over S3 reached through boto3."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import boto3
import pytest
from moto.s3.models import s3_backends

from services.transport.claim_check import LocalClaimChecks
from services.transport.errors import ClaimCheckUnavailable
from services.transport.s3_claim_checks import S3ClaimChecks, SharedS3
from tests.aws_server import AwsAccount
from tests.contract.transport.claim_check_contract import TTL_SECONDS, ClaimCheckContract, Kept

BUCKET = "rag-cache-123456789012-us-east-1"


class Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> set[str]:
        return {path.name for path in self._path.iterdir()}

    def age(self, key: str, seconds: float) -> None:
        then = time.time() - seconds
        os.utime(self._path / key, (then, then))

    def remove(self, key: str) -> None:
        (self._path / key).unlink()


class TestLocalClaimChecks(ClaimCheckContract):
    @pytest.fixture
    def kept(self, tmp_path: Path) -> Kept:
        folder = tmp_path / "claims"
        store, other = (LocalClaimChecks(folder, ttl_seconds=TTL_SECONDS) for _ in range(2))
        return Kept(store, other, Folder(folder))

    @pytest.fixture
    def broken(self, tmp_path: Path) -> LocalClaimChecks:
        (tmp_path / "file").write_text("in the way")
        return LocalClaimChecks(tmp_path / "file" / "claims", ttl_seconds=TTL_SECONDS)


class Bucket:
    """The bucket as the API's own process holds it, which is this one."""

    def __init__(self) -> None:
        self._keys = s3_backends["123456789012"]["aws"].buckets[BUCKET].keys

    def names(self) -> set[str]:
        return set(self._keys)

    def age(self, key: str, seconds: float) -> None:
        self._keys[f"claims/{key}"].last_modified -= timedelta(seconds=seconds)

    def remove(self, key: str) -> None:
        del self._keys[f"claims/{key}"]


@pytest.fixture
def shared_s3(aws_account: AwsAccount) -> Iterator[SharedS3]:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.close()
    shared_s3 = SharedS3()
    yield shared_s3
    shared_s3.close()


class TestS3ClaimChecks(ClaimCheckContract):
    @pytest.fixture
    def kept(self, shared_s3: SharedS3) -> Kept:
        store, other = (S3ClaimChecks(BUCKET, ttl_seconds=TTL_SECONDS, shared_s3=shared_s3) for _ in range(2))
        return Kept(store, other, Bucket())

    @pytest.fixture
    def broken(self, shared_s3: SharedS3) -> S3ClaimChecks:
        return S3ClaimChecks("no-such-bucket", ttl_seconds=TTL_SECONDS, shared_s3=shared_s3)

    async def test_bodies_lie_where_the_lifecycle_clears_them_away(self, kept: Kept) -> None:
        key = await kept.store.put(b"body")

        assert kept.bodies.names() == {f"claims/{key}"}


async def test_the_bucket_out_of_reach_is_told(monkeypatch: pytest.MonkeyPatch, aws_account: AwsAccount) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")  # the discard port: nobody listens
    shared_s3 = SharedS3()

    with pytest.raises(ClaimCheckUnavailable, match="cannot be stored"):
        await S3ClaimChecks(BUCKET, ttl_seconds=TTL_SECONDS, shared_s3=shared_s3).put(b"body")

    shared_s3.close()


async def test_all_stores_of_a_process_share_one_client_made_with_the_first_body(shared_s3: SharedS3) -> None:
    first, second = (S3ClaimChecks(BUCKET, ttl_seconds=TTL_SECONDS, shared_s3=shared_s3) for _ in range(2))

    key = await first.put(b"body")
    client = shared_s3.get()
    await second.get(key)

    assert shared_s3.get() is client
