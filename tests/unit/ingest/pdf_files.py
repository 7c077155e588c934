"""PDFs written object by object: what a library would not write, or writes in its own way."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

PAGE_WIDTH, PAGE_HEIGHT = 595, 842
_FONTS = b"<</F 4 0 R/B 5 0 R>>"


@dataclass
class Sheet:
    """What a page shows: operators that are added one by one; places in points from the upper left corner."""

    operators: list[str] = field(default_factory=list)
    resources: str = ""
    annotations: str = ""

    def text(self, text: str, left: float, top: float, *, size: float = 10, bold: bool = False) -> Sheet:
        """A stretch of text on one line, whose baseline stands at `top`."""
        escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        font = "B" if bold else "F"
        self.operators.append(f"BT /{font} {size} Tf {left} {PAGE_HEIGHT - top} Td ({escaped}) Tj ET")
        return self

    def row(self, cells: Sequence[str], lefts: Sequence[float], top: float, **how: float) -> Sheet:
        """Cells on one line; empty ones are left out."""
        for cell, left in zip(cells, lefts, strict=True):
            if cell:
                self.text(cell, left, top, size=how.get("size", 10), bold=bool(how.get("bold")))
        return self

    def line(self, left: float, top: float, right: float, bottom: float) -> Sheet:
        """A thin line."""
        self.operators.append(f"0.5 w {left} {PAGE_HEIGHT - top} m {right} {PAGE_HEIGHT - bottom} l S")
        return self

    def grid(self, xs: Sequence[float], ys: Sequence[float]) -> Sheet:
        """Lines of a whole table."""
        for y in ys:
            self.line(xs[0], y, xs[-1], y)
        for x in xs:
            self.line(x, ys[0], x, ys[-1])
        return self

    def image(self) -> Sheet:
        """A picture over the whole page."""
        self.operators.append(f"q {PAGE_WIDTH} 0 0 {PAGE_HEIGHT} 0 0 cm /I Do Q")
        self.resources = "/XObject<</I 6 0 R>>"
        return self


def stream(data: bytes, entries: bytes = b"", *, packed: bool = False) -> bytes:
    """A stream object, which can be packed."""
    if packed:
        data, entries = zlib.compress(data, 9), entries + b"/Filter/FlateDecode"
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (entries, len(data), data)


def pdf_of_objects(objects: Sequence[bytes], *, trailer: bytes = b"") -> bytes:
    """The objects, numbered from 1; the first is the catalogue."""
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table_at = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, trailer, table_at)
    return bytes(out)


def pdf_of_sheets(*sheets: Sheet, fields: Sequence[bytes] = (), catalogue: bytes = b"") -> bytes:
    """A page for each sheet. Objects 4 to 6 are the fonts and the picture; `fields` come next, as form fields."""
    first_page = 7 + len(fields)
    kids = b" ".join(b"%d 0 R" % (first_page + 2 * place) for place in range(len(sheets)))
    numbers = b" ".join(b"%d 0 R" % (7 + place) for place in range(len(fields)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[%s]/DA(/F 10 Tf)>>%s>>" % (numbers, catalogue),
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(sheets)),
        b"null",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold/Encoding/WinAnsiEncoding>>",
        stream(b"\x80" * 64, b"/Type/XObject/Subtype/Image/Width 8/Height 8/BitsPerComponent 8/ColorSpace/DeviceGray"),
        *fields,
    ]
    for place, sheet in enumerate(sheets):
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]/Resources<</Font%s%s>>/Contents %d 0 R%s>>"
            % (
                PAGE_WIDTH,
                PAGE_HEIGHT,
                _FONTS,
                sheet.resources.encode(),
                first_page + 2 * place + 1,
                sheet.annotations.encode(),
            )
        )
        objects.append(stream("\n".join(sheet.operators).encode("cp1252")))
    return pdf_of_objects(objects)


def pdf_of_content(content: bytes, *, box: bytes = b"[0 0 595 842]", more: Sequence[bytes] = ()) -> bytes:
    """One page whose content is that object; `more` are objects from 6 on, of which 6 can be drawn as /X."""
    drawn = b"/XObject<</X 6 0 R>>" if more else b""
    return pdf_of_objects(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox%s/Resources<</Font<</F 4 0 R>>%s>>/Contents 5 0 R>>" % (box, drawn),
            b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
            content,
            *more,
        ]
    )
