"""What can go wrong while ingesting.

IngestError
├── InvalidInput                 the caller's to mend
│   ├── FilenameInvalid          empty, too long, or holds control characters
│   ├── RequestIdInvalid         set and no UUID
│   ├── TagsInvalid              too many tags, or one that is empty, too long or not printable
│   ├── NameInvalid              no resource name of the wanted kind
│   ├── PageTokenInvalid         not a token of this call
│   ├── ChecksumInvalid          no SHA-256
│   ├── ContentTypeInvalid       no media type
│   ├── SendingInvalid           a piece of an upload that cannot be one
│   ├── OffsetInvalid            a piece of an upload that does not follow the one before it
│   ├── RangeInvalid             a part of a file that begins where there is none
│   ├── UploadMismatch           the bytes are not those the upload was opened for
│   └── FileRefused              the bytes cannot become a document
│       ├── FileEmpty            no bytes
│       ├── FileTooLarge         more bytes than the limit
│       ├── FileTypeUnsupported  the extension is not served
│       ├── FileTypeMismatch     the content is not what the extension says
│       ├── FileBroken           cannot be parsed, is encrypted, or unpacks to too much
│       ├── FileWithoutText      parsed, and nothing to read in it
│       └── ParsingTimeout       parsing took longer than its limit
├── NotFound
│   ├── DocumentNotFound
│   ├── ImageNotFound
│   ├── JobNotFound
│   └── UploadNotFound
├── StorageFull                  the file store has no room
├── UploadsFull                  the uploads that are open take all the room for them
├── UploadsBusy                  the uploads under way take all the memory for them
├── UploadExpired                its time is over
├── UploadReceived               its bytes are there already
├── UploadUnfinished             its bytes have not come, or not whole
├── IndexRefused                 the index does not take the chunks, now or later
├── JobCancelled                 the job was cancelled, or its document deleted, while the file was being ingested
├── JobFailed                    an earlier job ended in a way that has no class of its own
├── JobFinal                     the job has ended; it cannot be cancelled any more
├── JobNotRetryable              the job did not fail, or its bytes became a document since
├── JobFileGone                  the bytes of the job are not kept any more
├── WorkGoesOn                   the call's time is over, its job is finished elsewhere
├── Unreachable                  worth trying again
│   ├── FileStoreUnavailable
│   ├── JobStoreUnavailable
│   ├── IndexUnavailable
│   └── RemovalUnderWay          what was stored before under the same bytes is being removed elsewhere
├── LeaseLost                    another worker has the job, or it is final; never leaves the service
└── JobQueueUnavailable          nobody could be told of a job; never leaves the service
"""

from collections.abc import Mapping


class IngestError(Exception):
    """Base of every error this service raises on purpose. Its text is shown to users."""


class InvalidInput(IngestError):
    """The caller can mend this. `field` names the request field at fault."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class FilenameInvalid(InvalidInput):
    """The file name is empty, too long, or holds control characters."""

    def __init__(self, message: str) -> None:
        super().__init__(message, field="filename")


class RequestIdInvalid(InvalidInput):
    """`request_id` is set and no UUID."""

    def __init__(self) -> None:
        super().__init__(
            "request_id must be a UUID, for instance 3f0e7c1a-8d5e-4c55-9d0b-0d5a0f1b7e11", field="request_id"
        )


class TagsInvalid(InvalidInput):
    """There are too many tags, or one is empty, too long or not printable."""

    def __init__(self, message: str) -> None:
        super().__init__(message, field="tags")


class NameInvalid(InvalidInput):
    """The resource name is not of the wanted kind."""

    def __init__(self, expected: str) -> None:
        super().__init__(f"name must look like {expected}", field="name")


class PageTokenInvalid(InvalidInput):
    """The page token is not one this call has given out."""

    def __init__(self) -> None:
        super().__init__("page_token must be the next_page_token of an earlier page of this list", field="page_token")


class ChecksumInvalid(InvalidInput):
    """`sha256` is no SHA-256."""

    def __init__(self) -> None:
        super().__init__("sha256 must be the SHA-256 of the file in 64 lower-case hexadecimal digits", field="sha256")


class ContentTypeInvalid(InvalidInput):
    """`content_type` is no media type."""

    def __init__(self) -> None:
        super().__init__("content_type must be a media type, for instance application/pdf", field="content_type")


class SendingInvalid(InvalidInput):
    """A piece of an upload that cannot be one."""


class OffsetInvalid(InvalidInput):
    """A piece does not begin where the one before it ends."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"the next piece begins at byte {offset:,}", field="offset")
        self.metadata: Mapping[str, str] = {"offset": str(offset)}


