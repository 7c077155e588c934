"""Images of documents: taken out of PDFs once they are READY, kept beside the file, listed and read.

A document is one without them, too: what goes wrong here is noted with it and fails nothing.
"""

import asyncio
import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, aclosing, suppress
from dataclasses import dataclass, field

from services.ingest.errors import (
    DocumentNotFound,
    ImageNotFound,
    IngestError,
    JobStoreUnavailable,
    NameInvalid,
    Unreachable,
)
from services.ingest.failing import reason_of
from services.ingest.models import Document, DocumentImage, DocumentState
from services.ingest.paging import offset_token, read_offset
from services.ingest.ports import DocumentRegistry, FileStore, ImageFunction, ImageReader, JobStore
from services.ingest.reading import document_id_of
from services.ingest.records import IMAGES, METADATA, images_from_bytes, images_to_bytes, metadata_with
from services.ingest.stopping import stopped

logger = logging.getLogger(__name__)

_WITH_IMAGES = "pdf"
_IMAGE_NAME = re.compile(r"(documents/[0-9a-f]{64})/images/([0-9a-f]{64})")


@dataclass
class Imaging:
    """Extracts, lists and reads images.

    Attributes:
        fingerprint: differs whenever the reader finds other images in the same bytes.
        elsewhere: does the extracting that follows on ingesting, when there is such a function.
        outlive_calls: whether that goes on after the call that ingested the document. Otherwise the call waits for it,
            for `wait_seconds` at most; what is not done then is done by `resume`, or when somebody asks for it.
        resume_after_seconds: after how long it is taken for broken off; longer than it takes.
    """

    jobs: JobStore
    registry: DocumentRegistry
    files: FileStore
    reader: ImageReader
    act_for: Callable[[str], AbstractContextManager[object]]
    fingerprint: str
    elsewhere: ImageFunction | None = None
    outlive_calls: bool = True
    wait_seconds: float = 20.0
    resume_after_seconds: float = 300.0
    _going_on: set[asyncio.Task[None]] = field(default_factory=set)

    async def extract(self, tenant: str, name: str) -> Sequence[DocumentImage]:
        """The images of a READY document, extracted now unless they were before. Files of other kinds have none.

        Raises: NameInvalid, DocumentNotFound, FileBroken, ParsingTimeout, StorageFull, FileStoreUnavailable,
            JobStoreUnavailable.
        """
        return await self._extract(await self._ready(tenant, document_id_of(name)))

    async def images(
        self, tenant: str, name: str, *, page_size: int, page_token: str
    ) -> tuple[Sequence[DocumentImage], str]:
        """A page of the images extracted so far, and the token of the next one.

        Raises: NameInvalid, DocumentNotFound, PageTokenInvalid, FileStoreUnavailable, JobStoreUnavailable.
        """
        document = await self._ready(tenant, document_id_of(name))
        list_name = f"images/{document.document_id}"
        size, offset = read_offset(list_name, page_size, page_token)
        images = await self._known(document) or ()
        end = offset + size
        return images[offset:end], offset_token(list_name, end) if end < len(images) else ""

    async def read(self, tenant: str, name: str) -> tuple[DocumentImage, bytes]:
        """An image and its bytes.

        Raises: NameInvalid, DocumentNotFound, ImageNotFound, FileStoreUnavailable, JobStoreUnavailable.
        """
        match = _IMAGE_NAME.fullmatch(name)
        if match is None:
            raise NameInvalid("documents/{64 lower-case hexadecimal digits}/images/{64 of the same}")
        document = await self._ready(tenant, document_id_of(match[1]))
        image = next((image for image in await self._known(document) or () if image.image_id == match[2]), None)
        content = await self.files.load_image(document.file_key, image) if image is not None else None
        if image is None or content is None:
            raise ImageNotFound
        return image, content

    def has_images(self, document: Document) -> bool:
        """Whether images are to be looked for in it."""
        return document.extension == _WITH_IMAGES

    async def after_ready(self, document: Document) -> None:
        """Extract the images of a document that has just become READY. Raises nothing."""
        if not self.has_images(document):
            return
        work = asyncio.create_task(self._extract_and_settle(document, document.job_id))
        self._going_on.add(work)
        work.add_done_callback(self._going_on.discard)
        if self.outlive_calls:
            return
        try:
            await asyncio.wait({work}, timeout=self.wait_seconds)
        finally:
            await stopped(work)

    async def resume(self) -> None:
        """Extract images that whoever began to did not come to the end of. Raises JobStoreUnavailable."""
        while (job := await self.jobs.take_images_due(after_seconds=self.resume_after_seconds)) is not None:
            document = await self.registry.get(job.tenant, job.document_id)
            if document is None or document.state is not DocumentState.READY:
                await self.jobs.settle_images(job.job_id)
            else:
                await self._extract_and_settle(document, job.job_id)

    async def _extract_and_settle(self, document: Document, job_id: str) -> None:
        if await self._extract_or_note(document):
            with suppress(JobStoreUnavailable):  # unsettled, they are found to be there the next time
                await self.jobs.settle_images(job_id)

    async def close(self) -> None:
        """Stop what is going on; what is not done then is done by `resume`, here or elsewhere."""
        await stopped(*self._going_on)

    async def _extract_or_note(self, document: Document) -> bool:
        """Whether it is settled: they are there, or trying again does not help."""
        try:
            with self.act_for(document.tenant):
                if self.elsewhere is not None:
                    count = await self.elsewhere.extract(document.document_id)
                else:
                    count = len(await self._extract(document))
            logger.info("images.extracted", extra={"document_id": document.document_id, "image_count": count})
        except DocumentNotFound:  # deleted meanwhile
            return True
        except Exception as error:
            expected = isinstance(error, IngestError)
            logger.log(
                logging.WARNING if expected else logging.ERROR,
                "images.failed",
                extra={"document_id": document.document_id, "error_kind": type(error).__name__},
                exc_info=None if expected else error,
            )
            await self._note(document, {"failure_reason": reason_of(error)})
            return not isinstance(error, Unreachable)
        return True

    async def _note(self, document: Document, facts: object) -> None:
        """Tell in the metadata beside the file how it went."""
        try:
            before = await self.files.load_record(document.file_key, METADATA)
            data = metadata_with(before, images=facts)
            if data is not None and data != before:
                await self.files.save_record(document.file_key, METADATA, data)
        except IngestError as error:
            logger.warning("images.unnoted", extra={"error_kind": type(error).__name__})

    async def _ready(self, tenant: str, document_id: str) -> Document:
        document = await self.registry.get(tenant, document_id)
        if document is None or document.state is not DocumentState.READY:
            raise DocumentNotFound
        return document

    async def _known(self, document: Document) -> tuple[DocumentImage, ...] | None:
        """What was extracted before; None when nothing was, or by another version."""
        data = await self.files.load_record(document.file_key, IMAGES)
        return images_from_bytes(data, fingerprint=self.fingerprint) if data is not None else None

    async def _extract(self, document: Document) -> Sequence[DocumentImage]:
        if document.extension != _WITH_IMAGES:
            return ()
        try:
            images = await self._known(document)
            if images is None:
                images = await self._store_images(document)
                # Written last: with it, all images it names are there.
                record = images_to_bytes(images, fingerprint=self.fingerprint)
                await self.files.save_record(document.file_key, IMAGES, record)
            await self._note(document, {"image_count": len(images)})
        finally:
            await self._erase_if_deleted(document)
        return images

    async def _store_images(self, document: Document) -> tuple[DocumentImage, ...]:
        images: dict[str, DocumentImage] = {}
        async with self.files.fetched(document.file_key) as path:
            if path is None:
                raise DocumentNotFound
            async with aclosing(self.reader.images(path)) as found_images:
                async for found in found_images:
                    image_id = hashlib.sha256(found.content).hexdigest()
                    if image_id in images:
                        continue
                    image = DocumentImage(
                        image_id, found.page, found.width, found.height, found.content_type, len(found.content)
                    )
                    await self._ready(document.tenant, document.document_id)
                    await self.files.save_image(document.file_key, image, found.content)
                    images[image_id] = image
        return tuple(images.values())

    async def _erase_if_deleted(self, document: Document) -> None:
        """A document that was deleted while its images were being stored must not leave them behind."""
        now = await self.registry.get(document.tenant, document.document_id)
        if now is not None and now.state is DocumentState.READY:
            return
        if await self.jobs.find_active(document.tenant, document.document_id) is None:
            await self.files.delete(document.file_key)
        raise DocumentNotFound
