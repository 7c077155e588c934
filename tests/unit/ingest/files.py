"""Small files of each kind, made when a test needs them."""

from __future__ import annotations

import ctypes
import io
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import pypdfium2
import pypdfium2.raw as pdfium

PAGE_WIDTH, PAGE_HEIGHT = 595.0, 842.0


@dataclass(frozen=True)
class Words:
    """Text whose baseline starts `left` points from the left and `top` from the top, turned against the clock."""

    text: str
    left: float
    top: float
    size: float = 11
    turn: int = 0


def pdf_of(*pages: Sequence[Words], title: str = "", rotation: int = 0) -> bytes:
    """A PDF of pages with text in Helvetica."""
    document = pypdfium2.PdfDocument.new()
    font = pdfium.FPDFText_LoadStandardFont(document.raw, b"Helvetica")
    for words in pages:
        page = document.new_page(PAGE_WIDTH, PAGE_HEIGHT)
        for word in words:
            text_object = pdfium.FPDFPageObj_CreateTextObj(document.raw, font, ctypes.c_float(word.size))
            encoded = (word.text + "\x00").encode("utf-16-le")
            buffer = ctypes.create_string_buffer(encoded, len(encoded))
            pdfium.FPDFText_SetText(text_object, ctypes.cast(buffer, pdfium.FPDF_WIDESTRING))
            cosine, sine = math.cos(math.radians(word.turn)), math.sin(math.radians(word.turn))
            place = word.left, PAGE_HEIGHT - word.top
            pdfium.FPDFPageObj_Transform(text_object, cosine, sine, -sine, cosine, *place)
            pdfium.FPDFPage_InsertObject(page.raw, text_object)
        pdfium.FPDFPage_SetRotation(page.raw, rotation // 90)
        pdfium.FPDFPage_GenerateContent(page.raw)
    buffer_out = io.BytesIO()
    document.save(buffer_out)
    document.close()
    return buffer_out.getvalue()


def lines(texts: Sequence[str], *, left: float = 60, top: float = 100, size: float = 11) -> list[Words]:
    """Lines of one paragraph or column."""
    return [Words(text, left, top + place * size * 1.3, size) for place, text in enumerate(texts)]


ENCRYPTED_PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj\n"
    b"4 0 obj<</Filter/Standard/V 1/R 2/P -4/O<" + b"41" * 32 + b">/U<" + b"42" * 32 + b">>>endobj\n"
    b"trailer<</Root 1 0 R/Encrypt 4 0 R/ID[<41><41>]/Size 5>>\n%%EOF"
)

_CONTENT_TYPES = '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_STYLES = f"""<w:styles xmlns:w="{_W}">
<w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>
<w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>
<w:style w:styleId="Eigene"><w:name w:val="Own"/><w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>
</w:styles>"""


def docx_of(body: str, *, prologue: str = "", styles: str = _STYLES, extra: dict[str, bytes] | None = None) -> bytes:
    """A Word document with that content of its w:body."""
    buffer = io.BytesIO()
    document = f'<?xml version="1.0"?>{prologue}<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>'
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _CONTENT_TYPES)
        archive.writestr("word/document.xml", document)
        archive.writestr("word/styles.xml", styles)
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return buffer.getvalue()


def paragraph(text: str, style: str = "", properties: str = "") -> str:
    style_mark = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{style_mark}{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def table(*rows: Sequence[str]) -> str:
    cells = ("".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in cells)}</w:tbl>"
