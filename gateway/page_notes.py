"""What is told of pages that could not be read."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from gateway.answers import Answer
from protos.ingest.v1 import document_pb2


class PageNote(Answer):
    """A page that is missing from a document's text, in part or whole."""

    page: int = Field(ge=1, description="The page, counted from 1.")
    reason: str = Field(
        description="SCANNED_WITHOUT_OCR, PAGE_BROKEN, PAGE_TOO_COMPLEX or OCR_FAILED.",
        examples=["SCANNED_WITHOUT_OCR"],
    )
    detail: str = Field(description="What is missing and what would help.")


def page_notes_answer(notes: Iterable[document_pb2.PageNote]) -> list[PageNote]:
    """Notes as the REST surface shows them."""
    return [PageNote(page=note.page, reason=note.reason, detail=note.detail) for note in notes]
