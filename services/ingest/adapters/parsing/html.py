"""HTML, by lxml: what a reader of the page would read."""

import re
from collections.abc import Iterator

from lxml import etree, html

from services.ingest.adapters.parsing.table_rows import Cell, Tables
from services.ingest.adapters.parsing.text_decoding import decode
from services.ingest.composing import Piece, compose
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import BlockKind, ParsedDocument

# fmt: off
_DROPPED = frozenset([
    "script", "style", "nav", "noscript", "template", "svg", "math", "head", "iframe", "object", "embed", "canvas",
    "audio", "video", "select", "button", "rt", "rp", "dialog",
])
_NOT_INLINE = _DROPPED | {"table"}  # a table in a cell is told after the one it stands in
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset([
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "li", "main", "ol", "p", "pre",
    "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul", *_HEADINGS,
])
# fmt: on
# What a part of a page is for, where its author says so: ways through the site rather than what the page says.
_DROPPED_ROLES = frozenset(["navigation", "search", "menu", "menubar", "toolbar", "dialog", "alertdialog", "banner"])
_CELLS = ("td", "th")
_MAX_CELL_CHARACTERS = 2_000
_PARAGRAPH_BREAK = re.compile(r"\n[ \n]*\n")


def parse_html(data: bytes) -> ParsedDocument:
    """Raises: FileBroken, FileWithoutText."""
    text = decode(data)
    root = parse_markup(text)
    title = root.findtext(".//title") or ""
    return compose(read_pieces(root), title=title)


def parse_markup(text: str) -> etree._Element:
    """The tree of a page. Nothing outside it is fetched, and it has no entities but HTML's own."""
    if not text.strip():
        raise FileWithoutText("there is no text in the file")
    # A tree of any depth: with the usual limit everything past it would be left out without a word.
    parser = html.HTMLParser(no_network=True, huge_tree=True, remove_comments=True, remove_pis=True, encoding="utf-8")
    try:
        # As UTF-8 bytes, so that an encoding declared in the page, which `decode` has seen past, is not applied again.
        root = html.document_fromstring(text.encode("utf-8", "replace"), parser=parser, ensure_head_body=False)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError, AssertionError) as error:
        raise FileBroken("the HTML cannot be read") from error
    if any("Excessive depth" in entry.message for entry in parser.error_log):
        raise FileBroken("the HTML is nested too deeply")
    return root


def read_pieces(root: etree._Element) -> Iterator[Piece]:
    yield from _Walk(has_main=root.find(".//main") is not None or root.find(".//article") is not None).block(root)


class _Walk:
    """Goes through a tree once; loose words between block elements are gathered into paragraphs."""

    def __init__(self, *, has_main: bool) -> None:
        self._has_main = has_main
        self._loose: list[str] = []
        self._tables = Tables()

    def block(self, element: etree._Element) -> Iterator[Piece]:
        yield from self._element(element)
        yield from self._flush()

    def _element(self, element: etree._Element) -> Iterator[Piece]:
        tag = element.tag
        if not isinstance(tag, str) or tag in _DROPPED or _is_hidden(element) or self._is_boilerplate(element):
            return
        if tag in _HEADINGS:
            yield from self._flush()
            yield Piece(BlockKind.HEADING, _inline(element), _HEADINGS[tag])
        elif tag == "table" and _is_data(element):
            yield from self._flush()
            yield from self._table(element)
        elif tag == "pre":
            yield from self._flush()
            yield Piece(BlockKind.CODE, _text(element))
        elif tag == "li":
            yield from self._flush()
            yield from self._children(element)
            yield from self._flush(BlockKind.ITEM)
        elif tag in _BLOCKS:
            yield from self._flush()
            yield from self._children(element)
            yield from self._flush()
        elif tag == "br":
            self._loose.append("\n")
        elif tag == "img":
            self._loose.append(element.get("alt") or "")
        else:
            yield from self._children(element)

    def _is_boilerplate(self, element: etree._Element) -> bool:
        """The way through a site, and the foot of a page that says which part of it is its own."""
        if (element.get("role") or "").lower() in _DROPPED_ROLES:
            return element.find(".//h1") is None  # pages that put their title there
        if element.tag == "footer" and self._has_main:
            return not any(True for _ in element.iterancestors("main", "article", "section", "blockquote"))
        return False

    def _children(self, element: etree._Element) -> Iterator[Piece]:
        self._loose.append(_spaced(element.text))
        for child in element:
            if child.tag in ("ul", "ol"):  # the words of an item come before the list inside it
                yield from self._flush(BlockKind.ITEM if element.tag == "li" else BlockKind.PARAGRAPH)
            yield from self._element(child)
            self._loose.append(_spaced(child.tail))

    def _table(self, table: etree._Element) -> Iterator[Piece]:
        caption = table.find("caption")
        if caption is not None:
            yield Piece(BlockKind.PARAGRAPH, _inline(caption))
        rows = [[cell for cell in row if cell.tag in _CELLS and not _is_hidden(cell)] for row in _own_rows(table)]
        yield from self._tables.of_cells([[_cell(cell) for cell in row] for row in rows])
        for inner in (inner for row in rows for cell in row for inner in _tables_in(cell)):
            yield from self._element(inner)

    def _flush(self, kind: BlockKind = BlockKind.PARAGRAPH) -> Iterator[Piece]:
        text = "".join(self._loose)
        self._loose.clear()
        for paragraph in _PARAGRAPH_BREAK.split(text):  # two <br> in a row part paragraphs too
            if lines := _lines(paragraph):
                yield Piece(kind, lines)


