"""How an error is recorded with a job, and raised again for whoever asks for the job later."""

from services.ingest.errors import (
    FileBroken,
    FileRefused,
    FileWithoutText,
    IndexRefused,
    IngestError,
    JobCancelled,
    JobFailed,
    ParsingTimeout,
    StorageFull,
)
from services.ingest.models import Job, JobState

_REASONS: tuple[tuple[type[IngestError], str], ...] = (
    (FileBroken, "FILE_BROKEN"),
    (FileWithoutText, "FILE_WITHOUT_TEXT"),
    (ParsingTimeout, "PARSING_TIMEOUT"),
    (StorageFull, "STORAGE_FULL"),
    (IndexRefused, "INDEX_REFUSED"),
)
UNEXPECTED = "UNEXPECTED"
FILE_MISSING = "FILE_MISSING"
ATTEMPTS_EXHAUSTED = "ATTEMPTS_EXHAUSTED"


def reason_of(error: Exception) -> str:
    """The machine-readable reason a job fails for."""
    if isinstance(error, JobFailed):
        return error.reason
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), UNEXPECTED)


def detail_of(error: Exception) -> str:
    """What to tell a person; the text of an unexpected error may quote anything and is not told."""
    return (
        str(error)
        if isinstance(error, IngestError)
        else "something unexpected went wrong; the log of the service says what"
    )


def failure_of(job: Job) -> IngestError:
    """The error of a job that ended without a document."""
    if job.state is JobState.CANCELLED:
        return JobCancelled()
    match job.failure_reason:
        case "FILE_BROKEN":
            return FileBroken(job.failure_detail)
        case "FILE_WITHOUT_TEXT":
            return FileWithoutText(job.failure_detail)
        case "PARSING_TIMEOUT":
            return ParsingTimeout(job.failure_detail)
        case "STORAGE_FULL":
            return StorageFull(job.failure_detail)
        case "INDEX_REFUSED":
            return IndexRefused(job.failure_detail, index_reason="")
        case reason:
            return JobFailed(reason, job.failure_detail)


def may_be_retried(error: Exception) -> bool:
    """Whether the same bytes may do another time: it was not they that failed, they are there, and there is room."""
    return not isinstance(error, FileRefused | JobCancelled | StorageFull) and reason_of(error) != FILE_MISSING


def is_the_files_fault(job: Job) -> bool:
    """Whether the same bytes would fail again."""
    return job.state is JobState.FAILED and isinstance(failure_of(job), FileRefused)
