"""Documents' files in a local folder, `{tenant}/{extension}/{document_id}/original.{extension}`, records beside it."""

import asyncio
import errno
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from services.ingest.adapters.tenant_folders import tenant_folder
from services.ingest.adapters.writes_under_way import WritesUnderWay
from services.ingest.erasures import ErasedFiles
from services.ingest.errors import FileStoreUnavailable, StorageFull
from services.ingest.models import DocumentImage, FileKey

Result = TypeVar("Result")

_ABANDONED_AFTER_SECONDS = 10.0
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class LocalFiles:
    """FileStore on a disk of this machine. A file is written beside its place, flushed to the disk, then renamed."""

    kind = "local"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._writes = WritesUnderWay()

    async def save_original(self, key: FileKey, content: bytes | Path) -> None:
        await self._save(key, self._original(key), content)

    async def read_original(self, key: FileKey, offset: int, size_bytes: int) -> bytes | None:
        def read() -> bytes | None:
            try:
                with self._original(key).open("rb") as file:
                    file.seek(offset)
                    return file.read(size_bytes)
            except FileNotFoundError:
                return None

        return await in_thread(read)

    async def link_original(self, key: FileKey, *, filename: str, content_type: str, seconds: int) -> str:
        return ""

    def fetched(self, key: FileKey) -> AbstractAsyncContextManager[Path | None]:
        return self._fetched(key)

    @asynccontextmanager
    async def _fetched(self, key: FileKey) -> AsyncIterator[Path | None]:
        path = self._original(key)
        yield path if await in_thread(path.is_file) else None

    async def save_record(self, key: FileKey, name: str, data: bytes) -> None:
        await self._save(key, self._folder(key) / name, data)

    async def load_record(self, key: FileKey, name: str) -> bytes | None:
        def read() -> bytes | None:
            try:
                return (self._folder(key) / name).read_bytes()
            except FileNotFoundError:
                return None

        return await in_thread(read)

    async def save_image(self, key: FileKey, image: DocumentImage, content: bytes) -> None:
        await self._save(key, self._folder(key) / "images" / image.filename, content)

    async def load_image(self, key: FileKey, image: DocumentImage) -> bytes | None:
        return await self.load_record(key, f"images/{image.filename}")

    async def delete(self, key: FileKey) -> ErasedFiles:
        await self._writes.ended(key)
        return await in_thread(lambda: self._delete(self._folder(key)))

    async def count(self, key: FileKey) -> int:
        return await in_thread(lambda: len(_files_in(self._folder(key))))

    async def is_reachable(self) -> bool:
        def writable() -> bool:
            try:
                self._root.mkdir(parents=True, exist_ok=True)
            except OSError:
                return False
            return os.access(self._root, os.W_OK | os.X_OK)

        return await asyncio.to_thread(writable)

    def _folder(self, key: FileKey) -> Path:
        return self._root / tenant_folder(key.tenant) / key.extension / key.document_id

    def _original(self, key: FileKey) -> Path:
        return self._folder(key) / f"original.{key.extension}"

    async def _save(self, key: FileKey, path: Path, content: bytes | Path) -> None:
        await self._writes.make(key, in_thread(lambda: write_whole(path, content)))

    def _delete(self, folder: Path) -> ErasedFiles:
        found = _files_in(folder)
        images = sum(path.parent.name == "images" for path in found)
        # The original goes first: what a crash leaves behind then is no document any more.
        for path in _originals_first(folder):
            path.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
        for parent in (folder.parent, folder.parent.parent):  # empty ones only; another document may just have come
            with suppress(OSError):
                parent.rmdir()
        return ErasedFiles(len(found) - images, images)


def _files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def write_whole(path: Path, content: bytes | Path) -> None:
    """Write a file so that after a crash it is there whole, or not at all, or as it was. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            temporary.write_bytes(content)
        else:
            _link_or_copy(content, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _flush_folder(path.parent)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _remove_abandoned(path)


def _remove_abandoned(path: Path) -> None:
    """Remove what killed processes wrote of this file. One that is only slow finds its own gone, and is tried again."""
    for temporary in path.parent.glob(f".{path.name}.*.tmp"):
        with suppress(OSError):
            if time.time() - temporary.stat().st_ctime > _ABANDONED_AFTER_SECONDS:
                temporary.unlink()


def _link_or_copy(source: Path, path: Path) -> None:
    """Files that are given are never written to again, so that one place on the disk does for both names."""
    try:
        path.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:  # on another disk, or on one without links
        shutil.copyfile(source, path)


def _originals_first(folder: Path) -> Iterator[Path]:
    yield from folder.glob("original.*")


def _flush_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def in_thread(work: Callable[[], Result]) -> Result:
    """What some work with files returns. Raises: StorageFull, FileStoreUnavailable."""
    with _told():
        return await asyncio.to_thread(work)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull("there is no room left for the file") from error
        raise FileStoreUnavailable("the file store cannot be reached at the moment") from error
