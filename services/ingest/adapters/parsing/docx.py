"""Word documents (OOXML), read straight from their XML: everything a reader sees, once, in order.

Headings and list items show their numbers, notes follow the paragraph that refers to them, headers and footers are told
once at the beginning. What was deleted with changes tracked, instructions of fields, hidden words and comments are left
out; what was inserted is read.
"""

from collections.abc import Iterator, Sequence

from lxml import etree

from services.ingest.adapters.parsing.docx_styles import Numbering, W, numbering_of, outline_level, read_styles
from services.ingest.adapters.parsing.drawings import DGM, C, chart_pieces, diagram_pieces
from services.ingest.adapters.parsing.office_package import OfficePackage, opened_package
from services.ingest.adapters.parsing.table_rows import Cell, Tables
from services.ingest.composing import Piece, compose
from services.ingest.errors import FileBroken
from services.ingest.models import BlockKind, ParsedDocument

_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MAX_HEADING_CHARACTERS = 500
_MAX_SPAN = 1_000
# What a reader does not see: deleted words, instructions of fields, text kept for older programs, readings above words.
_UNSEEN = frozenset(
    {
        *(
            f"{W}{name}"
            for name in ("del", "moveFrom", "instrText", "delText", "pPr", "rPr", "rt", "tblPr", "trPr", "tcPr")
        ),
        f"{_MC}Fallback",
    }
)
_BOUNDS = frozenset({f"{W}tbl", f"{W}txbxContent"})  # what is in these is told for itself
_NOTES = {f"{W}footnoteReference": "footnotes", f"{W}endnoteReference": "endnotes"}
# How a part of a formula is set, in characters: above another, raised, lowered.
_FORMULA = {f"{_M}den": "/", f"{_M}sup": "^", f"{_M}sub": "_"}


def parse_docx(data: bytes) -> ParsedDocument:
    """Raises: FileBroken: damaged, encrypted, unpacks to too much, or declares entities. FileWithoutText."""
    with opened_package(data, "docx") as package:
        main = package.main_part("word/document.xml")
        body = package.part(main)
        if body is None:
            raise FileBroken("there is no document in the .docx file")
        reader = _Reader(package, main)
        pieces = [*reader.margins(), *reader.pieces(body), *reader.notes_left()]
        return compose(pieces, title=package.title())


class _Reader:
    def __init__(self, package: OfficePackage, main: str) -> None:
        self._package = package
        self._related = package.related(main)
        folder = main.rpartition("/")[0]
        self._styles = read_styles(package.part(self._named("styles", f"{folder}/styles.xml")))
        self._numbering = Numbering(package.part(self._named("numbering", f"{folder}/numbering.xml")))
        self._notes: dict[tuple[str, str], etree._Element] = {}
        for kind in _NOTES.values():
            root = package.part(self._named(kind, f"{folder}/{kind}.xml"))
            for note in root.iter(f"{W}{kind[:-1]}") if root is not None else ():
                if note.get(f"{W}type") in (None, "normal"):  # others are lines between text and notes
                    self._notes[kind, note.get(f"{W}id") or str(len(self._notes))] = note
        self._tables = Tables()

    def _named(self, kind: str, usual: str) -> str:
        return next((target for each, target in self._related.values() if each == kind), usual)

    def margins(self) -> Iterator[Piece]:
        """Headers and footers, each text once, but for those that count pages."""
        told: set[str] = set()
        for kind, part in self._related.values():
            root = self._package.part(part) if kind in ("header", "footer") else None
            for piece in self.pieces(root) if root is not None and not _counts_pages(root) else ():
                if piece.text.strip() and piece.text not in told:
                    told.add(piece.text)
                    yield Piece(BlockKind.PARAGRAPH, piece.text)

    def notes_left(self) -> Iterator[Piece]:
        """Notes that no paragraph has referred to."""
        for note in self._notes.values():
            yield from self.pieces(note)

    def pieces(self, element: etree._Element) -> Iterator[Piece]:
        for child in element:
            if child.tag == f"{W}p":
                yield from self._paragraph(child)
            elif child.tag == f"{W}tbl":
                yield from self._table(child)
            elif isinstance(child.tag, str) and child.tag not in _UNSEEN:
                yield from self.pieces(child)  # content controls, revisions, notes and the body itself

    def _paragraph(self, paragraph: etree._Element) -> Iterator[Piece]:
        text = _words(paragraph)
        if text.strip():
            yield self._as_piece(paragraph, text)
        yield from self._beside(paragraph)

    def _as_piece(self, paragraph: etree._Element, text: str) -> Piece:
        properties = paragraph.find(f"{W}pPr")
        named = properties.find(f"{W}pStyle") if properties is not None else None
        style = self._styles.get(named.get(f"{W}val") or "") if named is not None else None
        level = (style.level if style else 0) or outline_level(properties)
        numbering = numbering_of(properties) or (style.numbering if style else None)
        if numbering is not None and not numbering[0]:  # a level alone: of the style's list
            numbering = (style.numbering[0], numbering[1]) if style and style.numbering else numbering
        label = self._numbering.label(numbering)
        if level and len(text) <= _MAX_HEADING_CHARACTERS:
            return Piece(BlockKind.HEADING, f"{label} {' '.join(text.split())}".strip(), level)
        in_list = numbering is not None and numbering[0] != "0"
        return Piece(BlockKind.ITEM if in_list else BlockKind.PARAGRAPH, f"{label} {text}".strip() if label else text)

    def _beside(self, element: etree._Element) -> Iterator[Piece]:
        """What is anchored in an element: text boxes, charts, diagrams, and the notes it refers to."""
        for each in _anchored(element):
            if each.tag == f"{W}txbxContent":
                yield from self.pieces(each)
            elif each.tag == f"{C}chart":
                yield from chart_pieces(self._package, self._target(each.get(f"{_R}id")), self._tables)
            elif each.tag == f"{DGM}relIds":
                yield from diagram_pieces(self._package, self._target(each.get(f"{_R}dm")))
            elif (note := self._notes.pop((_NOTES[each.tag], each.get(f"{W}id") or ""), None)) is not None:
                yield from self.pieces(note)

    def _target(self, identity: str | None) -> str:
        return self._related.get(identity or "", ("", ""))[1]

    def _table(self, table: etree._Element) -> Iterator[Piece]:
        rows = list(_own(table, f"{W}tr"))
        cells = [list(_own(row, f"{W}tc")) for row in rows]
        if _lays_out(table, cells):
            for row in cells:
                for cell in row:
                    yield from self.pieces(cell)
            return
        said = 0
        while said < len(rows) and rows[said].find(f"{W}trPr/{W}tblHeader") is not None:
            said += 1
        yield from self._tables.of_cells(_merged(rows, cells), least_header_rows=said)
        for row in cells:
            for cell in row:
                for inner in _own(cell, f"{W}tbl"):
                    yield from self._table(inner)
        yield from self._beside(table)


