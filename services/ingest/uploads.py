"""Uploads of files too large for one request: opened first, sent piece by piece or straight to the store, completed."""

import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol, Self

MAX_PIECE_BYTES = 4 * 1024 * 1024
# So long after its end an upload is still told as ended; afterwards it is unknown.
REMEMBERED_FOR = timedelta(days=1)
_HEXADECIMAL_ID = re.compile(r"[0-9a-f]{32}")


def is_upload_id(text: str) -> bool:
    """Whether it is 32 lower-case hexadecimal digits, and so leads nowhere else as a part of a path."""
    return _HEXADECIMAL_ID.fullmatch(text) is not None


@dataclass(frozen=True)
class FileUpload:
    """A file that is to come. `sha256` is in lower-case hexadecimal digits; `job_id` is set when it is completed."""

    upload_id: str
    tenant: str
    subject: str
    filename: str
    extension: str
    content_type: str
    size_bytes: int
    sha256: str
    expire_time: datetime
    tags: tuple[str, ...] = ()
    job_id: str = ""

    def completed_by(self, job_id: str) -> Self:
        """The same upload with its job, and with nothing of the file it was, which may be erased later."""
        return replace(self, job_id=job_id, subject="", filename="", extension="", content_type="", sha256="", tags=())


@dataclass(frozen=True)
class SignedUpload:
    """How to send one file: method, address and headers; for POST also the form's fields before the file.

    Whoever has it may send the file, so its signature does not show.
    """

    method: Literal["PUT", "POST"]
    url: str = field(repr=False)
    expires_at: datetime
    headers: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)


class UploadStore(Protocol):
    """Keeps uploads and the bytes that came for them, apart from the files of documents.

    Pieces of one sending are put together, those of two are not; `seal` says which one is the upload's. Every method
    raises FileStoreUnavailable when the store cannot be reached, and those that store raise StorageFull.
    """

    async def open(self, upload: FileUpload) -> None:
        """Remember an upload. Raises UploadsFull: together with those that are open it could take more room than is."""
        ...

    async def find(self, upload_id: str) -> FileUpload | None:
        """The upload, also one whose time is over; None for one that was never opened or is forgotten."""
        ...

    async def sign(self, upload: FileUpload, *, seconds: int) -> SignedUpload | None:
        """How its bytes reach the store straight from whoever has them; None where they come by `append`."""
        ...

    async def append(self, upload_id: str, sending: str, offset: int, content: bytes) -> None:
        """Store a piece of a sending. One that was stored already is stored once.

        Raises OffsetInvalid: the piece does not begin where the one before it ends. A store that does not see that at
        once may leave it to `sent`, which then finds other bytes than were sent.
        """
        ...

    def sent(self, upload_id: str, sending: str) -> AbstractAsyncContextManager[Path | None]:
        """A local path with what has come of a sending, valid inside the block; None when nothing has."""
        ...

    async def seal(self, upload_id: str, sending: str) -> bool:
        """Make a sending the upload's. False when another one is that already."""
        ...

    async def sealed(self, upload_id: str) -> str:
        """The sending that is the upload's; empty when none is."""
        ...

    async def drop(self, upload_id: str, sending: str) -> None:
        """Forget a sending. Nothing is no error."""
        ...

    def received(self, upload_id: str) -> AbstractAsyncContextManager[Path | None]:
        """A local path with the bytes that came for an upload, valid inside the block; None while they have not."""
        ...

    async def complete(self, upload: FileUpload) -> None:
        """Remember the job of a completed upload, then forget its bytes."""
        ...

    async def remove(self, upload_id: str) -> None:
        """Forget an upload with its bytes. Nothing is no error."""
        ...

    async def sweep(self, now: datetime) -> None:
        """Forget the bytes of uploads whose time is over, and the uploads themselves after REMEMBERED_FOR."""
        ...
