"""A store of uploads in memory. It passes the behaviour suite of its port."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path

from services.ingest.errors import OffsetInvalid
from services.ingest.uploads import REMEMBERED_FOR, FileUpload, SignedUpload
from tests.fakes.ingest_stores import Trouble


class FakeUploadStore:
    """UploadStore over dictionaries."""

    def __init__(self) -> None:
        self.uploads: dict[str, FileUpload] = {}
        self.parts: dict[tuple[str, str], bytes] = {}
        self.seals: dict[str, str] = {}
        self.trouble = Trouble()

    async def open(self, upload: FileUpload) -> None:
        self.trouble.strike("open")
        self.uploads[upload.upload_id] = upload

    async def find(self, upload_id: str) -> FileUpload | None:
        return self.uploads.get(upload_id)

    async def sign(self, upload: FileUpload, *, seconds: int) -> SignedUpload | None:
        return None

    async def append(self, upload_id: str, sending: str, offset: int, content: bytes) -> None:
        self.trouble.strike("append")
        before = self.parts.get((upload_id, sending), b"")
        if len(before) < offset:
            raise OffsetInvalid(len(before))
        self.parts[upload_id, sending] = before[:offset] + content

    def sent(self, upload_id: str, sending: str) -> AbstractAsyncContextManager[Path | None]:
        return self._present(self.parts.get((upload_id, sending)))

    async def seal(self, upload_id: str, sending: str) -> bool:
        return self.seals.setdefault(upload_id, sending) == sending

    async def sealed(self, upload_id: str) -> str:
        return self.seals.get(upload_id, "")

    async def drop(self, upload_id: str, sending: str) -> None:
        self.parts.pop((upload_id, sending), None)

    def received(self, upload_id: str) -> AbstractAsyncContextManager[Path | None]:
        return self._present(self.parts.get((upload_id, self.seals.get(upload_id, ""))))

    async def complete(self, upload: FileUpload) -> None:
        self.trouble.strike("complete")
        self._forget_bytes(upload.upload_id)
        self.uploads[upload.upload_id] = upload

    async def remove(self, upload_id: str) -> None:
        self._forget_bytes(upload_id)
        self.uploads.pop(upload_id, None)

    async def sweep(self, now: datetime) -> None:
        for upload in list(self.uploads.values()):
            if upload.expire_time < now - REMEMBERED_FOR:
                await self.remove(upload.upload_id)
            elif upload.expire_time < now:
                self._forget_bytes(upload.upload_id)

    def _forget_bytes(self, upload_id: str) -> None:
        self.parts = {place: content for place, content in self.parts.items() if place[0] != upload_id}
        self.seals.pop(upload_id, None)

    @asynccontextmanager
    async def _present(self, content: bytes | None) -> AsyncIterator[Path | None]:
        if content is None:
            yield None
            return
        folder = Path(tempfile.mkdtemp(prefix="dg-fake-"))
        try:
            (folder / "content").write_bytes(content)
            yield folder / "content"
        finally:
            shutil.rmtree(folder)
