"""One bucket, as the adapters that keep something in it use it: whole objects in and out, and what went wrong told.

The role needs s3:GetObject, PutObject, DeleteObject and DeleteObjectVersion on the bucket's objects, and s3:ListBucket
and ListBucketVersions on the bucket: without ListBucket S3 does not tell an absent file from a forbidden one.
"""

from __future__ import annotations

import errno
import logging
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from services.ingest.errors import FileStoreUnavailable
from services.transport.aws_clients import AwsClient

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

logger = logging.getLogger(__name__)

_REMOVED_AT_ONCE = 1_000  # what DeleteObjects takes
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


class S3Bucket:
    """Objects of a bucket. Every method raises FileStoreUnavailable when they cannot be reached."""

    def __init__(self, client: AwsClient, name: str) -> None:
        self._client = client
        self._name = name

    async def put(self, key: str, content: bytes | Path, content_type: str) -> None:
        """Store an object, all of it or nothing; a file is read as it is sent."""

        def put(s3: S3Client) -> None:
            if isinstance(content, bytes):
                s3.put_object(Bucket=self._name, Key=key, Body=content, ContentType=content_type)
                return
            with content.open("rb") as file:
                s3.put_object(Bucket=self._name, Key=key, Body=file, ContentType=content_type)

        with self.told():
            await self._client.run(put)

    async def read(self, key: str, *, offset: int = 0, size_bytes: int | None = None) -> bytes | None:
        """An object, or so much of it; None when there is none."""
        if size_bytes == 0:
            return b""
        part = "" if size_bytes is None else f"bytes={offset}-{offset + size_bytes - 1}"
        with self.told():
            return await self._client.run(lambda s3: self._read(s3, key, part))

    async def download(self, keys: Sequence[str], path: Path, left: threading.Event) -> bool:
        """Write objects into a file, one after the other, until `left`; False: there is not every one of them."""
        with self.told():
            return await self._client.run(
                lambda s3: all(self._download(s3, key, path, left, append=place > 0) for place, key in enumerate(keys))
            )

    async def keys(self, prefix: str) -> list[tuple[str, int]]:
        """The objects whose keys begin so, in the order of their keys, and their sizes."""

        def listed(s3: S3Client) -> list[tuple[str, int]]:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix)
            return [(found["Key"], found["Size"]) for page in pages for found in page.get("Contents", ())]

        with self.told():
            return await self._client.run(listed)

    async def erase(self, prefix: str, left: threading.Event, *, spared: str = "") -> set[str]:
        """Remove every version of every object whose key begins so, but one, and the marks of earlier deletions.

        Returns the keys that objects were removed of. Until `left`: a process that was frozen meanwhile would erase
        what has come since.
        """
        with self.told():
            return await self._client.run(lambda s3: self._erase(s3, prefix, left, spared))

    async def count_versions(self, prefix: str) -> int:
        """How many versions, and marks of deletions, there are of objects whose keys begin so; 1,000 at most."""

        def counted(s3: S3Client) -> int:
            page = s3.list_object_versions(Bucket=self._name, Prefix=prefix, MaxKeys=_REMOVED_AT_ONCE)
            return len(page.get("Versions", ())) + len(page.get("DeleteMarkers", ()))

        with self.told():
            return await self._client.run(counted)

    async def is_reachable(self) -> bool:
        """Whether the bucket is there."""
        try:
            with self.told():
                await self._client.probe(lambda s3: s3.head_bucket(Bucket=self._name))
        except FileStoreUnavailable:
            return False
        return True

    def _read(self, s3: S3Client, key: str, part: str) -> bytes | None:
        try:
            if part:
                found = s3.get_object(Bucket=self._name, Key=key, Range=part)
            else:
                found = s3.get_object(Bucket=self._name, Key=key)
            with closing(found["Body"]) as body:
                return body.read()
        except ClientError as error:
            if _code(error) in _ABSENT:
                return None
            raise

    def _download(self, s3: S3Client, key: str, path: Path, left: threading.Event, *, append: bool) -> bool:
        start = path.stat().st_size if append else 0
        for tries_left in reversed(range(_DOWNLOAD_TRIES)):
            try:
                stored = s3.get_object(Bucket=self._name, Key=key)["Body"]
                with closing(stored) as body, path.open("r+b" if append else "wb") as file:
                    file.seek(start)
                    file.truncate()
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

    def _erase(self, s3: S3Client, prefix: str, left: threading.Event, spared: str) -> set[str]:
        erased: set[str] = set()
        while not left.is_set():
            # Always the first page: what it named is gone when it is asked for again.
            page = s3.list_object_versions(Bucket=self._name, Prefix=prefix, MaxKeys=_REMOVED_AT_ONCE)
            condemned: list[ObjectIdentifierTypeDef] = [
                {"Key": found["Key"], "VersionId": found["VersionId"]}
                for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                if found["Key"] != spared
            ]
            if not condemned or left.is_set():
                break
            reply = s3.delete_objects(Bucket=self._name, Delete={"Objects": condemned, "Quiet": True})
            if refused := reply.get("Errors"):
                raise ClientError({"Error": {"Code": refused[0].get("Code", "")}}, "DeleteObjects")
            erased.update(found["Key"] for found in page.get("Versions", ()) if found["Key"] != spared)
        return erased

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell what goes wrong inside in the words of this service."""
        try:
            yield
        except ClientError as error:
            code = _code(error)
            reason = _OPERATORS_REASONS.get(code)
            facts = {"bucket": self._name, "operation": error.operation_name, "code": code}
            if reason is not None:
                logger.error("file_store.misconfigured", extra={**facts, "cause": reason})
            else:
                logger.warning("file_store.refused", extra=facts)
            raise FileStoreUnavailable("the file store cannot be reached at the moment") from error
        except BotoCoreError as error:
            logger.warning(
                "file_store.unreachable",
                extra={"bucket": self._name, "error_kind": type(error).__name__},
            )
            raise FileStoreUnavailable("the file store cannot be reached at the moment") from error
        except OSError as error:
            # Of the folder of temporary files, which is full (ENOSPC) or may not be written.
            code = errno.errorcode.get(error.errno or 0, "")
            logger.error("file_store.no_temporary_file", extra={"code": code, "folder": tempfile.gettempdir()})
            raise FileStoreUnavailable("a stored file cannot be fetched at the moment") from error


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
