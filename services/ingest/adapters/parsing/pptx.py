"""PowerPoint presentations (OOXML), read straight from their XML: each slide a page under its title.

A slide tells its title, then its shapes in their order, tables and charts as rows, and at last its notes. Hidden slides
and comments are left out.
"""

from collections.abc import Iterator

from lxml import etree

from services.ingest.adapters.parsing.drawings import DGM, A, C, chart_pieces, diagram_pieces, paragraph_text, words
from services.ingest.adapters.parsing.formats import OnPage
from services.ingest.adapters.parsing.office_package import OfficePackage, opened_package
from services.ingest.adapters.parsing.table_rows import Cell, Tables
from services.ingest.composing import Piece, compose
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import BlockKind, ParsedDocument

_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_MAX_SLIDES = 5_000
_MAX_HEADING_CHARACTERS = 200
_MAX_STAND_IN_CHARACTERS = 80
_TITLES = frozenset({"title", "ctrTitle"})
# Placeholders that repeat on every slide.
_REPEATED = frozenset({"dt", "ftr", "sldNum", "hdr"})
_LISTS = frozenset({"body", "obj", ""})


def parse_pptx(data: bytes, on_page: OnPage | None = None) -> ParsedDocument:
    """Raises: FileBroken: damaged, encrypted, unpacks to too much, or declares entities. FileWithoutText."""
    with opened_package(data, "pptx") as package:
        main = package.main_part("ppt/presentation.xml")
        root = package.part(main)
        if root is None:
            raise FileBroken("there is no presentation in the .pptx file")
        related = package.related(main)
        slides = [related.get(each.get(f"{_R}id") or "", ("", ""))[1] for each in root.iter(f"{_P}sldId")]
        if len(slides) > _MAX_SLIDES:
            raise FileBroken(f"the .pptx file has more than {_MAX_SLIDES:,} slides")
        if not slides:
            raise FileWithoutText("the presentation has no slide")
        return compose(_pieces(package, slides, on_page), title=package.title(), page_count=len(slides))


def _pieces(package: OfficePackage, slides: list[str], on_page: OnPage | None) -> Iterator[Piece]:
    tables = Tables()
    for page, part in enumerate(slides, start=1):
        root = package.part(part)
        if root is not None and root.get("show") not in ("0", "false"):
            yield from _Slide(package, part, page, tables).pieces(root)
        if on_page is not None:
            on_page(page, len(slides))


class _Slide:
    def __init__(self, package: OfficePackage, part: str, page: int, tables: Tables) -> None:
        self._package = package
        self._related = package.related(part)
        self._part = part
        self._page = page
        self._tables = tables

    def pieces(self, root: etree._Element) -> Iterator[Piece]:
        shapes = list(_shapes(root))
        title = next((shape for shape in shapes if _placeholder(shape) in _TITLES and words(shape).strip()), None)
        if title is None:
            title = _stand_in(shapes)
        heading = " ".join(words(title).split()) if title is not None else ""
        # Without a heading of its own a slide would stand under that of the one before.
        yield Piece(BlockKind.HEADING, heading[:_MAX_HEADING_CHARACTERS] or f"Slide {self._page}", 1, self._page)
        if len(heading) > _MAX_HEADING_CHARACTERS:
            yield Piece(BlockKind.PARAGRAPH, heading, page=self._page)
        for shape in shapes:
            if shape is not title and _placeholder(shape) not in _REPEATED:
                yield from self._shape(shape)
        yield from self._notes()

    def _shape(self, shape: etree._Element) -> Iterator[Piece]:
        table = shape.find(f".//{A}tbl")
        if table is not None:
            first_row = table.find(f"{A}tblPr")
            has_header = first_row is not None and first_row.get("firstRow") in ("1", "true")
            rows = [
                [_cell(cell) for cell in row.iterfind(f"{A}tc") if not _is_covered(cell)]
                for row in table.iter(f"{A}tr")
            ]
            yield from self._tables.of_cells(rows, least_header_rows=int(has_header), page=self._page)
        elif (chart := shape.find(f".//{C}chart")) is not None:
            part = self._target(chart.get(f"{_R}id"))
            yield from chart_pieces(self._package, part, self._tables, self._page)
        elif (diagram := shape.find(f".//{DGM}relIds")) is not None:
            yield from diagram_pieces(self._package, self._target(diagram.get(f"{_R}dm")), self._page)
        else:
            yield from self._text(shape)

    def _target(self, identity: str | None) -> str:
        return self._related.get(identity or "", ("", ""))[1]

    def _text(self, shape: etree._Element) -> Iterator[Piece]:
        in_list = _placeholder(shape) in _LISTS
        for paragraph in shape.iter(f"{A}p"):
            bullet = _bullet(paragraph)
            is_item = in_list if bullet is None else bullet
            yield Piece(BlockKind.ITEM if is_item else BlockKind.PARAGRAPH, paragraph_text(paragraph), page=self._page)

    def _notes(self) -> Iterator[Piece]:
        for kind, part in self._related.values():
            root = self._package.part(part) if kind == "notesSlide" else None
            for shape in _shapes(root) if root is not None else ():
                if _placeholder(shape) == "body":
                    for paragraph in shape.iter(f"{A}p"):
                        yield Piece(BlockKind.PARAGRAPH, paragraph_text(paragraph), page=self._page)


def _shapes(root: etree._Element) -> Iterator[etree._Element]:
    """Shapes and frames in their order, also those of groups."""
    for child in root:
        if child.tag in (f"{_P}sp", f"{_P}graphicFrame", f"{_P}cxnSp"):
            yield child
        elif isinstance(child.tag, str) and child.tag != f"{_MC}Fallback":  # text kept for older programs
            yield from _shapes(child)


def _placeholder(shape: etree._Element) -> str | None:
    """What the layout calls the shape's place; "" for the main text, None for a shape of its own."""
    mark = shape.find(f"*/{_P}nvPr/{_P}ph")
    return (mark.get("type") or "") if mark is not None else None


def _bullet(paragraph: etree._Element) -> bool | None:
    """Whether the paragraph says of itself that it has a bullet or number; None where it leaves that to the layout."""
    for mark in paragraph.iterfind(f"{A}pPr/*"):
        if mark.tag in (f"{A}buChar", f"{A}buAutoNum", f"{A}buBlip", f"{A}buNone"):
            return bool(mark.tag != f"{A}buNone")
    return None


def _stand_in(shapes: list[etree._Element]) -> etree._Element | None:
    """The first text of a slide without title, where it is as short as one."""
    for shape in shapes:
        if shape.find(f".//{A}tbl") is None and _placeholder(shape) not in _REPEATED and (text := words(shape).strip()):
            return shape if len(text) <= _MAX_STAND_IN_CHARACTERS and "\n" not in text else None
    return None


def _is_covered(cell: etree._Element) -> bool:
    """Whether another cell reaches over this one."""
    return cell.get("hMerge") in ("1", "true") or cell.get("vMerge") in ("1", "true")


def _cell(cell: etree._Element) -> Cell:
    return Cell(" ".join(words(cell).split()), columns=_span(cell.get("gridSpan")), rows=_span(cell.get("rowSpan")))


def _span(said: str | None) -> int:
    return min(max(int(said), 1), 1_000) if said and said.isdecimal() and len(said) < 9 else 1
