"""Our own parsers, or docling: which of them reads a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from services.ingest.adapters.parsing.formats import OnPage, parse_bytes
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import ParsedDocument


@dataclass(frozen=True)
class DoclingUse:
    """When docling reads: "always" what it can, or where there is "need", which is PDFs without a text of their own.

    `models` is the folder of its layout models; without them it reads no PDF.
    """

    when: Literal["always", "need"]
    models: Path | None = None

    @property
    def arguments(self) -> list[str]:
        """For the command line of a parsing process."""
        return [self.when, *([str(self.models)] if self.models else [])]

    @classmethod
    def of_arguments(cls, arguments: list[str]) -> Self | None:
        """What `arguments` said; None for an empty list."""
        if not arguments:
            return None
        when: Literal["always", "need"] = "always" if arguments[0] == "always" else "need"
        return cls(when, Path(arguments[1]) if len(arguments) > 1 else None)


def parse_by_choice(
    data: bytes, extension: str, docling: DoclingUse | None, on_page: OnPage | None = None
) -> ParsedDocument:
    """Read a file of that extension (without its dot).

    Ours go first, whatever is chosen: they know bombs and traps when they see them, and what docling fails to read is
    still read. Raises: FileBroken, FileWithoutText.
    """
    own: ParsedDocument | None = None
    empty: FileWithoutText | None = None
    try:
        own = parse_bytes(data, extension, on_page)
    except FileWithoutText as error:
        empty = error
    if docling is not None and _reads(docling, extension, found_text=own is not None):
        from services.ingest.adapters.parsing.docling_reader import parse_with_docling

        try:
            return parse_with_docling(data, extension, models=docling.models)
        except (FileBroken, FileWithoutText):
            if own is None and empty is None:
                raise
    if own is None:
        raise empty or FileWithoutText("there is no text in the file")
    return own


def _reads(docling: DoclingUse, extension: str, *, found_text: bool) -> bool:
    from services.ingest.adapters.parsing.docling_reader import WITHOUT_MODELS

    if extension == "pdf":
        return docling.models is not None and (docling.when == "always" or not found_text)
    return docling.when == "always" and extension in WITHOUT_MODELS