def _is_hidden(element: etree._Element) -> bool:
    style = (element.get("style") or "").replace(" ", "").lower()
    return "hidden" in element.attrib or "display:none" in style or "visibility:hidden" in style


def _is_data(table: etree._Element) -> bool:
    """A table that lays out a page is none of data: it holds long texts, or little besides other tables."""
    if (table.get("role") or "").lower() in ("presentation", "none"):
        return False
    rows = [[cell for cell in row if cell.tag in _CELLS] for row in _own_rows(table)]
    own = sum(map(len, rows))
    inner = sum(1 for _ in table.iter(*_CELLS)) - own
    if inner and (len(rows) == 1 or max(map(len, rows), default=0) == 1 or inner > own):
        return False
    return not any(len(_text(cell)) > _MAX_CELL_CHARACTERS or _has_heading(cell) for row in rows for cell in row)


def _tables_in(element: etree._Element) -> Iterator[etree._Element]:
    """The tables in an element, without those in them."""
    for child in element:
        if child.tag == "table":
            yield child
        elif isinstance(child.tag, str) and child.tag not in _DROPPED:
            yield from _tables_in(child)


def _has_heading(cell: etree._Element) -> bool:
    return bool(cell.tag == "td" and any(True for _ in cell.iter(*_HEADINGS)))


def _own_rows(table: etree._Element) -> Iterator[etree._Element]:
    """Its rows that are shown, in the order they are shown, without those of tables inside it."""
    for child in table:
        if child.tag == "tr" and not _is_hidden(child):
            yield child
        elif child.tag in ("thead", "tbody", "tfoot"):
            yield from (row for row in child if row.tag == "tr" and not _is_hidden(row))


def _cell(cell: etree._Element) -> Cell:
    in_head = any(above.tag == "thead" for above in cell.iterancestors("thead", "table"))
    return Cell(
        _inline(cell),
        columns=_span(cell.get("colspan")),
        rows=_span(cell.get("rowspan")),
        is_header=in_head or cell.tag == "th",
    )


def _span(said: str | None) -> int:
    """As browsers read it: 1 to 1,000."""
    digits = (said or "").strip()
    return min(max(int(digits), 1), 1_000) if digits.isdecimal() and len(digits) < 9 else 1


def _text(element: etree._Element) -> str:
    return "".join(map(str, element.itertext()))


def _inline(element: etree._Element) -> str:
    words: list[str] = []
    _gather(element, words)
    return " ".join("".join(words).split())


def _gather(element: etree._Element, words: list[str]) -> None:
    words.append(element.text or "")
    for child in element:
        if isinstance(child.tag, str) and child.tag not in _NOT_INLINE and not _is_hidden(child):
            block = child.tag in _BLOCKS or child.tag == "br"
            words.append(" " if block else "")
            words.append(child.get("alt") or "" if child.tag == "img" else "")
            _gather(child, words)
            words.append(" " if block else "")
        words.append(child.tail or "")


def _spaced(text: str | None) -> str:
    """Line breaks of the source are no line breaks of the page."""
    return (text or "").replace("\n", " ").replace("\r", " ").replace("\t", " ")


def _lines(text: str) -> str:
    return "\n".join(filter(None, (" ".join(line.split()) for line in text.split("\n"))))
