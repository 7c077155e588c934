"""What can go wrong in the router.

RouterError
├── QuestionInvalid      the question is blank, too long, or holds control characters
├── TopKInvalid          a negative number of chunks
└── SourceFailed         a source could not say anything; `source`, `reason`
    ├── SourceUnavailable    it cannot be reached
    ├── SourceTimeout        it did not answer in time
    └── SourceRefused        it answered with an error of its own, which is passed on as it came
"""

from __future__ import annotations

from collections.abc import Mapping


class RouterError(Exception):
    """Base of all errors of the router; `str(error)` is shown to users."""


class QuestionInvalid(RouterError):
    """The question is blank, longer than the limit, or holds control characters."""

    field = "question"


class TopKInvalid(RouterError):
    """The number of chunks to read is negative."""

    field = "top_k"


class SourceFailed(RouterError):
    """A source failed; the other one may still answer."""

    def __init__(self, source: str, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.source = source
        self.reason = reason


class SourceUnavailable(SourceFailed):
    """The source cannot be reached at all."""

    def __init__(self, source: str) -> None:
        super().__init__(source, "SOURCE_UNAVAILABLE", f"The {source} service cannot be reached.")

    @property
    def metadata(self) -> Mapping[str, str]:
        return {"source": self.source}


class SourceTimeout(SourceFailed):
    """The source did not answer before the deadline."""

    def __init__(self, source: str) -> None:
        super().__init__(source, "SOURCE_TIMEOUT", f"The {source} service did not answer in time.")

    @property
    def metadata(self) -> Mapping[str, str]:
        return {"source": self.source}


class SourceRefused(SourceFailed):
    """The source answered with an error of its own.

    `remote` is that error as it came; the transport hands it on unchanged, domain and details included.
    """

    def __init__(self, source: str, reason: str, detail: str, remote: object) -> None:
        super().__init__(source, reason, detail)
        self.remote = remote
