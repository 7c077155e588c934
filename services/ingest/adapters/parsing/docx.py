"""Word documents (OOXML), read straight from their XML: everything a reader sees, once, in order."""

import io
import re
import zipfile
from collections.abc import Iterator

from lxml import etree

from services.ingest.adapters.parsing.table_rows import Cell, Tables
from services.ingest.composing import Piece, compose
from services.ingest.errors import FileBroken
from services.ingest.models import BlockKind, ParsedDocument

_MAX_MEMBERS = 5_000
_MAX_PART_BYTES = 100 * 1024 * 1024
_MAX_TOTAL_BYTES = 500 * 1024 * 1024
# Office's own XML shrinks 10 to 30 times; a bomb a thousand times. Small members may shrink as they like.
_MAX_RATIO = 200
_RATIO_COUNTS_FROM_BYTES = 1024 * 1024

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_W_STRICT = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_ENTITIES_DECLARED = "the .docx file declares entities, which no Word document does"
_OUTLINE_LEVELS = frozenset("012345678")
_HEADING_STYLE = re.compile(r"heading (\d)")
# What a reader does not see: deleted words, instructions of fields, text kept for older programs.
_UNSEEN = frozenset(
    {f"{_W}del", f"{_W}moveFrom", f"{_W}instrText", f"{_W}delText", f"{_MC}Fallback", f"{_W}pPr", f"{_W}rPr"}
)


