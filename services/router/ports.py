"""What the router needs from the two sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.router.models import NO_FILTERS, DocumentAnswer, DocumentFilters, Evidence, SqlAnswer


class DocumentSource(Protocol):
    """The uploaded documents. A source that fails raises SourceFailed or a subclass of it.

    With filters it knows of nothing but the documents that pass them.
    """

    async def assess(self, question: str, parts: Sequence[str], filters: DocumentFilters = NO_FILTERS) -> Evidence:
        """How well the documents answer the question and each part, parts in the order given, at most 8 of them."""

    async def answer(self, question: str, *, top_k: int, filters: DocumentFilters = NO_FILTERS) -> DocumentAnswer:
        """Answer from the documents alone, reading `top_k` chunks; 0 leaves the number to the source."""


class DatabaseSource(Protocol):
    """The user's database. A source that fails raises SourceFailed or a subclass of it."""

    async def assess(self, question: str, parts: Sequence[str]) -> Evidence:
        """How well the database answers the question and each part, parts in the order given, at most 8 of them."""

    async def answer(self, question: str, *, auto_approve: bool) -> SqlAnswer:
        """Generate SQL and, where `auto_approve` is asked for and the policy lets it, run it; pending otherwise."""
