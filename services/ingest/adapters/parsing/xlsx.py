"""Excel workbooks (OOXML), read straight from their XML: each sheet a page under its name, its tables as rows.

Cells are told as they are shown, of formulas the value that was last calculated. Hidden sheets are left out; rows and
columns that a filter may have hidden for a moment are not. Sheets are streamed: held at a time are the texts that cells
share, and the rows between two empty ones.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from lxml import etree

from services.ingest.adapters.parsing.formats import OnPage
from services.ingest.adapters.parsing.number_formats import BUILT_IN, GENERAL, shown
from services.ingest.adapters.parsing.office_package import OfficePackage, opened_package
from services.ingest.adapters.parsing.sheet_tables import Row, SheetTables
from services.ingest.adapters.parsing.table_rows import MAX_COLUMNS, Tables
from services.ingest.composing import Piece, compose
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import BlockKind, ParsedDocument

_MAX_MERGES = 65_536
_MAX_SHEETS = 1_000
_SCAN_BYTES = 1024 * 1024
_S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MERGE = re.compile(rb"""<(?:\w+:)?mergeCell\s+ref\s*=\s*["']([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})["']""")
_PLACE = re.compile(r"([A-Z]{1,3})(\d{1,7})")


@dataclass(frozen=True)
class _Workbook:
    """What all sheets share: texts, the format of each style, and the year that dates count from."""

    texts: list[str]
    formats: list[str]
    from_1904: bool


@dataclass(frozen=True)
class _Sheet:
    name: str
    part: str


def parse_xlsx(data: bytes, on_page: OnPage | None = None) -> ParsedDocument:
    """Raises: FileBroken: damaged, encrypted, unpacks to too much, or declares entities. FileWithoutText."""
    with opened_package(data, "xlsx") as package:
        main = package.main_part("xl/workbook.xml")
        root = package.part(main)
        if root is None:
            raise FileBroken("there is no workbook in the .xlsx file")
        listed = _sheets(package, main, root)
        workbook = _Workbook(_shared_texts(package, main), _formats(package, main), _counts_from_1904(root))
        if not any(listed):
            raise FileWithoutText("the workbook has no sheet to read: hidden ones and charts are left out")
        pieces = _pieces(package, workbook, listed, on_page)
        return compose(pieces, title=package.title(), page_count=len(listed))


def _sheets(package: OfficePackage, main: str, root: etree._Element) -> list[_Sheet | None]:
    """The sheets in their order; None for a hidden one, and for one that is a chart."""
    related = package.related(main)
    found: list[_Sheet | None] = []
    for sheet in root.iter(f"{_S}sheet"):
        kind, part = related.get(sheet.get(f"{_R}id") or "", ("", ""))
        is_shown = sheet.get("state") in (None, "visible") and kind == "worksheet"
        found.append(_Sheet(sheet.get("name") or "", part) if is_shown else None)
    if len(found) > _MAX_SHEETS:
        raise FileBroken(f"the .xlsx file has more than {_MAX_SHEETS:,} sheets")
    return found


def _counts_from_1904(root: etree._Element) -> bool:
    properties = root.find(f"{_S}workbookPr")
    return properties is not None and properties.get("date1904") in ("1", "true")


def _pieces(
    package: OfficePackage, workbook: _Workbook, sheets: list[_Sheet | None], on_page: OnPage | None
) -> Iterator[Piece]:
    tables = Tables()
    for page, sheet in enumerate(sheets, start=1):
        if sheet is not None:
            yield Piece(BlockKind.HEADING, sheet.name or f"Sheet {page}", 1, page)
            merges = _merges(package, sheet.part)
            headers = _table_headers(package, sheet.part)
            yield from SheetTables(tables, page, merges, headers).pieces(_rows(package, workbook, sheet.part))
        if on_page is not None:
            on_page(page, len(sheets))


def _rows(package: OfficePackage, workbook: _Workbook, part: str) -> Iterator[Row]:
    """The rows that hold anything, by their number from 1, each with its cells by column from 0."""
    with package.streamed(part) as file:
        if file is None:
            return
        number = 0
        # Namespaces are those of either edition of the standard, so only the names behind them are looked at.
        events = etree.iterparse(
            file,
            events=("end",),
            tag="{*}row",
            resolve_entities=False,
            load_dtd=False,
            no_network=True,
            huge_tree=False,
        )
        for _, element in events:
            if number == 0 and element.getroottree().docinfo.internalDTD is not None:
                raise FileBroken(package.declares_entities)
            said = element.get("r") or ""
            number = int(said) if said.isdecimal() and len(said) <= 7 else number + 1
            if cells := _cells(element, workbook):
                yield number, cells
            element.clear()
            while (before := element.getprevious()) is not None:
                element.getparent().remove(before)


def _cells(row: etree._Element, workbook: _Workbook) -> dict[int, str]:
    cells: dict[int, str] = {}
    space = row.tag.rpartition("}")[0] + "}"
    value_tag, formula_tag, inline_tag = f"{space}v", f"{space}f", f"{space}is"
    column = -1
    for cell in row:
        letters = (cell.get("r") or "").rstrip("0123456789")
        column = column_number(letters) if 0 < len(letters) <= 3 and letters.isalpha() else column + 1
        if column >= MAX_COLUMNS:
            raise FileBroken(f"a row of the file has more than {MAX_COLUMNS:,} cells")
        value = formula = None
        text = ""
        for child in cell:  # by hand: a search for each would take half of the time that a sheet takes
            if child.tag == value_tag:
                value = child.text
            elif child.tag == formula_tag:
                formula = child.text
            elif child.tag == inline_tag:
                text = _rich_text(child, space)
        if value is not None:
            text = _text(value, cell.get("t") or "n", cell.get("s") or "", workbook)
        elif not text and formula:
            text = f"={formula}"  # never calculated: the formula is all that is known
        if text := text.strip():
            cells[column] = text
    return cells


def _text(value: str, kind: str, style: str, workbook: _Workbook) -> str:
    match kind:
        case "s":
            place = int(value) if value.strip().isdecimal() and len(value) < 12 else -1
            return workbook.texts[place] if 0 <= place < len(workbook.texts) else ""
        case "b":
            return "TRUE" if value.strip() == "1" else "FALSE"
        case "n":
            return _number(value, style, workbook)
        case "d":
            return value.replace("T00:00:00", "").replace("T", " ")
    return value


def _number(value: str, style: str, workbook: _Workbook) -> str:
    try:
        number = float(value)
    except ValueError:
        return value
    place = int(style) if style.isdecimal() and len(style) < 8 else 0
    code = workbook.formats[place] if place < len(workbook.formats) else GENERAL
    return shown(number, code, from_1904=workbook.from_1904)


def _shared_texts(package: OfficePackage, main: str) -> list[str]:
    texts: list[str] = []
    for part in package.named(main, "sharedStrings")[:1]:
        with package.streamed(part) as file:
            if file is None:
                break
            events = etree.iterparse(
                file, events=("end",), tag="{*}si", resolve_entities=False, load_dtd=False, no_network=True
            )
            for _, element in events:
                if not texts and element.getroottree().docinfo.internalDTD is not None:
                    raise FileBroken(package.declares_entities)
                texts.append(_rich_text(element, element.tag.rpartition("}")[0] + "}"))
                element.clear()
                while (before := element.getprevious()) is not None:
                    element.getparent().remove(before)
    return texts


def _rich_text(element: etree._Element, space: str) -> str:
    """The text of all its runs, without the readings that East Asian texts carry."""
    text_tag, run_tag = f"{space}t", f"{space}r"
    told = []
    for child in element:
        if child.tag == text_tag:
            told.append(child.text or "")
        elif child.tag == run_tag:
            told += [each.text or "" for each in child if each.tag == text_tag]
    return "".join(told)


def _formats(package: OfficePackage, main: str) -> list[str]:
    """The number format of each cell style."""
    for part in package.named(main, "styles")[:1]:
        root = package.part(part)
        if root is None:
            break
        codes = BUILT_IN | {
            int(each.get("numFmtId") or 0): each.get("formatCode") or GENERAL
            for each in root.iter(f"{_S}numFmt")
            if (each.get("numFmtId") or "").isdecimal()
        }
        return [
            codes.get(int(number) if (number := style.get("numFmtId") or "").isdecimal() else 0, GENERAL)
            for style in root.iterfind(f"{_S}cellXfs/{_S}xf")
        ]
    return []


def _merges(package: OfficePackage, part: str) -> dict[tuple[int, int], tuple[int, int]]:
    """How far merged cells reach: by row from 1 and column from 0, the rows and columns they span.

    They stand behind the rows they are needed for; so the bytes are looked through before the sheet is parsed.
    """
    merges: dict[tuple[int, int], tuple[int, int]] = {}
    with package.streamed(part) as file:
        kept = b""
        while file is not None and (data := file.read(_SCAN_BYTES)):
            data = kept + data
            for match in _MERGE.finditer(data):
                left, top, right, bottom = column_number(match[1].decode()), int(match[2]), match[3], int(match[4])
                merges[top, left] = (bottom - top + 1, column_number(right.decode()) - left + 1)
            if len(merges) > _MAX_MERGES:
                raise FileBroken(f"a sheet of the .xlsx file has more than {_MAX_MERGES:,} merged cells")
            kept = data[-200:]
    return merges


def _table_headers(package: OfficePackage, part: str) -> dict[int, int]:
    """Rows in which a table of the sheet begins, and how many rows of header it says it has."""
    headers: dict[int, int] = {}
    for table in package.named(part, "table"):
        root = package.part(table)
        place = _PLACE.match(root.get("ref") or "") if root is not None else None
        if root is not None and place is not None:
            count = root.get("headerRowCount") or "1"
            headers[int(place[2])] = int(count) if count in ("0", "1") else 1
    return headers


@lru_cache(maxsize=1024)
def column_number(letters: str) -> int:
    """A: 0, Z: 25, AA: 26."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter.upper()) - 64
    return number - 1