class RangeInvalid(InvalidInput):
    """A part of a file that begins where there is none."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"the file has {size_bytes:,} bytes", field="offset")
        self.metadata: Mapping[str, str] = {"size_bytes": str(size_bytes)}


class UploadMismatch(InvalidInput):
    """The bytes are not those the upload was opened for. Those that are can still be sent."""

    def __init__(
        self,
        *,
        expected_size_bytes: int,
        found_size_bytes: int,
        expected_sha256: str = "",
        found_sha256: str = "",
        is_at_least: bool = False,
    ) -> None:
        expected, found = (
            f"{expected_size_bytes:,} bytes",
            f"{found_size_bytes:,} bytes{' or more' if is_at_least else ''}",
        )
        if expected_sha256 and expected_size_bytes == found_size_bytes:
            expected, found = f"SHA-256 {expected_sha256}", f"SHA-256 {found_sha256}"
        super().__init__(f"the file is not the one announced: expected {expected}, found {found}", field="content")
        told = {
            "expected_size_bytes": str(expected_size_bytes),
            "found_size_bytes": str(found_size_bytes),
            "expected_sha256": expected_sha256,
            "found_sha256": found_sha256,
        }
        self.metadata: Mapping[str, str] = {name: value for name, value in told.items() if value}


class FileRefused(InvalidInput):
    """The bytes cannot become a document. The message says why, in words a person can act on."""

    def __init__(self, message: str) -> None:
        super().__init__(message, field="content")


class FileEmpty(FileRefused):
    """There are no bytes."""

    def __init__(self) -> None:
        super().__init__("the file is empty")


class FileTooLarge(FileRefused):
    """There are more bytes than the limit."""

    def __init__(self, *, size_bytes: int, max_bytes: int) -> None:
        super().__init__(f"the file has {size_bytes:,} bytes; at most {max_bytes:,} are taken")
        self.metadata: Mapping[str, str] = {"max_bytes": str(max_bytes)}


class FileTypeUnsupported(FileRefused):
    """The extension is not among those served."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.field = "filename"


class FileTypeMismatch(FileRefused):
    """The content is not what the extension says."""


class FileBroken(FileRefused):
    """The content cannot be parsed, is encrypted, or unpacks to too much."""


class FileWithoutText(FileRefused):
    """Parsing found no text."""


class ParsingTimeout(FileRefused):
    """Parsing took longer than its limit."""


class NotFound(IngestError):
    """There is no such thing in the caller's tenant."""


class DocumentNotFound(NotFound):
    """The document is unknown, another tenant's, or not READY."""

    def __init__(self) -> None:
        super().__init__("there is no such document")


class ImageNotFound(NotFound):
    """The document has no such image, or none were extracted from it yet."""

    def __init__(self) -> None:
        super().__init__("there is no such image")


class JobNotFound(NotFound):
    """The job is unknown or another tenant's."""

    def __init__(self) -> None:
        super().__init__("there is no such job")


class UploadNotFound(NotFound):
    """The upload is unknown or another tenant's."""

    def __init__(self) -> None:
        super().__init__("there is no such upload")


class UploadExpired(IngestError):
    """The time of the upload is over."""

    def __init__(self) -> None:
        super().__init__("the upload has expired; open a new one")


class UploadReceived(IngestError):
    """The bytes of the upload are there already."""

    def __init__(self) -> None:
        super().__init__("the bytes of the upload have come already; complete it")


class UploadUnfinished(IngestError):
    """The bytes of the upload have not come, or not whole."""

    def __init__(self) -> None:
        super().__init__("the bytes of the upload have not come whole; send them first")


class UploadsFull(IngestError):
    """The uploads that are open take all the room there is for them."""

    retry_after_seconds = 60.0

    def __init__(self) -> None:
        super().__init__("the uploads that are open take all the room there is for them; try again later")


class UploadsBusy(IngestError):
    """The uploads under way take all the memory there is for them."""

    retry_after_seconds = 5.0

    def __init__(self) -> None:
        super().__init__("too many uploads are under way; try again in a moment")


class StorageFull(IngestError):
    """The file store has no room for the file."""


class IndexRefused(IngestError):
    """The index does not take the chunks; trying again does not help."""

    def __init__(self, message: str, *, index_reason: str) -> None:
        super().__init__(message)
        self.metadata: Mapping[str, str] = {"index_reason": index_reason}


class JobCancelled(IngestError):
    """The job was cancelled, or its document deleted, while the file was being ingested."""

    def __init__(self, message: str = "the job was cancelled, or its document deleted, before it was done") -> None:
        super().__init__(message)


class JobFinal(IngestError):
    """The job has ended and cannot be cancelled any more. `metadata` says how it ended."""

    def __init__(self, state: str) -> None:
        super().__init__(f"the job has ended already; it is {state}")
        self.metadata: Mapping[str, str] = {"state": state}


class JobNotRetryable(IngestError):
    """The job did not fail, or its bytes became a document since, or another job is about to make them one."""

    def __init__(self, message: str, *, state: str) -> None:
        super().__init__(message)
        self.metadata: Mapping[str, str] = {"state": state}


class JobFileGone(IngestError):
    """The bytes of the job are not kept any more: the same ones would fail again, or they were kept long enough."""

    def __init__(self, message: str, *, state: str) -> None:
        super().__init__(message)
        self.metadata: Mapping[str, str] = {"state": state}


class JobFailed(IngestError):
    """A job ended in FAILED for a reason that has no class of its own."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class WorkGoesOn(IngestError):
    """The call's time is over. The job is kept, and finished without the call."""

    def __init__(self, job_id: str) -> None:
        super().__init__("the file is stored, and takes longer than this call; its job goes on")
        self.metadata: Mapping[str, str] = {"job": f"jobs/{job_id}"}


class Unreachable(IngestError):
    """A part this service needs cannot be reached at the moment."""

    retry_after_seconds = 1.0  # callers inside wait so long too, while a user waits for them


class FileStoreUnavailable(Unreachable):
    """The file store cannot be reached or read."""


class JobStoreUnavailable(Unreachable):
    """The store of jobs and documents cannot be reached."""


class IndexUnavailable(Unreachable):
    """The chunk index cannot be reached or has no room for more work now."""


class RemovalUnderWay(Unreachable):
    """What was stored before under the same bytes is still being removed by another process."""

    def __init__(self) -> None:
        super().__init__("the document is still being removed; try again in a moment")


class LeaseLost(IngestError):
    """The job belongs to another worker by now, or is final."""


class JobQueueUnavailable(IngestError):
    """The queue cannot be reached, or refuses. No job is lost by that: the store of jobs knows them all."""
