"""A PDF of plain prose, written by hand: two built-in fonts, wrapped lines, numbered pages. No library needed."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_PAGE_WIDTH, _PAGE_HEIGHT, _MARGIN = 595, 842, 64  # A4, in points
_REGULAR, _BOLD = "F1", "F2"
# Advance widths of Helvetica for the characters " " to "~", in thousandths of the font size.
_WIDTHS = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 "
    "556 278 278 584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 "
    "722 667 611 722 667 944 667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 "
    "500 222 833 556 556 556 556 333 500 278 556 500 722 500 500 500 334 260 334 584"
)
_WIDTH_OF = dict(zip(map(chr, range(32, 127)), map(int, _WIDTHS.split()), strict=True))
_BOLD_IS_WIDER = 1.08


@dataclass(frozen=True)
class Block:
    """A stretch of text: `kind` is title, heading, item or paragraph."""

    kind: str
    text: str


@dataclass(frozen=True)
class _Style:
    font: str
    size: float
    line_height: float
    space_before: float
    indent: float = 0


_STYLES = {
    "title": _Style(_BOLD, 20, 26, 0),
    "heading": _Style(_BOLD, 13, 17, 16),
    "paragraph": _Style(_REGULAR, 10.5, 14.5, 6),
    "item": _Style(_REGULAR, 10.5, 14.5, 3, indent=14),
}


def pdf_of(blocks: Sequence[Block]) -> bytes:
    """Lay the blocks out on A4 pages. The same blocks give the same bytes.

    Raises: KeyError: the text holds a character outside of ASCII, or a kind is unknown.
    """
    pages = _paginate(blocks)
    objects: list[bytes] = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>"
        % (b" ".join(b"%d 0 R" % (6 + 2 * number) for number in range(len(pages))), len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
        b"<< /Title (%s) >>" % _escape(blocks[0].text).encode(),
    ]
    for number, drawing in enumerate(pages):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> >>" % (_PAGE_WIDTH, _PAGE_HEIGHT, 7 + 2 * number)
        )
        packed = zlib.compress(drawing.encode("ascii"), 9)
        objects.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed))
    return _file_of(objects)


def _file_of(objects: Sequence[bytes]) -> bytes:
    content = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start_of_table = len(content)
    content += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    content += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    content += b"trailer\n<< /Size %d /Root 1 0 R /Info 5 0 R >>\n" % (len(objects) + 1)
    content += b"startxref\n%d\n%%%%EOF\n" % start_of_table
    return bytes(content)


def _paginate(blocks: Sequence[Block]) -> list[str]:
    """Drawing instructions page by page; a heading never stands alone at the foot of a page."""
    pages: list[list[str]] = [[]]
    top = float(_PAGE_HEIGHT - _MARGIN)
    for block in blocks:
        style = _STYLES[block.kind]
        lines = list(_wrap(block.text, style))
        needed = style.line_height * (4 if block.kind == "heading" else min(2, len(lines)))
        if top - style.space_before - needed < _MARGIN:
            pages.append([])
            top = float(_PAGE_HEIGHT - _MARGIN)
        top -= style.space_before
        for position, line in enumerate(lines):
            if top - style.line_height < _MARGIN:
                pages.append([])
                top = float(_PAGE_HEIGHT - _MARGIN)
            top -= style.line_height
            if block.kind == "item" and position == 0:
                pages[-1].append(_draw("-", style, _MARGIN + 3, top))
            pages[-1].append(_draw(line, style, _MARGIN + style.indent, top))
    for number, page in enumerate(pages, start=1):
        page.append(_draw(f"Page {number} of {len(pages)}", _Style(_REGULAR, 8, 10, 0), _PAGE_WIDTH / 2 - 20, 36))
    return ["\n".join(page) for page in pages]


def _wrap(text: str, style: _Style) -> Iterator[str]:
    room = _PAGE_WIDTH - 2 * _MARGIN - style.indent
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if line and _width(longer, style) > room:
            yield line
            longer = word
        line = longer
    yield line


def _width(text: str, style: _Style) -> float:
    wider = _BOLD_IS_WIDER if style.font == _BOLD else 1
    return sum(_WIDTH_OF[character] for character in text) / 1000 * style.size * wider


def _draw(text: str, style: _Style, left: float, bottom: float) -> str:
    return f"BT /{style.font} {style.size} Tf {left:.1f} {bottom:.1f} Td ({_escape(text)}) Tj ET"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
