"""Uploads in a folder: `{upload}/upload.json`, `{sending}.part` for what comes, `sealed` for what of it counts."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.ingest.adapters.local_files import in_thread, write_whole
from services.ingest.adapters.upload_records import upload_from_bytes, upload_to_bytes
from services.ingest.errors import OffsetInvalid, UploadsFull
from services.ingest.uploads import REMEMBERED_FOR, FileUpload, SignedUpload

_RECORD, _SEALED, _PART = "upload.json", "sealed", ".part"


class LocalUploads:
    """UploadStore on a disk of this machine, beside the files of documents."""

    def __init__(self, root: Path, *, max_bytes: int) -> None:
        """`max_bytes`: what the uploads that are open may take together."""
        self._root = root
        self._max_bytes = max_bytes

    async def open(self, upload: FileUpload) -> None:
        def opened() -> None:
            if self._open_bytes() + upload.size_bytes > self._max_bytes:
                raise UploadsFull
            self._remember(upload)

        await in_thread(opened)

    async def find(self, upload_id: str) -> FileUpload | None:
        return await in_thread(lambda: self._read(upload_id))

    async def sign(self, upload: FileUpload, *, seconds: int) -> SignedUpload | None:
        return None

    async def append(self, upload_id: str, sending: str, offset: int, content: bytes) -> None:
        def append() -> None:
            path = self._part(upload_id, sending)
            with path.open("r+b" if offset and path.exists() else "wb") as file:
                size_bytes = file.seek(0, os.SEEK_END)
                if size_bytes < offset:
                    raise OffsetInvalid(size_bytes)
                file.seek(offset)
                file.truncate()  # a piece that came before comes again
                file.write(content)

        await in_thread(append)

    def sent(self, upload_id: str, sending: str) -> AbstractAsyncContextManager[Path | None]:
        return _present(self._part(upload_id, sending))

    async def seal(self, upload_id: str, sending: str) -> bool:
        def seal() -> bool:
            written = self._folder(upload_id) / f"{sending}.seal"
            write_whole(written, sending.encode())
            with suppress(FileExistsError):
                (self._folder(upload_id) / _SEALED).hardlink_to(written)  # unlike a renaming, it replaces nothing
            written.unlink(missing_ok=True)
            return self._sealed(upload_id) == sending

        return await in_thread(seal)

    async def sealed(self, upload_id: str) -> str:
        return await in_thread(lambda: self._sealed(upload_id))

    async def drop(self, upload_id: str, sending: str) -> None:
        await in_thread(lambda: self._part(upload_id, sending).unlink(missing_ok=True))

    def received(self, upload_id: str) -> AbstractAsyncContextManager[Path | None]:
        return self._received(upload_id)

    @asynccontextmanager
    async def _received(self, upload_id: str) -> AsyncIterator[Path | None]:
        sealed = await self.sealed(upload_id)
        if not sealed:
            yield None
            return
        async with self.sent(upload_id, sealed) as path:
            yield path

    async def complete(self, upload: FileUpload) -> None:
        def complete() -> None:
            self._remember(upload)
            self._forget_bytes(upload.upload_id)

        await in_thread(complete)

    async def remove(self, upload_id: str) -> None:
        await in_thread(lambda: shutil.rmtree(self._folder(upload_id), ignore_errors=True))

    async def sweep(self, now: datetime) -> None:
        def sweep() -> None:
            for folder in self._folders():
                upload = self._read(folder.name)
                if upload is None:  # one that is being opened, or whose opening broke off
                    with suppress(FileNotFoundError):
                        made_at = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
                        if made_at < now - timedelta(hours=1):
                            shutil.rmtree(folder, ignore_errors=True)
                elif upload.expire_time < now - REMEMBERED_FOR:
                    shutil.rmtree(folder, ignore_errors=True)
                elif upload.expire_time < now:
                    self._forget_bytes(upload.upload_id)

        await in_thread(sweep)

    def _open_bytes(self) -> int:
        """What open uploads take or will. Of those that are completed, or ended and swept, nothing is kept."""
        known = ((folder, self._read(folder.name)) for folder in self._folders())
        now = datetime.now(UTC)
        return sum(
            upload.size_bytes
            for folder, upload in known
            if upload is not None and not upload.job_id and (upload.expire_time > now or any(folder.glob(f"*{_PART}")))
        )

    def _remember(self, upload: FileUpload) -> None:
        write_whole(self._folder(upload.upload_id) / _RECORD, upload_to_bytes(upload))

    def _forget_bytes(self, upload_id: str) -> None:
        for path in self._folder(upload_id).iterdir():
            if path.name != _RECORD:
                path.unlink(missing_ok=True)

    def _sealed(self, upload_id: str) -> str:
        try:
            return (self._folder(upload_id) / _SEALED).read_text()
        except FileNotFoundError:
            return ""

    def _read(self, upload_id: str) -> FileUpload | None:
        try:
            return upload_from_bytes((self._folder(upload_id) / _RECORD).read_bytes())
        except FileNotFoundError:
            return None

    def _folders(self) -> list[Path]:
        return [path for path in self._root.iterdir() if path.is_dir()] if self._root.is_dir() else []

    def _folder(self, upload_id: str) -> Path:
        return self._root / upload_id

    def _part(self, upload_id: str, sending: str) -> Path:
        return self._folder(upload_id) / f"{sending}{_PART}"


@asynccontextmanager
async def _present(path: Path) -> AsyncIterator[Path | None]:
    yield path if await in_thread(path.is_file) else None
