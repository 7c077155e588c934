"""Digital PDFs, by pypdfium2: text in reading order, page by page, with headings told by the size of their letters."""

import ctypes
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from services.ingest.adapters.parsing.pdf_layout import Passage, Run, read_page
from services.ingest.composing import Piece, compose
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import BlockKind, ParsedDocument

MAX_PAGES = 5_000
_MAX_CHARACTERS_A_PAGE = 200_000
_HEADING_RATIO = 1.15
_MAX_HEADING_CHARACTERS = 160
_MAX_HEADING_LINES = 3
_MAX_HEADING_SIZES = 4
_WORD_GAP_EMS = 0.25  # a gap without a space character from which on there is one all the same
_RUN_GAP_EMS = 1.2  # a gap that parts columns or cells
_LINE_BREAKS = frozenset({0x0A, 0x0D})
_BLANKS = frozenset({0x20, 0xA0, 0x09})
_HYPHEN_MARK = 0x02  # PDFium's mark for a hyphen at a line's end
_FILLER = re.compile(r"(?:\. ?){4,}|_{4,}")


def parse_pdf(data: bytes) -> ParsedDocument:
    """Raises: FileBroken: damaged, encrypted, or of too many pages. FileWithoutText: scanned, or empty."""
    import pypdfium2
    import pypdfium2.raw as pdfium

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise FileBroken("the PDF is encrypted; remove its password and try again") from error
        raise FileBroken("the PDF is damaged and cannot be opened") from error
    try:
        page_count = len(document)
        if page_count > MAX_PAGES:
            raise FileBroken(f"the PDF has {page_count} pages; at most {MAX_PAGES} are read")
        document.init_forms()
        pages: list[list[Passage]] = []
        unreadable = 0
        for number in range(page_count):
            try:
                pages.append(_read_page(pdfium, document, number))
            except pypdfium2.PdfiumError:
                pages.append([])
                unreadable += 1
        title = document.get_metadata_value("Title")
    finally:
        document.close()
    if page_count == 0 or unreadable == page_count:
        raise FileBroken("the PDF is damaged: none of its pages can be read")
    if not any(any(map(str.isalnum, passage.text)) for page in pages for passage in page):
        raise FileWithoutText(
            "the PDF holds no text, only images or nothing; run text recognition (OCR) over scanned pages first"
        )
    return compose(_pieces(pages), title=title, page_count=page_count)


def _read_page(pdfium: Any, document: Any, number: int) -> list[Passage]:
    page = document[number]
    try:
        text_page = page.get_textpage()
        try:
            by_turn: dict[int, list[Run]] = {}
            for turn, run in _runs(pdfium, text_page.raw):
                by_turn.setdefault(turn, []).append(run)
        finally:
            text_page.close()
    finally:
        page.close()
    # Text that runs another way, as a stamp along the margin does, is read after the rest.
    turns = sorted(by_turn, key=lambda turn: -sum(len(run.text) for run in by_turn[turn]))
    return [passage for turn in turns for passage in read_page(by_turn[turn])]


def _runs(pdfium: Any, text_page: Any) -> Iterator[tuple[int, Run]]:
    """Stretches of characters on one line, in the order of the file, cut at wide gaps; and the way each is turned.

    What counts is how the letters stand, not how the page is turned: the two together make a page upright.
    """
    get_unicode, get_box = pdfium.FPDFText_GetUnicode, pdfium.FPDFText_GetLooseCharBox
    box = pdfium.FS_RECTF()
    box_pointer = ctypes.byref(box)
    letters: list[str] = []
    left = top = right = bottom = 0.0
    turn = 0
    blank = False
    for index in range(min(pdfium.FPDFText_CountChars(text_page), _MAX_CHARACTERS_A_PAGE)):
        code = get_unicode(text_page, index)
        if code in _BLANKS:
            blank = True
            continue
        if code in _LINE_BREAKS or code == 0:
            if letters:
                yield turn, _run(left, top, right, bottom, letters)
                letters = []
            continue
        if not get_box(text_page, index, box_pointer):
            continue
        if letters:
            x0, y0, x1, y1 = _upright(box.left, box.top, box.right, box.bottom, turn)
            em = bottom - top
            gap = x0 - right
            same_line = min(bottom, y1) - max(top, y0) > 0.4 * min(em, y1 - y0)
            if not same_line or gap > _RUN_GAP_EMS * em or gap < -em:
                yield turn, _run(left, top, right, bottom, letters)
                letters = []
            else:
                if blank or gap > _WORD_GAP_EMS * em:
                    letters.append(" ")
                right, top, bottom = max(right, x1), min(top, y0), max(bottom, y1)
        if not letters:
            turn = _turn_of(pdfium.FPDFText_GetCharAngle(text_page, index))
            left, top, right, bottom = _upright(box.left, box.top, box.right, box.bottom, turn)
        letters.append("-" if code == _HYPHEN_MARK else chr(code))
        blank = False
    if letters:
        yield turn, _run(left, top, right, bottom, letters)


def _turn_of(angle_radians: float) -> int:
    """The quarter turn nearest to an angle, in degrees against the clock; PDFium counts with it."""
    return -90 * round(angle_radians / (math.pi / 2)) % 360 if angle_radians > 0 else 0


def _upright(left: float, top: float, right: float, bottom: float, turn: int) -> tuple[float, float, float, float]:
    """From the page's own axes (y upwards) to those by which text so turned runs left to right (y downwards)."""
    match turn:
        case 90:
            return bottom, left, top, right
        case 180:
            return -right, bottom, -left, top
        case 270:
            return -top, -right, -bottom, -left
        case _:
            return left, -top, right, -bottom


def _run(left: float, top: float, right: float, bottom: float, letters: list[str]) -> Run:
    text = "".join(letters)
    return Run(
        left,
        top,
        right,
        bottom,
        _FILLER.sub("… ", text).strip() if "__" in text or ". ." in text or "...." in text else text,
    )


def _pieces(pages: list[list[Passage]]) -> Iterator[Piece]:
    levels = _heading_levels(pages)
    for number, page in enumerate(pages, start=1):
        for passage in page:
            level = levels.get(round(passage.size), 0) if _may_be_heading(passage) else 0
            if level:
                yield Piece(BlockKind.HEADING, passage.text, level, number)
            else:
                yield Piece(BlockKind.ROW if passage.is_row else BlockKind.PARAGRAPH, passage.text, page=number)


def _heading_levels(pages: list[list[Passage]]) -> dict[int, int]:
    """Level by letter size: the sizes clearly above that of most of the text, largest first."""
    weights: Counter[int] = Counter()
    for page in pages:
        for passage in page:
            weights[round(passage.size)] += len(passage.text)
    body = weights.most_common(1)[0][0] if weights else 0
    candidates = {
        round(passage.size)
        for page in pages
        for passage in page
        if passage.size > _HEADING_RATIO * body and round(passage.size) > body and _may_be_heading(passage)
    }
    sizes = sorted(candidates, reverse=True)
    return {size: min(place, _MAX_HEADING_SIZES) for place, size in enumerate(sizes, start=1)}


def _may_be_heading(passage: Passage) -> bool:
    return (
        not passage.is_row
        and passage.line_count <= _MAX_HEADING_LINES
        and len(passage.text) <= _MAX_HEADING_CHARACTERS
        and any(character.isalpha() for character in passage.text)
    )
