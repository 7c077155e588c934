"""One page of a PDF, read by PDFium: its passages, and whether someone else ought to look at it."""

from __future__ import annotations

from typing import Any, NamedTuple

from services.ingest.adapters.parsing.pdf_fields import field_runs
from services.ingest.adapters.parsing.pdf_grids import with_ruled_tables
from services.ingest.adapters.parsing.pdf_layout import Passage, read_page
from services.ingest.adapters.parsing.pdf_rules import Drawing, DrawingReader, Rules
from services.ingest.adapters.parsing.pdf_runs import Run, Table
from services.ingest.adapters.parsing.pdf_text import Calls, PageText, bare_call, read_text, upright

# Below so many letters and digits a page that pictures cover is a scan with a stamp on it.
_FEW_CHARACTERS = 50
_PICTURE_SHARE = 0.6
# So many shapes and no letter: letters are drawn as shapes.
_MANY_PATHS = 100
_UNMAPPED_SHARE = 0.3
_MAX_COORDINATE = 1e7


class PageReading(NamedTuple):
    """What a page holds. `top` and `bottom` are the page's own, in the coordinates of its passages.

    `is_picture`: what can be read of it is not in its text. `is_unsure`: a table whose cells could not be told apart
    well. `is_cut`: it holds more text than is read. `is_broken`: it could not be read at all.
    """

    passages: tuple[Passage, ...] = ()
    top: float = 0.0
    bottom: float = 0.0
    is_picture: bool = False
    is_unsure: bool = False
    is_cut: bool = False
    is_broken: bool = False

    def packed(self) -> tuple[Any, ...]:
        """As plain tuples, which `unpacked` takes."""
        passages = [(tuple(passage)[:-1], tuple(passage.table) if passage.table else None) for passage in self.passages]
        return (passages, *self[1:])


def unpacked(data: tuple[Any, ...]) -> PageReading:
    """The page from what `packed` made of it."""
    passages, *rest = data
    return PageReading(
        tuple(Passage(*(*fields, Table(*table) if table else None)) for fields, table in passages), *rest
    )


class PageReader:
    """Reads the pages of one open document, in any order. Belongs to one thread."""

    def __init__(self, document: Any) -> None:
        import pypdfium2.raw as pdfium

        self._pdfium = pdfium
        self._document = document
        self._calls = Calls(pdfium)
        self._drawing = DrawingReader(pdfium, bare_call)

    def read(self, number: int) -> PageReading:
        """The page at that place, counted from 0. A page that PDFium cannot load is told as broken."""
        import pypdfium2

        try:
            page = self._document[number]
        except pypdfium2.PdfiumError:
            return PageReading(is_broken=True)
        try:
            text_page = page.get_textpage()
            try:
                return self._read(page, text_page)
            finally:
                text_page.close()
        except pypdfium2.PdfiumError:
            return PageReading(is_broken=True)
        finally:
            page.close()

    def _read(self, page: Any, text_page: Any) -> PageReading:
        box = page.get_bbox()
        drawing = self._drawing.read(page, box)
        rules: dict[int, Rules] = {}

        def rules_of(turn: int) -> Rules:
            if turn not in rules:
                rules[turn] = drawing.rules(lambda left, top, right, bottom: upright(left, top, right, bottom, turn))
            return rules[turn]

        text = read_text(self._calls, text_page, rules_of)
        by_turn = {turn: [run for run in runs if _is_placed(run)] for turn, runs in text.runs_by_turn.items()}
        fields = field_runs(self._pdfium, self._document, page)
        if fields:
            by_turn.setdefault(0, []).extend(fields)
        # Text that runs another way, as a stamp along the margin does, is read after the rest.
        passages = [
            passage for turn, runs in by_turn.items() for passage in read_page(with_ruled_tables(runs, rules_of(turn)))
        ]
        left, bottom, right, top = box
        _, upper, _, lower = upright(left, top, right, bottom, next(iter(by_turn), 0))
        return PageReading(
            tuple(passages),
            upper,
            lower,
            is_picture=_is_picture(drawing, by_turn, text),
            is_unsure=any(passage.table is not None and passage.table.unsure for passage in passages),
            is_cut=text.is_cut,
        )


def _is_placed(run: Run) -> bool:
    return (  # which what is no number does not either
        -_MAX_COORDINATE < run.left < _MAX_COORDINATE
        and -_MAX_COORDINATE < run.top < _MAX_COORDINATE
        and -_MAX_COORDINATE < run.right < _MAX_COORDINATE
    )


def _is_picture(drawing: Drawing, by_turn: dict[int, list[Run]], text: PageText) -> bool:
    """Whether the page shows what its text does not hold.

    It does when there is no text and there are images, or so many shapes that letters may be among them; when pictures
    cover it and there is hardly any text; and when the file does not say what letters its characters are.
    """
    characters = 0
    for runs in by_turn.values():
        for run in runs:
            characters += sum(map(str.isalnum, run.text))
            if characters > _FEW_CHARACTERS:
                return text.unmapped_share > _UNMAPPED_SHARE
    if characters == 0:
        return drawing.image_count > 0 or drawing.path_count >= _MANY_PATHS
    return drawing.image_share > _PICTURE_SHARE or text.unmapped_share > _UNMAPPED_SHARE
