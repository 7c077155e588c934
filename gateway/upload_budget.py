"""How many bytes of files may be on their way through this process at a time, so that parallel uploads fill no disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.problems import ProblemRaised

_COME_AGAIN_SECONDS = 5


class UploadBudget:
    """Files wait on the disk, in pieces of a megabyte at most in memory, until they are handed on."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held_bytes = 0

    @contextmanager
    def taken(self, size_bytes: int) -> Iterator[None]:
        """Hold so many bytes inside the block; one file alone always fits. Raises ProblemRaised (429)."""
        if self.held_bytes and self.held_bytes + size_bytes > self._max_bytes:
            detail = "Too many files are being uploaded at the moment; send this one again in some seconds."
            raise ProblemRaised(429, "UPLOADS_BUSY", detail, headers={"Retry-After": str(_COME_AGAIN_SECONDS)})
        self.held_bytes += size_bytes
        try:
            yield
        finally:
            self.held_bytes -= size_bytes
