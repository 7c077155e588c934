"""Small workbooks and presentations, made when a test needs them, part by part."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
_P = "http://schemas.openxmlformats.org/presentationml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_TYPES = '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'

Parts = Mapping[str, str | bytes]


def zipped(parts: Parts) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {"[Content_Types].xml": _TYPES, **parts}.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def relations(targets: Mapping[str, tuple[str, str]]) -> str:
    """Relationships by id: kind and target."""
    each = (f'<Relationship Id="{key}" Type="{_R}/{kind}" Target="{to}"/>' for key, (kind, to) in targets.items())
    return f'<Relationships xmlns="{_RELATIONS}">{"".join(each)}</Relationships>'


def xlsx_of(
    sheets: Mapping[str, str],
    *,
    styles: Sequence[str] = (),
    shared: Sequence[str] = (),
    hidden: Sequence[str] = (),
    prologue: str = "",
    extra: Parts | None = None,
    properties: str = "",
) -> bytes:
    """A workbook of sheets by name; a sheet is the XML of its rows, made by `rows_of`, or of all there is in it.

    Args: styles: a number format for each cell style from 1 on.
    """
    listed, targets = [], {"rId900": ("styles", "styles.xml"), "rId901": ("sharedStrings", "sharedStrings.xml")}
    parts: dict[str, str | bytes] = {"_rels/.rels": relations({"rId1": ("officeDocument", "xl/workbook.xml")})}
    for at, (name, content) in enumerate(sheets.items(), start=1):
        state = 'state="hidden"' if name in hidden else ""
        listed.append(f'<sheet name={quoteattr(name)} sheetId="{at}" r:id="rId{at}" {state}/>')
        targets[f"rId{at}"] = ("worksheet", f"worksheets/sheet{at}.xml")
        body = content if "<sheetData" in content else f"<sheetData>{content}</sheetData>"
        sheet = f'<worksheet xmlns="{S}">{body}</worksheet>'
        parts[f"xl/worksheets/sheet{at}.xml"] = f'<?xml version="1.0"?>{prologue}{sheet}'
    book = f"{properties}<sheets>{''.join(listed)}</sheets>"
    codes = "".join(f'<numFmt numFmtId="{200 + at}" formatCode={quoteattr(each)}/>' for at, each in enumerate(styles))
    cells = "".join(f'<xf numFmtId="{200 + at}"/>' for at in range(len(styles)))
    formats = f'<numFmts>{codes}</numFmts><cellXfs><xf numFmtId="0"/>{cells}</cellXfs>'
    texts = "".join(f"<si><t>{escape(text)}</t></si>" for text in shared)
    parts |= {
        "xl/workbook.xml": f'<workbook xmlns="{S}" xmlns:r="{_R}">{book}</workbook>',
        "xl/_rels/workbook.xml.rels": relations(targets),
        "xl/styles.xml": f'<styleSheet xmlns="{S}">{formats}</styleSheet>',
        "xl/sharedStrings.xml": f'<sst xmlns="{S}">{texts}</sst>',
    }
    return zipped({**parts, **(extra or {})})


def rows_of(*rows: Sequence[object], first: int = 1) -> str:
    """Rows from the number `first` on. None is an empty cell, a pair a number and its style, text that begins with <
    is XML, in which @ stands for the cell's place."""
    lines = []
    for number, row in enumerate(rows, start=first):
        cells = "".join(_cell(f"{chr(65 + column)}{number}", value) for column, value in enumerate(row))
        lines.append(f'<row r="{number}">{cells}</row>')
    return "".join(lines)


def _cell(place: str, value: object) -> str:
    match value:
        case None:
            return ""
        case str() if value.startswith("<"):
            return value.replace("@", place)
        case str():
            return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
        case (number, style):
            return f'<c r="{place}" s="{style}"><v>{number}</v></c>'
    return f'<c r="{place}"><v>{value}</v></c>'


def pptx_of(*slides: str, notes: Mapping[int, str] | None = None, extra: Parts | None = None) -> bytes:
    """A presentation of slides, each the XML of its shapes, after "hidden" for a hidden one; `notes` by its number."""
    ids = "".join(f'<p:sldId id="{255 + at}" r:id="rId{at}"/>' for at in range(1, len(slides) + 1))
    show = f'<p:presentation xmlns:p="{_P}" xmlns:r="{_R}"><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>'
    targets = {f"rId{at}": ("slide", f"slides/slide{at}.xml") for at in range(1, len(slides) + 1)}
    parts: dict[str, str | bytes] = {
        "_rels/.rels": relations({"rId1": ("officeDocument", "ppt/presentation.xml")}),
        "ppt/presentation.xml": show,
        "ppt/_rels/presentation.xml.rels": relations(targets),
    }
    for at, shapes in enumerate(slides, start=1):
        hidden = 'show="0"' if shapes.startswith("hidden") else ""
        parts[f"ppt/slides/slide{at}.xml"] = _slide("sld", shapes.removeprefix("hidden"), hidden)
        if notes and at in notes:
            target = {"rId1": ("notesSlide", f"../notesSlides/notesSlide{at}.xml")}
            parts[f"ppt/slides/_rels/slide{at}.xml.rels"] = relations(target)
            parts[f"ppt/notesSlides/notesSlide{at}.xml"] = _slide("notes", shape(notes[at], "body"))
    return zipped({**parts, **(extra or {})})


def _slide(tag: str, shapes: str, attributes: str = "") -> str:
    spaces = f'xmlns:p="{_P}" xmlns:a="{A}" xmlns:r="{_R}"'
    return f"<p:{tag} {spaces} {attributes}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:{tag}>"


def shape(text: str, kind: str | None = None, properties: str = "") -> str:
    """A shape of paragraphs, one a line; `kind` is that of its placeholder, "" the main text."""
    mark = "" if kind is None else f'<p:ph type="{kind}"/>' if kind else '<p:ph idx="1"/>'
    paragraphs = "".join(f"<a:p>{properties}<a:r><a:t>{escape(line)}</a:t></a:r></a:p>" for line in text.split("\n"))
    return f"<p:sp><p:nvSpPr><p:cNvPr/><p:nvPr>{mark}</p:nvPr></p:nvSpPr><p:txBody>{paragraphs}</p:txBody></p:sp>"


def slide_table(*rows: Sequence[str], first_row: bool = True) -> str:
    """A table; a text that begins with < is the XML of a cell."""
    lines = "".join(f"<a:tr>{''.join(map(_slide_cell, row))}</a:tr>" for row in rows)
    table = f'<a:tbl><a:tblPr firstRow="{int(first_row)}"/>{lines}</a:tbl>'
    return f"<p:graphicFrame><a:graphic><a:graphicData>{table}</a:graphicData></a:graphic></p:graphicFrame>"


def slide_cell(text: str, attributes: str = "") -> str:
    return f"<a:tc {attributes}><a:txBody><a:p><a:r><a:t>{escape(text)}</a:t></a:r></a:p></a:txBody></a:tc>"


def _slide_cell(text: str) -> str:
    return text if text.startswith("<") else slide_cell(text)
