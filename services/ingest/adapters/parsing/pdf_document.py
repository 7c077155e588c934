"""An open PDF, by pypdfium2: its pages read, rendered and copied out; within this process and thread."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, Self

from services.ingest.adapters.parsing.pdf_pages import PageReader, PageReading
from services.ingest.errors import FileBroken
from services.ingest.models import PageProblem

MAX_PAGES = 5_000
RENDERED_DPI = 150
MAX_RENDERED_PIXELS = 6_000_000
_MAX_SIDE_PIXELS = 8_000
_POINTS_AN_INCH = 72


class Opened(NamedTuple):
    """What a PDF says of itself."""

    page_count: int
    title: str


class PageImage(NamedTuple):
    """A page as a picture in shades of grey, a byte for each pixel, row by row from the top."""

    width: int
    height: int
    pixels: bytes
    pixels_a_point: float


class Loss(NamedTuple):
    """A page that could not be read, and why."""

    problem: PageProblem
    detail: str


BROKEN = Loss(PageProblem.PAGE_BROKEN, "the page is damaged and could not be read")


OnReading = Callable[[PageReading | Loss], None]


class PdfPages(Protocol):
    """The pages of one PDF, counted from 0. Leave the context to let go of it."""

    opened: Opened

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def read(self, on_page: OnReading | None = None) -> list[PageReading | Loss]:
        """Every page in order. `on_page` is handed each as it is read, in whatever order."""
        ...

    def render(self, number: int) -> PageImage | None:
        """The page as a picture; None when that fails."""
        ...

    def extract(self, numbers: Sequence[int]) -> bytes | None:
        """A PDF of those pages alone, in that order; None when that fails."""
        ...


class OwnPages:
    """Pages read in this process: whatever a hostile file does to PDFium, it does to this process.

    Raises: FileBroken: damaged, encrypted, or of too many pages.
    """

    def __init__(self, data: bytes) -> None:
        import pypdfium2

        try:
            self._document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            if "password" in str(error).lower() or "security" in str(error).lower():
                raise FileBroken(
                    "the PDF is encrypted and asks for a password; open it with the password, save or print it as a"
                    " PDF without one, and upload that file"
                ) from error
            raise FileBroken(
                "the PDF is damaged and cannot be opened; open it in a viewer and save it anew, if that still shows it"
            ) from error
        page_count = len(self._document)
        if page_count > MAX_PAGES:
            self._document.close()
            raise FileBroken(
                f"the PDF has {page_count:,} pages; at most {MAX_PAGES:,} are read: split it into smaller files"
            )
        self._document.init_forms()
        self._reader = PageReader(self._document)
        self.opened = Opened(page_count, self._document.get_metadata_value("Title"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._document.close()

    def read_one(self, number: int) -> PageReading:
        """One page; one that PDFium cannot load is told as broken."""
        return self._reader.read(number)

    def read(self, on_page: OnReading | None = None) -> list[PageReading | Loss]:
        pages: list[PageReading | Loss] = []
        for number in range(self.opened.page_count):
            page = self.read_one(number)
            pages.append(BROKEN if page.is_broken else page)
            if on_page is not None:
                on_page(pages[-1])
        return pages

    def render(self, number: int) -> PageImage | None:
        import pypdfium2

        try:
            page = self._document[number]
        except pypdfium2.PdfiumError:
            return None
        try:
            return _rendered(page)
        except pypdfium2.PdfiumError:
            return None
        finally:
            page.close()

    def extract(self, numbers: Sequence[int]) -> bytes | None:
        import pypdfium2

        part = pypdfium2.PdfDocument.new()
        try:
            part.import_pages(self._document, list(numbers))
            buffer = io.BytesIO()
            part.save(buffer)
        except pypdfium2.PdfiumError:
            return None
        finally:
            part.close()
        return buffer.getvalue()


def _rendered(page: Any) -> PageImage | None:
    """Drawn at RENDERED_DPI, or smaller so that a page of whatever size keeps within the limits."""
    width, height = page.get_size()
    if not (width > 0 and height > 0):
        return None
    scale = min(
        RENDERED_DPI / _POINTS_AN_INCH,
        (MAX_RENDERED_PIXELS / (width * height)) ** 0.5,
        _MAX_SIDE_PIXELS / max(width, height),
    )
    if min(width, height) * scale < 1:
        return None
    bitmap = page.render(scale=scale, grayscale=True)
    stride, wide, high = bitmap.stride, bitmap.width, bitmap.height
    pixels = bytes(bitmap.buffer)
    bitmap.close()
    if stride != wide:
        pixels = b"".join(pixels[row * stride : row * stride + wide] for row in range(high))
    return PageImage(wide, high, pixels, scale)
