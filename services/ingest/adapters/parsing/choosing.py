"""Our own parsers, docling, text recognition: which of them reads a file, and which page of a PDF."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from services.ingest.adapters.parsing.formats import OnPage, parse_bytes
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import ParsedDocument

# What docling reads without models.
DOCLING_FORMATS = frozenset({"docx", "html", "htm", "md"})


@dataclass(frozen=True)
class ReadingHelp:
    """Who reads besides our own parsers.

    Attributes:
        docling: "always" reads what it can; where there is "need", the pages of PDFs whose layout or text our own
            parser cannot tell; None reads nothing.
        models: the folder of docling's layout models; without them it reads no PDF.
        ocr: the engine that recognises text on pages without a text of their own; None: there is none.
    """

    docling: Literal["always", "need"] | None = None
    models: Path | None = None
    ocr: Literal["rapidocr", "docling"] | None = None

    @property
    def arguments(self) -> list[str]:
        """For the command line of a parsing process."""
        if self == ReadingHelp():
            return []
        return [json.dumps([self.docling, str(self.models) if self.models else None, self.ocr])]

    @classmethod
    def of_arguments(cls, arguments: list[str]) -> Self:
        """What `arguments` said; no help for an empty list."""
        if not arguments:
            return cls()
        docling, models, ocr = json.loads(arguments[0])
        return cls(docling, Path(models) if models else None, ocr)

    @property
    def fingerprint(self) -> str:
        """Differs whenever other help might read the same bytes differently."""
        docling = f"-docling-{self.docling}{'-models' if self.models else ''}" if self.docling else ""
        return docling + (f"-ocr-{self.ocr}" if self.ocr else "")

    @property
    def reads_layout(self) -> bool:
        """Whether docling reads pages of PDFs."""
        return self.docling is not None and self.models is not None

    def may_read(self, extension: str) -> bool:
        """Whether a file of that kind may be read by one of the helpers, which take more memory and time."""
        if extension == "pdf":
            return self.reads_layout or self.ocr is not None
        return self.docling == "always" and extension in DOCLING_FORMATS


NO_HELP = ReadingHelp()


def parse_by_choice(
    data: bytes,
    extension: str,
    reading_help: ReadingHelp = NO_HELP,
    on_page: OnPage | None = None,
    *,
    isolated: bool = False,
    help_seconds: float = math.inf,
) -> ParsedDocument:
    """Read a file of that extension (without its dot).

    Ours go first, whatever is chosen: they know bombs and traps when they see them, and what docling fails to read is
    still read. With `isolated`, pages of PDFs are read by processes forked from this one. After `help_seconds` text
    recognition begins no other page.

    Raises: FileBroken, FileWithoutText.
    """
    if extension == "pdf":
        return _parse_pdf(data, reading_help, on_page, isolated=isolated, until=time.monotonic() + help_seconds)
    own: ParsedDocument | None = None
    empty: FileWithoutText | None = None
    try:
        own = parse_bytes(data, extension, on_page)
    except FileWithoutText as error:
        empty = error
    if reading_help.may_read(extension):
        from services.ingest.adapters.parsing.docling_reader import parse_with_docling

        try:
            return parse_with_docling(data, extension)
        except (FileBroken, FileWithoutText):
            if own is None and empty is None:
                raise
    if own is None:
        raise empty or FileWithoutText("there is no text in the file")
    return own


def _parse_pdf(
    data: bytes, reading_help: ReadingHelp, on_page: OnPage | None, *, isolated: bool, until: float
) -> ParsedDocument:
    from services.ingest.adapters.parsing.pdf import PageHelp, parse_pdf
    from services.ingest.adapters.parsing.pdf_document import OwnPages

    ocr, layout = None, None
    if reading_help.ocr == "rapidocr":
        from services.ingest.adapters.parsing.rapid_ocr import RapidOcr

        ocr = RapidOcr()
    if reading_help.models is not None and reading_help.reads_layout:
        from services.ingest.adapters.parsing.docling_reader import DoclingPages

        layout = DoclingPages(reading_help.models, recognises_text=reading_help.ocr == "docling")
    page_help = PageHelp(ocr=ocr, layout=layout, always_layout=reading_help.docling == "always", until=until)
    if not isolated:
        return parse_pdf(data, help_with=page_help, on_page=on_page, open_pages=OwnPages)
    from services.ingest.adapters.parsing.pdf_workers import IsolatedPages

    return parse_pdf(data, help_with=page_help, on_page=on_page, open_pages=IsolatedPages)
