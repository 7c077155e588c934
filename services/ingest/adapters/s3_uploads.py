"""Uploads in a bucket, under `tmp/uploads/`, where the bucket lets everything go after a day.

`{upload}` is what came by a signed PUT, `{upload}.json` what is remembered, `{upload}.parts/…` pieces that came through
us and `{upload}.sealed` which sending of them counts.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path

from services.ingest.adapters.s3_bucket import S3Bucket
from services.ingest.adapters.s3_files import fetched_objects
from services.ingest.adapters.s3_presigning import S3Presigner, upload_key
from services.ingest.adapters.upload_records import upload_from_bytes, upload_to_bytes
from services.ingest.errors import OffsetInvalid
from services.ingest.uploads import FileUpload, SignedUpload

_BYTES, _JSON = "application/octet-stream", "application/json"


class S3Uploads:
    """UploadStore in a bucket. What is abandoned goes by the bucket's own rule for `tmp/`."""

    def __init__(self, bucket: S3Bucket, presigner: S3Presigner) -> None:
        self._bucket = bucket
        self._presigner = presigner

    async def open(self, upload: FileUpload) -> None:
        await self._remember(upload)

    async def find(self, upload_id: str) -> FileUpload | None:
        return upload_from_bytes(await self._bucket.read(f"{upload_key(upload_id)}.json"))

    async def sign(self, upload: FileUpload, *, seconds: int) -> SignedUpload | None:
        return await self._presigner.put(
            upload.upload_id,
            content_type=upload.content_type,
            size_bytes=upload.size_bytes,
            sha256=upload.sha256,
            expires_in_seconds=seconds,
        )

    async def append(self, upload_id: str, sending: str, offset: int, content: bytes) -> None:
        await self._bucket.put(f"{_parts(upload_id, sending)}{offset:012d}", content, _BYTES)

    def sent(self, upload_id: str, sending: str) -> AbstractAsyncContextManager[Path | None]:
        return self._sent(upload_id, sending)

    @asynccontextmanager
    async def _sent(self, upload_id: str, sending: str) -> AsyncIterator[Path | None]:
        keys, end = [], 0
        for key, size_bytes in await self._bucket.keys(_parts(upload_id, sending)):
            if int(key.rpartition("/")[2]) != end:
                raise OffsetInvalid(end)
            keys.append(key)
            end += size_bytes
        if not keys:
            yield None
            return
        async with fetched_objects(self._bucket, keys, "content") as path:
            yield path

    async def seal(self, upload_id: str, sending: str) -> bool:
        key = f"{upload_key(upload_id)}.sealed"
        if known := await self.sealed(upload_id):
            return known == sending
        await self._bucket.put(key, sending.encode(), _BYTES)
        return True

    async def sealed(self, upload_id: str) -> str:
        return (await self._bucket.read(f"{upload_key(upload_id)}.sealed") or b"").decode()

    async def drop(self, upload_id: str, sending: str) -> None:
        await self._erase(_parts(upload_id, sending))

    def received(self, upload_id: str) -> AbstractAsyncContextManager[Path | None]:
        return self._received(upload_id)

    @asynccontextmanager
    async def _received(self, upload_id: str) -> AsyncIterator[Path | None]:
        if sealed := await self.sealed(upload_id):
            async with self._sent(upload_id, sealed) as path:
                yield path
            return
        async with fetched_objects(self._bucket, [upload_key(upload_id)], "content") as path:
            yield path

    async def complete(self, upload: FileUpload) -> None:
        await self._remember(upload)
        await self._erase(f"{upload_key(upload.upload_id)}.parts/")
        await self._erase(f"{upload_key(upload.upload_id)}.sealed")
        await self._erase(upload_key(upload.upload_id), spared=f"{upload_key(upload.upload_id)}.json")

    async def remove(self, upload_id: str) -> None:
        await self._erase(upload_key(upload_id))

    async def sweep(self, now: datetime) -> None:
        """Nothing: the bucket does it."""

    async def _remember(self, upload: FileUpload) -> None:
        await self._bucket.put(f"{upload_key(upload.upload_id)}.json", upload_to_bytes(upload), _JSON)

    async def _erase(self, prefix: str, *, spared: str = "") -> None:
        left = threading.Event()
        try:
            await self._bucket.erase(prefix, left, spared=spared)
        finally:
            left.set()


def _parts(upload_id: str, sending: str) -> str:
    return f"{upload_key(upload_id)}.parts/{sending}/"