def parse_docx(data: bytes) -> ParsedDocument:
    """Raises: FileBroken: damaged, encrypted, unpacks to too much, or declares entities. FileWithoutText."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_size(archive)
            body = _part(archive, "word/document.xml")
            if body is None:
                raise FileBroken("there is no document in the .docx file")
            reader = _Reader(_heading_levels(_part(archive, "word/styles.xml")))
            pieces = list(reader.pieces(body))
            for notes in ("word/footnotes.xml", "word/endnotes.xml"):
                root = _part(archive, notes)
                pieces += reader.pieces(root) if root is not None else ()
            core = _part(archive, "docProps/core.xml")
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError, etree.LxmlError) as error:
        # RuntimeError is zipfile's word for "encrypted" and for compression it does not know.
        raise FileBroken("the .docx file is damaged or encrypted") from error
    title = (core.findtext(f".//{_DC_TITLE}") or "") if core is not None else ""
    return compose(pieces, title=title)


def _check_size(archive: zipfile.ZipFile) -> None:
    """Judge by the sizes the archive declares; zipfile reads no member past its declared size."""
    members = archive.infolist()
    if len(members) > _MAX_MEMBERS:
        raise FileBroken(f"the .docx file has more than {_MAX_MEMBERS} parts")
    if sum(member.file_size for member in members) > _MAX_TOTAL_BYTES:
        raise FileBroken("the .docx file unpacks to too much")
    for member in members:
        swollen = member.file_size > _RATIO_COUNTS_FROM_BYTES and (
            member.file_size > _MAX_RATIO * max(member.compress_size, 1)
        )
        if swollen or (member.filename.endswith(".xml") and member.file_size > _MAX_PART_BYTES):
            raise FileBroken("the .docx file unpacks to too much")
        if ".." in member.filename.split("/") or member.filename.startswith("/"):
            raise FileBroken("the .docx file holds a part whose name leads out of it")


def _part(archive: zipfile.ZipFile, name: str) -> etree._Element | None:
    try:
        data = archive.read(name)
    except KeyError:
        return None
    if b"<!DOCTYPE" in data:  # before parsing, which would expand entities in attributes
        raise FileBroken(_ENTITIES_DECLARED)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False)
    root = etree.fromstring(data.replace(_W_STRICT[1:-1].encode(), _W[1:-1].encode()), parser)
    if root.getroottree().docinfo.internalDTD is not None:  # in an encoding that hides it from the look above
        raise FileBroken(_ENTITIES_DECLARED)
    return root


def _heading_levels(styles: etree._Element | None) -> dict[str, int]:
    """Heading level by style id. Names are the same in every language of Word; ids are not."""
    levels: dict[str, int] = {}
    if styles is None:
        return levels
    for style in styles.iter(f"{_W}style"):
        identifier, name = style.get(f"{_W}styleId"), style.find(f"{_W}name")
        shown = (name.get(f"{_W}val") or "").lower() if name is not None else ""
        outline = style.find(f"{_W}pPr/{_W}outlineLvl")
        if identifier is None:
            continue
        if shown == "title":
            levels[identifier] = 1
        elif match := _HEADING_STYLE.fullmatch(shown):
            levels[identifier] = int(match[1])
        elif outline is not None and (outline.get(f"{_W}val") or "") in _OUTLINE_LEVELS:
            levels[identifier] = int(outline.get(f"{_W}val") or "") + 1
    return levels


class _Reader:
    def __init__(self, heading_levels: dict[str, int]) -> None:
        self._heading_levels = heading_levels
        self._tables = Tables()

    def pieces(self, element: etree._Element) -> Iterator[Piece]:
        for child in element:
            if child.tag == f"{_W}p":
                yield from self._paragraph(child)
            elif child.tag == f"{_W}tbl":
                yield from self._table(child)
            elif isinstance(child.tag, str) and child.tag not in _UNSEEN:
                yield from self.pieces(child)  # content controls, revisions, notes and the body itself

    def _paragraph(self, paragraph: etree._Element) -> Iterator[Piece]:
        style = paragraph.find(f"{_W}pPr/{_W}pStyle")
        level = self._heading_levels.get(style.get(f"{_W}val") or "", 0) if style is not None else 0
        text = _words(paragraph)
        if text.strip():
            if level and len(text) <= 500:
                yield Piece(BlockKind.HEADING, " ".join(text.split()), level)
            else:
                in_list = paragraph.find(f"{_W}pPr/{_W}numPr") is not None
                yield Piece(BlockKind.ITEM if in_list else BlockKind.PARAGRAPH, text)
        for box in _text_boxes(paragraph):
            yield from self.pieces(box)

    def _table(self, table: etree._Element) -> Iterator[Piece]:
        if table.find(f".//{_W}tc//{_W}tbl") is not None:  # a table that lays out others: read cell by cell
            for cell in _own(table, f"{_W}tc"):
                yield from self.pieces(cell)
            return
        rows = [[Cell(_cell(cell)) for cell in _own(row, f"{_W}tc")] for row in _own(table, f"{_W}tr")]
        yield from self._tables.of_cells(rows)
        for box in _text_boxes(table):
            yield from self.pieces(box)


def _own(element: etree._Element, tag: str) -> Iterator[etree._Element]:
    """Elements of the tag, also through content controls, and not those inside another of the same tag."""
    for child in element:
        if child.tag == tag:
            yield child
        elif isinstance(child.tag, str) and child.tag not in _UNSEEN:
            yield from _own(child, tag)


def _cell(cell: etree._Element) -> str:
    return " ".join(filter(None, (_words(paragraph).strip() for paragraph in _own(cell, f"{_W}p"))))


def _words(element: etree._Element) -> str:
    """What the paragraph shows, without the text boxes anchored in it."""
    words: list[str] = []
    for child in element:
        match child.tag:
            case tag if tag in _UNSEEN or tag == f"{_W}txbxContent" or not isinstance(tag, str):
                continue
            case tag if tag == f"{_W}t":
                words.append(child.text or "")
            case tag if tag == f"{_W}tab":
                words.append(" ")
            case tag if tag in (f"{_W}br", f"{_W}cr"):
                words.append("\n")
            case tag if tag == f"{_W}noBreakHyphen":
                words.append("-")
            case _:
                words.append(_words(child))
    return "".join(words)


def _text_boxes(element: etree._Element) -> Iterator[etree._Element]:
    for child in element:
        if child.tag == f"{_W}txbxContent":
            yield child
        elif isinstance(child.tag, str) and child.tag not in _UNSEEN:
            yield from _text_boxes(child)
