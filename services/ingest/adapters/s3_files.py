"""Documents' files in an S3 bucket: `{extension}/{document_id}/original.{extension}`, records beside it.

So for the tenant "default"; other tenants' lie under `tenants/{tenant}/`. How they are encrypted, the bucket says.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from services.ingest.adapters.s3_bucket import S3Bucket
from services.ingest.adapters.s3_presigning import S3Presigner
from services.ingest.adapters.temporary_folders import make_folder
from services.ingest.adapters.tenant_folders import tenant_folder
from services.ingest.adapters.writes_under_way import WritesUnderWay
from services.ingest.erasures import ErasedFiles
from services.ingest.filenames import CONTENT_TYPES
from services.ingest.models import DocumentImage, FileKey

_DEFAULT_TENANT = "default"
_TENANTS = "tenants"


class S3Files:
    """FileStore in a bucket. Each write is one PutObject, which stores all of it or nothing."""

    kind = "s3"

    def __init__(self, bucket: S3Bucket, presigner: S3Presigner | None = None) -> None:
        """Without `presigner` there are no links to files."""
        self._bucket = bucket
        self._presigner = presigner
        self._writes = WritesUnderWay()

    async def save_original(self, key: FileKey, content: bytes | Path) -> None:
        content_type = CONTENT_TYPES.get(key.extension, "application/octet-stream")
        await self._put(key, _original(key), content, content_type)

    async def read_original(self, key: FileKey, offset: int, size_bytes: int) -> bytes | None:
        return await self._bucket.read(_original(key), offset=offset, size_bytes=size_bytes)

    async def link_original(self, key: FileKey, *, filename: str, content_type: str, seconds: int) -> str:
        if self._presigner is None:
            return ""
        return await self._presigner.get(
            _original(key), filename=filename, content_type=content_type, expires_in_seconds=seconds
        )

    def fetched(self, key: FileKey) -> AbstractAsyncContextManager[Path | None]:
        return fetched_objects(self._bucket, [_original(key)], f"original.{key.extension}")

    async def save_record(self, key: FileKey, name: str, data: bytes) -> None:
        await self._put(key, f"{_folder(key)}{name}", data, "application/json")

    async def load_record(self, key: FileKey, name: str) -> bytes | None:
        return await self._bucket.read(f"{_folder(key)}{name}")

    async def save_image(self, key: FileKey, image: DocumentImage, content: bytes) -> None:
        await self._put(key, f"{_folder(key)}images/{image.filename}", content, image.content_type)

    async def load_image(self, key: FileKey, image: DocumentImage) -> bytes | None:
        return await self.load_record(key, f"images/{image.filename}")

    async def delete(self, key: FileKey) -> ErasedFiles:
        left = threading.Event()
        try:
            await self._writes.ended(key)
            # The original goes first: what a crash leaves behind then is no document any more.
            erased = await self._bucket.erase(_original(key), left)
            erased |= await self._bucket.erase(_folder(key), left)
        finally:
            left.set()
        images = sum(name.startswith(f"{_folder(key)}images/") for name in erased)
        return ErasedFiles(len(erased) - images, images)

    async def count(self, key: FileKey) -> int:
        return await self._bucket.count_versions(_folder(key))

    async def is_reachable(self) -> bool:
        return await self._bucket.is_reachable()

    async def _put(self, key: FileKey, name: str, content: bytes | Path, content_type: str) -> None:
        await self._writes.make(key, self._bucket.put(name, content, content_type))


@asynccontextmanager
async def fetched_objects(bucket: S3Bucket, keys: list[str], filename: str) -> AsyncIterator[Path | None]:
    """A local file with the bytes of some objects in turn, valid inside the block; None: one of them is not there."""
    with bucket.told():
        folder = make_folder()  # here, as a thread's would stay if this is cancelled
    path, left = folder / filename, threading.Event()
    try:
        yield path if await bucket.download(keys, path, left) else None
    finally:
        left.set()  # cancelled, this goes while a thread still writes
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _folder(key: FileKey) -> str:
    """Where the document's objects lie, with a slash at its end: no other document's name begins so."""
    within = "" if key.tenant == _DEFAULT_TENANT else f"{_TENANTS}/{tenant_folder(key.tenant)}/"
    return f"{within}{key.extension}/{key.document_id}/"


def _original(key: FileKey) -> str:
    return f"{_folder(key)}original.{key.extension}"