def _lays_out(table: etree._Element, cells: Sequence[Sequence[etree._Element]]) -> bool:
    """Whether a table only places others on the page: it has one row or column, or fewer cells than what is in it."""
    inner = sum(1 for _ in table.iterfind(f".//{W}tc//{W}tc"))
    own = sum(map(len, cells))
    return inner > 0 and (len(cells) == 1 or max(map(len, cells), default=0) == 1 or inner > own)


def _merged(rows: Sequence[etree._Element], cells: Sequence[Sequence[etree._Element]]) -> list[list[Cell]]:
    """The cells with the rows and columns they span. Word marks those below the first as its continuation."""
    continued: list[set[int]] = []
    placed: list[list[tuple[int, int, str, bool]]] = []
    for row, row_cells in zip(rows, cells, strict=True):
        column = _number(row.find(f"{W}trPr/{W}gridBefore"), 0)
        line, below = [], set()
        if column:
            line.append((0, column, "", False))
        for cell in row_cells:
            span = max(_number(cell.find(f"{W}tcPr/{W}gridSpan"), 1), 1)
            merge = cell.find(f"{W}tcPr/{W}vMerge")
            continues = merge is not None and merge.get(f"{W}val") != "restart"
            if continues:
                below.add(column)
            line.append((column, span, _cell(cell), continues))
            column += span
        placed.append(line)
        continued.append(below)
    table: list[list[Cell]] = []
    for place, line in enumerate(placed):
        told = []
        for column, span, text, continues in line:
            if continues and place > 0:
                continue
            height = 1
            while place + height < len(placed) and column in continued[place + height] and height < _MAX_SPAN:
                height += 1
            told.append(Cell(text, columns=span, rows=height))
        table.append(told)
    return table


def _number(element: etree._Element | None, otherwise: int) -> int:
    said = (element.get(f"{W}val") or "") if element is not None else ""
    return min(int(said), _MAX_SPAN) if said.isdecimal() and len(said) < 9 else otherwise


def _own(element: etree._Element, tag: str) -> Iterator[etree._Element]:
    """Elements of the tag, also through content controls, and not those inside another of the same tag or a table."""
    for child in element:
        if child.tag == tag:
            yield child
        elif isinstance(child.tag, str) and child.tag not in _UNSEEN and child.tag not in _BOUNDS:
            yield from _own(child, tag)


def _cell(cell: etree._Element) -> str:
    return " ".join(filter(None, (_words(paragraph).strip() for paragraph in _own(cell, f"{W}p"))))


def _words(element: etree._Element) -> str:
    """What the paragraph shows, without what is anchored in it."""
    words: list[str] = []
    for child in element:
        match child.tag:
            case tag if tag in _UNSEEN or tag == f"{W}txbxContent" or not isinstance(tag, str):
                continue
            case tag if tag in (f"{W}t", f"{_M}t"):
                words.append(child.text or "")
            case tag if tag in (f"{W}tab", f"{W}ptab"):
                words.append(" ")
            case tag if tag in (f"{W}br", f"{W}cr"):
                words.append("\n")
            case tag if tag == f"{W}noBreakHyphen":
                words.append("-")
            case tag if tag == f"{W}r" and _is_hidden(child):
                continue
            case tag if tag in _FORMULA:
                inner = _words(child)
                words.append(_FORMULA[tag] + inner if inner else "")
            case _:
                words.append(_words(child))
    return "".join(words)


def _is_hidden(run: etree._Element) -> bool:
    vanish = run.find(f"{W}rPr/{W}vanish")
    return vanish is not None and vanish.get(f"{W}val") not in ("0", "false", "off")


def _counts_pages(root: etree._Element) -> bool:
    """Whether a header or footer does nothing else: but for numbers it has next to no letters."""
    fields = [each.text or "" for each in root.iter(f"{W}instrText")]
    fields += [each.get(f"{W}instr") or "" for each in root.iter(f"{W}fldSimple")]
    letters = sum(character.isalpha() for each in root.iter(f"{W}t") for character in each.text or "")
    return letters < 3 or (any("PAGE" in each for each in fields) and letters < 12)


def _anchored(element: etree._Element) -> Iterator[etree._Element]:
    for child in element:
        if child.tag in (f"{W}txbxContent", f"{C}chart", f"{DGM}relIds") or child.tag in _NOTES:
            yield child
        elif isinstance(child.tag, str) and child.tag not in _UNSEEN and child.tag != f"{W}tbl":
            yield from _anchored(child)
