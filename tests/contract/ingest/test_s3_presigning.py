"""Signed links, used as a browser uses them: by plain HTTP with nothing but what was signed."""

# ruff: noqa: ASYNC210 -- the other side runs in threads of its own

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
import httpx
import pytest

from services.ingest.adapters.s3_presigning import S3Presigner, attachment, upload_key
from services.ingest.errors import FileStoreUnavailable
from services.transport.aws_clients import make_aws_client
from tests.aws_server import AwsAccount

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "rag-cache-123456789012-us-east-1"
UPLOAD_ID = "0123456789abcdef" * 2
SHA256 = hashlib.sha256(b"%PDF-1.7").hexdigest()


@pytest.fixture
def s3(aws_account: AwsAccount) -> Iterator[S3Client]:
    client: S3Client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()


@pytest.fixture
def presigner(s3: S3Client) -> Iterator[S3Presigner]:
    client = make_aws_client("s3", addressing_style="virtual")
    yield S3Presigner(client, BUCKET)
    client.close()


async def test_a_put_stores_exactly_what_was_signed(presigner: S3Presigner, s3: S3Client) -> None:
    signed = await presigner.put(
        UPLOAD_ID, content_type="application/pdf", size_bytes=8, sha256=SHA256, expires_in_seconds=300
    )

    reply = httpx.put(signed.url, content=b"%PDF-1.7", headers=dict(signed.headers))

    assert reply.status_code == 200
    assert "Signature" not in repr(signed)
    stored = s3.get_object(Bucket=BUCKET, Key=f"tmp/uploads/{UPLOAD_ID}")
    assert (stored["Body"].read(), stored["ContentType"]) == (b"%PDF-1.7", "application/pdf")
    query = parse_qs(urlsplit(signed.url).query)
    assert set(query["X-Amz-SignedHeaders"][0].split(";")) == {
        "content-length",
        "content-type",
        "host",
        "x-amz-checksum-sha256",
    }
    assert base64.b64decode(signed.headers["x-amz-checksum-sha256"]).hex() == SHA256
    assert query["X-Amz-Expires"] == ["300"]
    assert 0 < (signed.expires_at - datetime.now(UTC)).total_seconds() <= 300


async def test_a_post_stores_the_file_under_the_signed_key(presigner: S3Presigner, s3: S3Client) -> None:
    signed = await presigner.post(UPLOAD_ID, content_type="text/plain", max_bytes=1_000, expires_in_seconds=300)

    reply = httpx.post(signed.url, data=dict(signed.fields), files={"file": ("notes.txt", b"fifteen days")})

    assert reply.status_code in (200, 204)
    stored = s3.get_object(Bucket=BUCKET, Key=f"tmp/uploads/{UPLOAD_ID}")
    assert stored["Body"].read() == b"fifteen days"


async def test_a_post_allows_one_key_one_type_and_a_bounded_size(presigner: S3Presigner) -> None:
    signed = await presigner.post(UPLOAD_ID, content_type="text/plain", max_bytes=1_000, expires_in_seconds=300)

    policy = json.loads(base64.b64decode(signed.fields["policy"]))

    assert ["content-length-range", 1, 1_000] in policy["conditions"]
    assert {"key": f"tmp/uploads/{UPLOAD_ID}"} in policy["conditions"]
    assert {"Content-Type": "text/plain"} in policy["conditions"]
    assert not any(isinstance(rule, list) and rule[0] == "starts-with" for rule in policy["conditions"])


async def test_a_link_fetches_the_object_under_a_name(presigner: S3Presigner, s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key="pdf/1/original.pdf", Body=b"%PDF-1.7")

    url = await presigner.get(
        "pdf/1/original.pdf", filename="Größe.pdf", content_type="application/pdf", expires_in_seconds=60
    )
    reply = httpx.get(url)

    assert reply.content == b"%PDF-1.7"
    assert reply.headers["content-disposition"] == attachment("Größe.pdf")
    assert reply.headers["content-type"] == "application/pdf"


@pytest.mark.parametrize(
    "filename", ['a"b.pdf', "a\r\nSet-Cookie: x=1.pdf", "a\\b.pdf", "a;b.pdf", "株.pdf", "fdp.\u202excod", "", "\ud800"]
)
def test_no_name_breaks_out_of_its_header(filename: str) -> None:
    header = attachment(filename)

    assert header.isascii()
    assert header.isprintable()
    plain = header.removeprefix('attachment; filename="').partition('"')[0]
    assert header.count('"') == 2
    assert "\\" not in plain
    said = unquote(header.rpartition("UTF-8''")[2])
    assert not {"\r", "\n", "\u202e", "\ud800"} & set(said)


@pytest.mark.parametrize("upload_id", ["", "../pdf/1/original.pdf", "A" * 32, "a" * 31, "a" * 32 + "\n"])
def test_an_upload_id_leads_nowhere_else(upload_id: str) -> None:
    with pytest.raises(ValueError, match="32 lower-case hexadecimal digits"):
        upload_key(upload_id)


async def test_links_name_the_region_of_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    client = make_aws_client("s3", addressing_style="virtual")

    signed = await S3Presigner(client, BUCKET).put(
        UPLOAD_ID, content_type="text/plain", size_bytes=1, sha256=SHA256, expires_in_seconds=60
    )
    client.close()

    assert urlsplit(signed.url).hostname == f"{BUCKET}.s3.eu-central-1.amazonaws.com"


async def test_without_credentials_nothing_is_signed(aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    client = make_aws_client("s3")
    presigner = S3Presigner(client, BUCKET)

    with pytest.raises(FileStoreUnavailable):
        await presigner.put(UPLOAD_ID, content_type="text/plain", size_bytes=1, sha256=SHA256, expires_in_seconds=60)
    with pytest.raises(FileStoreUnavailable):
        await presigner.post(UPLOAD_ID, content_type="text/plain", max_bytes=1, expires_in_seconds=60)
    client.close()
