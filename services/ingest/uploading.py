"""Taking in files too large for one request, without ever holding one of them in memory."""

import asyncio
import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4
from weakref import WeakValueDictionary

from services.ingest.errors import (
    ChecksumInvalid,
    ContentTypeInvalid,
    FileEmpty,
    FileStoreUnavailable,
    FileTooLarge,
    IngestError,
    NameInvalid,
    OffsetInvalid,
    SendingInvalid,
    Unreachable,
    UploadExpired,
    UploadMismatch,
    UploadNotFound,
    UploadReceived,
    UploadUnfinished,
    WorkGoesOn,
)
from services.ingest.filenames import CONTENT_TYPES, clean_filename, served_extension
from services.ingest.ingesting import Ingesting
from services.ingest.models import DocumentState, Ingested, Started
from services.ingest.ports import DocumentRegistry, JobStore
from services.ingest.tags import clean_tags
from services.ingest.uploads import MAX_PIECE_BYTES, FileUpload, SignedUpload, UploadStore, is_upload_id

logger = logging.getLogger(__name__)

_SWEEP_SECONDS = 60.0
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}")


@dataclass
class Uploading:
    """Opens, receives and completes uploads. A foreign upload is not told from an unknown one.

    Attributes:
        max_file_bytes: largest file taken.
        open_seconds: how long an upload stays open.
    """

    store: UploadStore
    ingesting: Ingesting
    jobs: JobStore
    registry: DocumentRegistry
    max_file_bytes: int
    open_seconds: int = 3600
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _completing: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def create(
        self,
        *,
        tenant: str,
        subject: str,
        filename: str,
        size_bytes: int,
        sha256: str,
        content_type: str = "",
        tags: Sequence[str] = (),
        by_write: bool = False,
    ) -> tuple[FileUpload, SignedUpload | None]:
        """Open an upload: how it is to come, or None where it comes by `write`.

        Raises: FilenameInvalid, FileTypeUnsupported, TagsInvalid, FileEmpty, FileTooLarge, ChecksumInvalid,
            ContentTypeInvalid, UploadsFull, StorageFull, FileStoreUnavailable.
        """
        name = clean_filename(filename)
        extension = served_extension(name)
        if size_bytes < 1:
            raise FileEmpty
        if size_bytes > self.max_file_bytes:
            raise FileTooLarge(size_bytes=size_bytes, max_bytes=self.max_file_bytes)
        if not _SHA256.fullmatch(sha256):
            raise ChecksumInvalid
        if content_type and not _MEDIA_TYPE.fullmatch(content_type):
            raise ContentTypeInvalid
        upload = FileUpload(
            upload_id=uuid4().hex,
            tenant=tenant,
            subject=subject,
            filename=name,
            extension=extension,
            content_type=content_type or CONTENT_TYPES[extension],
            size_bytes=size_bytes,
            sha256=sha256,
            expire_time=self.clock() + timedelta(seconds=self.open_seconds),
            tags=clean_tags(tags),
        )
        await self.store.open(upload)
        return upload, None if by_write else await self.store.sign(upload, seconds=self.open_seconds)

    async def write(self, tenant: str, name: str, *, sending: str, offset: int, content: bytes) -> tuple[int, bool]:
        """Take in a piece; how many bytes have come, and whether that is all of them, as they should be.

        Raises: NameInvalid, SendingInvalid, OffsetInvalid, UploadMismatch, UploadNotFound, UploadExpired,
            UploadReceived, StorageFull, FileStoreUnavailable.
        """
        upload = await self._open(tenant, name)
        if not is_upload_id(sending):
            raise SendingInvalid("sending must have 32 lower-case hexadecimal digits", field="sending")
        if not 0 < len(content) <= MAX_PIECE_BYTES:
            raise SendingInvalid(f"a piece has 1 to {MAX_PIECE_BYTES:,} bytes, not {len(content):,}", field="content")
        if offset < 0:
            raise OffsetInvalid(0)
        end = offset + len(content)
        if upload.job_id or (sealed := await self.store.sealed(upload.upload_id)):
            if not upload.job_id and sealed == sending and end == upload.size_bytes:
                return end, True  # its last piece comes again
            raise UploadReceived
        if end > upload.size_bytes:
            await self.store.drop(upload.upload_id, sending)
            raise UploadMismatch(expected_size_bytes=upload.size_bytes, found_size_bytes=end, is_at_least=True)
        await self.store.append(upload.upload_id, sending, offset, content)
        if end < upload.size_bytes:
            return end, False
        async with self.store.sent(upload.upload_id, sending) as path:
            mismatch = await _mismatch(path, upload) if path is not None else None
        if mismatch is not None:
            await self.store.drop(upload.upload_id, sending)
            raise mismatch
        if not await self.store.seal(upload.upload_id, sending):
            raise UploadReceived
        return end, True

    async def complete(self, tenant: str, name: str) -> Started:
        """Make an upload a document, without waiting for that. Completed again, it answers with the same job.

        Raises: NameInvalid, UploadMismatch, UploadNotFound, UploadExpired, UploadUnfinished; as Ingesting.start.
        """
        upload = await self._known(tenant, name)
        lock = self._completing.setdefault(upload.upload_id, asyncio.Lock())
        async with lock:
            return await self._complete(await self._known(tenant, name))

    async def ingest(self, tenant: str, name: str, *, request_id: str = "") -> Ingested:
        """Make an upload a document, wait for that, and forget its bytes. Asked again, it answers with the document.

        Bytes that cannot be a document are forgotten too; those for which a part was away are kept, for a next call.

        Raises: as `complete` and Ingesting.ingest.
        """
        upload = await self._open(tenant, name)
        if upload.job_id:
            return await self._ingested_before(upload)
        async with self.store.received(upload.upload_id) as path:
            if path is None:
                raise UploadUnfinished
            if (mismatch := await _mismatch(path, upload)) is not None:
                raise mismatch
            try:
                ingested = await self.ingesting.ingest(
                    tenant=tenant,
                    subject=upload.subject,
                    filename=upload.filename,
                    content=path,
                    request_id=request_id,
                    tags=upload.tags,
                )
            except (Unreachable, WorkGoesOn):
                raise
            except IngestError:
                await self.store.remove(upload.upload_id)
                raise
        await self.store.complete(upload.completed_by(ingested.job_id))
        return ingested

    async def _ingested_before(self, upload: FileUpload) -> Ingested:
        job = await self.jobs.get(upload.tenant, upload.job_id)
        document = await self.registry.get(upload.tenant, job.document_id) if job is not None else None
        if document is None or document.state is not DocumentState.READY:
            raise UploadReceived
        return Ingested(document, cache_hit=True, job_id=upload.job_id)

    async def sweep(self) -> None:
        """Forget what was abandoned. Raises FileStoreUnavailable."""
        await self.store.sweep(self.clock())

    async def sweep_for_ever(self) -> None:
        """Forget what is abandoned, every minute."""
        while True:
            try:
                await self.sweep()
            except FileStoreUnavailable as error:
                logger.warning("uploads.unswept", extra={"error_kind": type(error).__name__})
            await asyncio.sleep(_SWEEP_SECONDS)

    async def _complete(self, upload: FileUpload) -> Started:
        if not upload.job_id:
            known = await self.jobs.find_by_request(upload.tenant, _request_id(upload))
            if known is not None:
                upload = upload.completed_by(known.job_id)
                await self.store.complete(upload)
        if upload.job_id and (job := await self.jobs.get(upload.tenant, upload.job_id)) is not None:
            document = await self.registry.get(upload.tenant, job.document_id) if job.state.is_final else None
            return Started(job, document if document is not None and document.filenames else None)
        if upload.expire_time <= self.clock():
            raise UploadExpired
        async with self.store.received(upload.upload_id) as path:
            if path is None:
                raise UploadUnfinished
            if (mismatch := await _mismatch(path, upload)) is not None:
                raise mismatch
            started = await self.ingesting.start(
                tenant=upload.tenant,
                subject=upload.subject,
                filename=upload.filename,
                content=path,
                request_id=_request_id(upload),
                tags=upload.tags,
            )
        await self.store.complete(upload.completed_by(started.job.job_id))
        return started

    async def _open(self, tenant: str, name: str) -> FileUpload:
        upload = await self._known(tenant, name)
        if upload.expire_time <= self.clock():
            raise UploadExpired
        return upload

    async def _known(self, tenant: str, name: str) -> FileUpload:
        prefix, _, upload_id = name.partition("/")
        if prefix != "uploads" or not is_upload_id(upload_id):
            raise NameInvalid("uploads/{upload}, with 32 lower-case hexadecimal digits")
        upload = await self.store.find(upload_id)
        if upload is None or upload.tenant != tenant:
            raise UploadNotFound
        return upload


def _request_id(upload: FileUpload) -> str:
    """By which the job of an upload is found again when nothing else remembers it."""
    digits = upload.upload_id
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


async def _mismatch(path: Path, upload: FileUpload) -> UploadMismatch | None:
    """What is wrong with the bytes; None when nothing is."""
    try:
        size_bytes, sha256 = await asyncio.to_thread(_measured, path)
    except OSError as error:
        raise FileStoreUnavailable("the bytes of the upload cannot be read at the moment") from error
    if (size_bytes, sha256) == (upload.size_bytes, upload.sha256):
        return None
    return UploadMismatch(
        expected_size_bytes=upload.size_bytes,
        found_size_bytes=size_bytes,
        expected_sha256=upload.sha256,
        found_sha256=sha256,
    )


def _measured(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest
