"""What can go wrong while ingesting.

IngestError
├── InvalidInput                 the caller's to mend
│   ├── FilenameInvalid          empty, too long, or holds control characters
│   ├── RequestIdInvalid         set and no UUID
│   ├── TagsInvalid              too many tags, or one that is empty, too long or not printable
│   ├── NameInvalid              no resource name of the wanted kind
│   ├── PageTokenInvalid         not a token of this call
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
│   └── JobNotFound
├── StorageFull                  the file store has no room
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
