"""What drawings in Office files show as words: charts and diagrams, told as rows and items."""

from collections.abc import Iterator

from lxml import etree

from services.ingest.adapters.parsing.number_formats import general
from services.ingest.adapters.parsing.office_package import OfficePackage
from services.ingest.adapters.parsing.table_rows import Tables
from services.ingest.composing import Piece
from services.ingest.models import BlockKind

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
DGM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_MAX_POINTS = 10_000


def chart_pieces(package: OfficePackage, part: str, tables: Tables, page: int | None = None) -> Iterator[Piece]:
    """A chart as its title and a table: a row for each category, a column for each series."""
    root = package.part(part)
    if root is None:
        return
    title = root.find(f"{C}chart/{C}title")
    if title is not None:
        yield Piece(BlockKind.PARAGRAPH, words(title), page=page)
    series = list(root.iter(f"{C}ser"))
    names = [_name(each) for each in series]
    columns = [_points(each, "val", "yVal") for each in series]
    categories: dict[int, str] = {}
    for each in series:
        categories = _points(each, "cat", "xVal") | categories
    places = sorted(set(categories).union(*columns))
    rows = [[categories.get(place, ""), *(column.get(place, "") for column in columns)] for place in places]
    yield from tables.of_rows(rows, ["", *names] if any(names) else None, page=page)


def diagram_pieces(package: OfficePackage, part: str, page: int | None = None) -> Iterator[Piece]:
    """The texts of a diagram (SmartArt), in the order they were entered."""
    root = package.part(part)
    for point in root.iter(f"{DGM}pt") if root is not None else ():
        if text := words(point).strip():
            yield Piece(BlockKind.ITEM, text, page=page)


def words(element: etree._Element) -> str:
    """The text of all paragraphs of a drawing, a line each."""
    paragraphs = [paragraph_text(paragraph) for paragraph in element.iter(f"{A}p")]
    return "\n".join(filter(str.strip, paragraphs))


def paragraph_text(paragraph: etree._Element) -> str:
    """What the runs of a paragraph show. Numbers of slides, which change, are left out."""
    told = []
    for each in paragraph.iter(f"{A}t", f"{A}br", f"{A}tab"):
        if each.tag == f"{A}t":
            field = each.getparent()
            if field is None or field.tag != f"{A}fld" or field.get("type") != "slidenum":
                told.append(each.text or "")
        else:
            told.append("\n" if each.tag == f"{A}br" else " ")
    return "".join(told)


def _name(series: etree._Element) -> str:
    text = series.find(f"{C}tx")
    return " ".join(each.text or "" for each in text.iter(f"{C}v")) if text is not None else ""


def _points(series: etree._Element, *kinds: str) -> dict[int, str]:
    """The cached values of a series by their place."""
    found: dict[int, str] = {}
    for kind in kinds:
        holder = series.find(f"{C}{kind}")
        for point in holder.iter(f"{C}pt") if holder is not None else ():
            place, value = point.get("idx") or "", point.findtext(f"{C}v")
            if place.isdecimal() and len(place) < 8 and value is not None and len(found) < _MAX_POINTS:
                found[int(place)] = _as_shown(value) if kind in ("val", "yVal", "xVal") else value
    return found


def _as_shown(value: str) -> str:
    try:
        return general(float(value))
    except (ValueError, OverflowError):
        return value
