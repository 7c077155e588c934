"""PDFs: each page by the light path, on pypdfium2, or by docling or text recognition where a page needs them.

A page goes to docling or text recognition when it shows what its text does not hold (PageReading.is_picture), or, with
docling's layout models, when it holds a table whose cells the light path could not tell apart (is_unsure). All others
stay on the light path, and the pages are joined in order.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Protocol

from services.ingest.adapters.parsing.ocr import OcrEngine, OcrFailed, read_picture
from services.ingest.adapters.parsing.pdf_document import Loss, OwnPages, PdfPages
from services.ingest.adapters.parsing.pdf_furniture import without_furniture
from services.ingest.adapters.parsing.pdf_headers import row_text
from services.ingest.adapters.parsing.pdf_layout import BROKEN_WORD, Passage
from services.ingest.adapters.parsing.pdf_pages import PageReading
from services.ingest.adapters.parsing.pdf_runs import Table
from services.ingest.composing import Piece, compose
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import BlockKind, PageNote, PageProblem, ParsedDocument, TablePlace

_HEADING_RATIO = 1.15
_BOLD_HEADING_RATIO = 0.95
_MAX_BOLD_SHARE = 0.3
_MAX_HEADING_CHARACTERS = 160
_MAX_HEADING_LINES = 3
_MAX_HEADING_SIZES = 4
_SAME_COLUMN = 12.0  # points by which a table's columns may move from one page to the next
_MAX_NUMBERS_TOLD = 12
_NO_ENGINE = Loss(
    PageProblem.SCANNED_WITHOUT_OCR, "the page is a scan or an image and no text recognition (OCR) is set up here"
)
_NO_TIME = Loss(PageProblem.OCR_FAILED, "text recognition (OCR) of the pages before it took all the time there is")
_NOT_DRAWN = Loss(PageProblem.OCR_FAILED, "the page could not be drawn for text recognition (OCR)")
_BROKEN_WORD = re.compile(rf"(\w+){BROKEN_WORD}(\w+)")
_WORD = re.compile(r"\w+(?:-\w+)*")

Pieces = list[Piece]


class PagesElsewhere(Protocol):
    """What can read pages with a picture of their layout, as docling does."""

    recognises_text: bool

    def read(self, pdf: bytes) -> dict[int, Pieces]:
        """The pieces of each page, counted from 0, of a PDF made of the pages in question. Raises: FileBroken."""
        ...


@dataclass(frozen=True)
class PageHelp:
    """Who helps with pages that the light path cannot read, and whether docling reads all pages it can.

    At `until`, by time.monotonic(), text recognition begins no other page.
    """

    ocr: OcrEngine | None = None
    layout: PagesElsewhere | None = None
    always_layout: bool = False
    until: float = math.inf

    def sends_elsewhere(self, page: PageReading) -> bool:
        """Whether docling is to read it."""
        if self.layout is None:
            return False
        return self.layout.recognises_text if page.is_picture else page.is_unsure or self.always_layout

    def recognises(self, page: PageReading) -> bool:
        """Whether text recognition is to read it."""
        return page.is_picture and self.ocr is not None


def parse_pdf(
    data: bytes,
    *,
    help_with: PageHelp | None = None,
    on_page: Callable[[int, int], None] | None = None,
    open_pages: Callable[[bytes], PdfPages] = OwnPages,
) -> ParsedDocument:
    """Read a PDF. Pages that could not be read are told in its notes, as long as others could.

    Raises: FileBroken: damaged, encrypted, or of too many pages. FileWithoutText: scanned, or empty.
    """
    page_help = help_with or PageHelp()
    with open_pages(data) as source:
        progress = _Progress(source.opened.page_count, on_page)

        def tell(page: PageReading | Loss) -> None:
            if isinstance(page, Loss) or not (page_help.sends_elsewhere(page) or page_help.recognises(page)):
                progress.add()

        document = _Document(source, source.read(tell), page_help, progress)
        document.read_elsewhere()
        document.recognise()
    return document.composed()


class _Progress:
    """Counts pages that are done with, whoever read them."""

    def __init__(self, page_count: int, on_page: Callable[[int, int], None] | None) -> None:
        self._page_count = page_count
        self._on_page = on_page
        self._done = 0

    def add(self) -> None:
        """Another page is done."""
        self._done = min(self._done + 1, self._page_count)
        if self._on_page is not None:
            self._on_page(self._done, self._page_count)


class _Document:
    """The pages of one PDF on their way to a text."""

    def __init__(
        self, source: PdfPages, readings: Sequence[PageReading | Loss], help_with: PageHelp, progress: _Progress
    ) -> None:
        self._source = source
        self._help = help_with
        self._progress = progress
        self._opened = source.opened
        self._pages = [PageReading() if isinstance(reading, Loss) else reading for reading in readings]
        self._elsewhere: dict[int, Pieces] = {}
        self._notes: dict[int, PageNote] = {}
        for number, reading in enumerate(readings):
            if isinstance(reading, Loss):
                self._note(number, reading.problem, reading.detail)
            elif reading.is_cut:
                self._note(
                    number, PageProblem.PAGE_TOO_COMPLEX, "the page holds more text than is read; its end is cut"
                )

    def _note(self, number: int, problem: PageProblem, detail: str) -> None:
        self._notes[number] = PageNote(number + 1, problem, detail)

    def read_elsewhere(self) -> None:
        """Send to docling the pages that need it, in one go; what it cannot read stays as it is."""
        layout = self._help.layout
        if layout is None:
            return
        wanted = [
            number
            for number, page in enumerate(self._pages)
            if number not in self._notes and self._help.sends_elsewhere(page)
        ]
        part = self._source.extract(wanted) if wanted else None
        if part is None:
            return
        try:
            read = layout.read(part)
        except FileBroken:
            return
        for place, number in enumerate(wanted):
            if any(any(map(str.isalnum, piece.text)) for piece in read.get(place, [])):
                self._elsewhere[number] = read[place]
                self._progress.add()

    def recognise(self) -> None:
        """Read the pictures that are left by text recognition, or note why that was not done."""
        for number, page in enumerate(self._pages):
            if not page.is_picture or number in self._elsewhere or number in self._notes:
                continue
            problem = self._recognise(number, page)
            if problem is not None:
                self._note(number, *problem)
            self._progress.add()

    def _recognise(self, number: int, page: PageReading) -> Loss | None:
        engine = self._help.ocr
        if engine is None:
            return _NO_ENGINE
        if time.monotonic() > self._help.until:
            return _NO_TIME
        image = self._source.render(number)
        if image is None:
            return _NOT_DRAWN
        try:
            passages = read_picture(engine, image)
        except OcrFailed as error:
            return Loss(PageProblem.OCR_FAILED, str(error))
        if _letters(passages) >= _letters(page.passages):
            height = image.height / image.pixels_a_point
            self._pages[number] = page._replace(passages=passages, top=0.0, bottom=height)
        return None

    def composed(self) -> ParsedDocument:
        """The text of all pages, in order."""
        notes = [self._notes[number] for number in sorted(self._notes)]
        count = self._opened.page_count
        if count == 0 or sum(note.reason is PageProblem.PAGE_BROKEN for note in notes) == count:
            raise FileBroken("the PDF is damaged: none of its pages can be read")
        pieces = _Pieces(self._pages, self._elsewhere)
        try:
            return compose(pieces.all(), title=self._opened.title, page_count=count, page_notes=notes)
        except FileWithoutText:
            seen = any(page.is_picture for page in self._pages)
            raise FileWithoutText(_why_empty(notes, seen=seen)) from None


def _why_empty(notes: Sequence[PageNote], *, seen: bool) -> str:
    """What to say of a document without text; `seen` when there are pictures on its pages."""
    if not notes:
        found = "text recognition (OCR) found none on its pages" if seen else "its pages are empty"
        return f"the PDF holds no text: {found}"
    told = []
    for problem in dict.fromkeys(note.reason for note in notes):
        same = [note for note in notes if note.reason is problem]
        told.append(f"{_numbers([note.page for note in same])}: {same[0].detail}")
    advice = ""
    if any(note.reason is PageProblem.SCANNED_WITHOUT_OCR for note in notes):
        advice = "; run text recognition (OCR) over it first, or switch it on here (INGEST_OCR_ENGINE)"
    return f"the PDF holds no text that can be read ({'; '.join(told)}){advice}"


def _numbers(pages: Sequence[int]) -> str:
    """ "page 3", "pages 1-4, 7", and no more of them than a person reads."""
    spans: list[list[int]] = []
    for page in pages:
        if spans and page == spans[-1][1] + 1:
            spans[-1][1] = page
        else:
            spans.append([page, page])
    told = [str(first) if first == last else f"{first}-{last}" for first, last in spans[:_MAX_NUMBERS_TOLD]]
    more = ", …" if len(spans) > _MAX_NUMBERS_TOLD else ""
    return f"page{'s' if len(pages) > 1 else ''} {', '.join(told)}{more}"


def _letters(passages: Sequence[Passage]) -> int:
    return sum(sum(map(str.isalnum, passage.text)) for passage in passages) + sum(
        len(cell) for passage in passages if passage.table for row in passage.table.rows for cell in row
    )


class _Pieces:
    """Passages as pieces: levels of headings, places of rows, and words mended, which take all pages to know."""

    def __init__(self, pages: Sequence[PageReading], elsewhere: Mapping[int, Pieces]) -> None:
        self._pages = without_furniture(pages)
        self._elsewhere = elsewhere
        self._levels = _HeadingLevels([page for number, page in enumerate(self._pages) if number not in elsewhere])
        self._words: frozenset[str] | None = None
        self._table = -1
        self._row = 0
        self._open: Table | None = None
        self._is_first_on_page = False

    def all(self) -> Iterator[Piece]:
        """Every piece in order."""
        for number, page in enumerate(self._pages):
            if number in self._elsewhere:
                self._open = None
                yield from self._renumbered(self._elsewhere[number], number + 1)
                continue
            for place, passage in enumerate(page):
                self._is_first_on_page = place == 0
                if passage.table is not None:
                    yield from self._rows(passage.table, number + 1)
                else:
                    self._open = None
                    yield self._piece(passage, number + 1)

    def _piece(self, passage: Passage, page: int) -> Piece:
        text = self._mended(passage.text) if BROKEN_WORD in passage.text else passage.text
        level = self._levels.of(passage)
        if level:
            return Piece(BlockKind.HEADING, text, level, page)
        return Piece(BlockKind.ITEM if passage.is_item else BlockKind.PARAGRAPH, text, page=page)

    def _rows(self, table: Table, page: int) -> Iterator[Piece]:
        columns = table.columns
        if not table.lefts:  # lines of cells without columns in common
            self._open = None
            for row in table.rows:
                kind = BlockKind.ROW if len(row) > 1 else BlockKind.PARAGRAPH
                yield Piece(kind, row_text((), row), page=page)
            return
        if self._continues(table):
            assert self._open is not None
            columns = self._open.columns
        else:
            self._table, self._row, self._open = self._table + 1, 0, table
        for row in table.rows:
            text = row_text(columns, row)
            if text:
                yield Piece(BlockKind.ROW, text, page=page, table=TablePlace(self._table, self._row, columns))
                self._row += 1

    def _continues(self, table: Table) -> bool:
        """Whether a table goes on with the one right before it, on the page before or without a header of its own."""
        before = self._open
        return (
            before is not None
            and (not table.columns or (self._is_first_on_page and table.columns == before.columns))
            and len(table.lefts) == len(before.lefts)
            and all(abs(one - other) < _SAME_COLUMN for one, other in zip(table.lefts, before.lefts, strict=True))
        )

    def _renumbered(self, pieces: Pieces, page: int) -> Iterator[Piece]:
        seen: dict[int, int] = {}
        for piece in pieces:
            place = piece.table
            if place is not None:
                if place.table not in seen:
                    self._table += 1
                    seen[place.table] = self._table
                place = replace(place, table=seen[place.table])
            yield replace(piece, page=page, table=place)

    def _mended(self, text: str) -> str:
        """Words broken at a hyphen: with it where the document has them so elsewhere, else without."""
        if self._words is None:
            texts = (passage.text for passage in chain.from_iterable(self._pages) if BROKEN_WORD not in passage.text)
            self._words = frozenset(word for each in texts for word in _WORD.findall(each.casefold()))
        words = self._words

        def mend(match: re.Match[str]) -> str:
            one, other = match.groups()
            hyphened = f"{one}-{other}"
            keeps = hyphened.casefold() in words and (one + other).casefold() not in words
            return hyphened if keeps else one + other

        return _BROKEN_WORD.sub(mend, text).replace(BROKEN_WORD, "")


class _HeadingLevels:
    """Which passages are headings, and how deep, from the letters of a whole document.

    Headings are short and set in letters clearly larger than those of most of the text, the largest outermost; or bold
    and at least as large, where bold is rare, below those.
    """

    def __init__(self, pages: Sequence[Sequence[Passage]]) -> None:
        weights: Counter[int] = Counter()
        bold = 0
        for passage in chain.from_iterable(pages):
            weight = len(passage.text) if passage.table is None else _table_weight(passage.table)
            weights[round(passage.size)] += weight
            bold += weight if passage.is_bold else 0
        self._body = weights.most_common(1)[0][0] if weights else 0
        sizes = {
            round(passage.size)
            for passage in chain.from_iterable(pages)
            if self._is_large(passage) and _may_be_heading(passage)
        }
        ranked = sorted(sizes, reverse=True)
        self._levels = {size: min(place, _MAX_HEADING_SIZES) for place, size in enumerate(ranked, start=1)}
        self._bold_level = min(len(ranked), _MAX_HEADING_SIZES) + 1
        self._takes_bold = bold <= _MAX_BOLD_SHARE * sum(weights.values())

    def of(self, passage: Passage) -> int:
        """The level of a heading, from 1; 0 for what is none."""
        if not _may_be_heading(passage):
            return 0
        if self._is_large(passage):
            return self._levels.get(round(passage.size), 0)
        stands_out = passage.is_bold and self._takes_bold and passage.size >= _BOLD_HEADING_RATIO * self._body
        ends_a_sentence = passage.text.endswith((".", ",", ";", "!", "?"))
        return self._bold_level if stands_out and not ends_a_sentence and not passage.is_item else 0

    def _is_large(self, passage: Passage) -> bool:
        return passage.size > _HEADING_RATIO * self._body and round(passage.size) > self._body


def _table_weight(table: Table) -> int:
    return sum(len(cell) for row in table.rows for cell in row)


def _may_be_heading(passage: Passage) -> bool:
    return (
        passage.table is None
        and passage.line_count <= _MAX_HEADING_LINES
        and len(passage.text) <= _MAX_HEADING_CHARACTERS
        and any(map(str.isalpha, passage.text))
    )
