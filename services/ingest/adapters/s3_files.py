"""Documents' files in an S3 bucket: `{extension}/{document_id}/original.{extension}`, records beside it.

So for the tenant "default"; other tenants' lie under `tenants/{tenant}/`. How they are encrypted, the bucket says.
The role needs s3:GetObject, PutObject, DeleteObject and DeleteObjectVersion on the bucket's objects, and s3:ListBucket
and ListBucketVersions on the bucket: without ListBucket S3 does not tell an absent file from a forbidden one.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from services.ingest.adapters.tenant_folders import tenant_folder
from services.ingest.adapters.writes_under_way import WritesUnderWay
from services.ingest.errors import FileStoreUnavailable
from services.ingest.filenames import CONTENT_TYPES
from services.ingest.models import DocumentImage, FileKey
from services.transport.aws_clients import AwsClient

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

logger = logging.getLogger(__name__)

_DEFAULT_TENANT = "default"
_TENANTS = "tenants"
_DELETED_AT_ONCE = 1_000  # what DeleteObjects takes
_PIECE_BYTES = 1024 * 1024
_DOWNLOAD_TRIES = 3
_ABSENT = frozenset({"404", "NoSuchKey"})
# What an operator has to mend; waiting does not.
_OPERATORS_REASONS = {
    "NoSuchBucket": "the bucket does not exist",
    "403": "the role may not use the bucket",
    "AccessDenied": "the role may not do this in the bucket",
    "AllAccessDisabled": "the bucket is switched off",
    "InvalidAccessKeyId": "the access key is unknown",
    "SignatureDoesNotMatch": "the secret access key is wrong",
    "ExpiredToken": "the session token has expired",
    "PermanentRedirect": "the bucket is in another region",
    "KMS.DisabledException": "the bucket's key is disabled",
    "KMS.NotFoundException": "the bucket's key does not exist",
}


class S3Files:
    """FileStore in a bucket. Each write is one PutObject, which stores all of it or nothing."""

    kind = "s3"

    def __init__(self, client: AwsClient, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._writes = WritesUnderWay()

    async def save_original(self, key: FileKey, content: bytes) -> None:
        content_type = CONTENT_TYPES.get(key.extension, "application/octet-stream")
        await self._put(key, _original(key), content, content_type)

    def fetched(self, key: FileKey) -> AbstractAsyncContextManager[Path | None]:
        return self._fetched(key)

    @asynccontextmanager
    async def _fetched(self, key: FileKey) -> AsyncIterator[Path | None]:
        with self._told():
            folder = Path(tempfile.mkdtemp(prefix="diglot-"))  # here, as a thread's would stay if this is cancelled
        path = folder / f"original.{key.extension}"
        left = threading.Event()
        try:
            with self._told():
                found = await self._client.run(lambda s3: self._download(s3, _original(key), path, left))
            yield path if found else None
        finally:
            left.set()  # cancelled, this goes while a thread still writes
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def save_record(self, key: FileKey, name: str, data: bytes) -> None:
        await self._put(key, f"{_folder(key)}{name}", data, "application/json")

    async def load_record(self, key: FileKey, name: str) -> bytes | None:
        with self._told():
            return await self._client.run(lambda s3: self._read(s3, f"{_folder(key)}{name}"))

    async def save_image(self, key: FileKey, image: DocumentImage, content: bytes) -> None:
        await self._put(key, f"{_folder(key)}images/{image.filename}", content, image.content_type)

    async def load_image(self, key: FileKey, image: DocumentImage) -> bytes | None:
        return await self.load_record(key, f"images/{image.filename}")

    async def delete(self, key: FileKey) -> None:
        left = threading.Event()
        try:
            await self._writes.ended(key)
            with self._told():
                # The original goes first: what a crash leaves behind then is no document any more.
                await self._client.run(lambda s3: self._erase(s3, _original(key), left))
                await self._client.run(lambda s3: self._erase(s3, _folder(key), left))
        finally:
            left.set()

    async def is_reachable(self) -> bool:
        try:
            with self._told():
                await self._client.probe(lambda s3: s3.head_bucket(Bucket=self._bucket))
        except FileStoreUnavailable:
            return False
        return True

    async def _put(self, key: FileKey, name: str, data: bytes, content_type: str) -> None:
        def put(s3: S3Client) -> None:
            s3.put_object(Bucket=self._bucket, Key=name, Body=data, ContentType=content_type)

        with self._told():
            await self._writes.make(key, self._client.run(put))

    def _read(self, s3: S3Client, name: str) -> bytes | None:
        try:
            with closing(s3.get_object(Bucket=self._bucket, Key=name)["Body"]) as body:
                return body.read()
        except ClientError as error:
            if _code(error) in _ABSENT:
                return None
            raise

    def _download(self, s3: S3Client, name: str, path: Path, left: threading.Event) -> bool:
        """Write an object's bytes to a file, until nobody waits for it; False: there is no such object."""
        for tries_left in reversed(range(_DOWNLOAD_TRIES)):
            try:
                stored = s3.get_object(Bucket=self._bucket, Key=name)["Body"]
                with closing(stored) as body, path.open("wb") as file:
                    for piece in body.iter_chunks(_PIECE_BYTES):
                        if left.is_set():
                            return False
                        file.write(piece)
                return True
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return False
                raise
            except BotoCoreError:  # broken off in the middle, which the SDK does not try again by itself
                if not tries_left:
                    raise
        return False

    def _erase(self, s3: S3Client, prefix: str, left: threading.Event) -> None:
        """Remove every version of every object whose name begins so, and the marks of earlier deletions.

        Until nobody waits for it: a process that was frozen meanwhile would erase what has come since.
        """
        while not left.is_set():
            # Always the first page: what it named is gone when it is asked for again.
            page = s3.list_object_versions(Bucket=self._bucket, Prefix=prefix, MaxKeys=_DELETED_AT_ONCE)
            condemned: list[ObjectIdentifierTypeDef] = [
                {"Key": found["Key"], "VersionId": found["VersionId"]}
                for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
            ]
            if not condemned or left.is_set():
                return
            reply = s3.delete_objects(Bucket=self._bucket, Delete={"Objects": condemned, "Quiet": True})
            if refused := reply.get("Errors"):
                raise ClientError({"Error": {"Code": refused[0].get("Code", "")}}, "DeleteObjects")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = _code(error)
            reason = _OPERATORS_REASONS.get(code)
            facts = {"bucket": self._bucket, "operation": error.operation_name, "code": code}
            if reason is not None:
                logger.error("file_store.misconfigured", extra={**facts, "cause": reason})
            else:
                logger.warning("file_store.refused", extra=facts)
            raise FileStoreUnavailable("the file store cannot be reached at the moment") from error
        except BotoCoreError as error:
            logger.warning(
                "file_store.unreachable",
                extra={"bucket": self._bucket, "error_kind": type(error).__name__},
            )
            raise FileStoreUnavailable("the file store cannot be reached at the moment") from error
        except OSError as error:
            # Of the folder of temporary files, which is full (ENOSPC) or may not be written.
            code = errno.errorcode.get(error.errno or 0, "")
            logger.error("file_store.no_temporary_file", extra={"code": code, "folder": tempfile.gettempdir()})
            raise FileStoreUnavailable("a stored file cannot be fetched at the moment") from error


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _folder(key: FileKey) -> str:
    """Where the document's objects lie, with a slash at its end: no other document's name begins so."""
    within = "" if key.tenant == _DEFAULT_TENANT else f"{_TENANTS}/{tenant_folder(key.tenant)}/"
    return f"{within}{key.extension}/{key.document_id}/"


def _original(key: FileKey) -> str:
    return f"{_folder(key)}original.{key.extension}"
