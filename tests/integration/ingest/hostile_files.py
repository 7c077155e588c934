"""Files made to break whoever reads them, each made when it is asked for.

Most are small: what they do, they do when they are unpacked, nested or looked up.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.unit.ingest.files import docx_of, paragraph
from tests.unit.ingest.office_files import S, pptx_of, relations, rows_of, shape, xlsx_of, zipped

_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
_BOMB = f'<!DOCTYPE x [<!ENTITY l0 "ha">{_LAUGHS}]>'
_OUTSIDE = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
_ENTITY = '<c r="@" t="str"><v>&e;</v></c>'
_MESSAGE = b"Subject: x\nMIME-Version: 1.0\nContent-Type: message/rfc822\n\n"


def _compound(stream: str) -> bytes:
    return _COMPOUND + stream.encode("utf-16-le") + bytes(512)


def _noise(count: int) -> str:
    """Cells that hardly shrink, so that no ratio gives them away."""
    dice = random.Random(5)
    return "".join(f'<row r="{n}"><c r="A{n}"><v>{dice.randrange(10**9)}</v></c></row>' for n in range(1, count))


def _multiparts(depth: int) -> bytes:
    return b"".join(
        b"Subject: x\nContent-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth)
    )


def _linked(count: int) -> dict[str, str | bytes]:
    """A slide that is its own notes."""
    targets = {f"r{n}": ("notesSlide", "slide1.xml") for n in range(count)}
    return {"ppt/slides/_rels/slide1.xml.rels": relations(targets)}


FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    # Archives
    "member.docx": ("FILE_BROKEN", lambda: docx_of(paragraph("x"), extra={"word/media/z.bin": bytes(80_000_000)})),
    "xml.docx": ("FILE_BROKEN", lambda: docx_of(paragraph("a") * 600_000)),
    "rows.xlsx": ("FILE_BROKEN", lambda: xlsx_of({"S": "<row><c><v>1</v></c></row>" * 1_000_000})),
    "members.pptx": ("FILE_BROKEN", lambda: zipped({f"ppt/{n}": b"" for n in range(6_000)})),
    "slip.xlsx": ("FILE_BROKEN", lambda: xlsx_of({"S": rows_of(["a"])}, extra={"../../evil.xml": b"x"})),
    "nested.docx": ("FILE_BROKEN", lambda: zipped({"word/document.xml": zipped({"a": bytes(1_000)})})),
    "truncated.pptx": ("FILE_BROKEN", lambda: pptx_of(*(shape(f"text {n}") for n in range(50)))[:-700]),
    # XML
    "laughs.pptx": ("FILE_BROKEN", lambda: zipped({"ppt/presentation.xml": f"{_BOMB}<x>&l11;</x>"})),
    "laughs.xlsx": ("FILE_BROKEN", lambda: xlsx_of({"S": rows_of(["&l11;"])}, prologue=_BOMB)),
    "outside.xlsx": (
        "FILE_BROKEN",
        lambda: xlsx_of({"S": rows_of(['<c r="@" t="str"><v>&e;</v></c>'])}, prologue=_OUTSIDE),
    ),
    "outside.docx": ("FILE_BROKEN", lambda: docx_of("<w:p><w:r><w:t>&e;</w:t></w:r></w:p>", prologue=_OUTSIDE)),
    "deep.docx": ("FILE_BROKEN", lambda: docx_of("<w:sdt>" * 5_000 + "</w:sdt>" * 5_000)),
    "linked.pptx": ("READY", lambda: pptx_of(shape("safe"), extra=_linked(500))),
    # Spreadsheets
    "huge.xlsx": (
        "READY",
        lambda: xlsx_of({"S": f'<dimension ref="A1:XFD1048576"/><sheetData>{rows_of(["Item"], ["Pump"])}</sheetData>'}),
    ),
    "columns.xlsx": ("FILE_BROKEN", lambda: xlsx_of({"S": f"<row>{'<c><v>1</v></c>' * 20_000}</row>"})),
    "merges.xlsx": (
        "FILE_BROKEN",
        lambda: xlsx_of(
            {
                "S": f"<sheetData>{rows_of(['a'])}</sheetData><mergeCells>"
                + "".join(f'<mergeCell ref="A{n}:B{n}"/>' for n in range(1, 80_000))
                + "</mergeCells>"
            }
        ),
    ),
    "numbers.xlsx": ("READY", lambda: xlsx_of({"S": _noise(4_000)}, styles=["0" * 300, ";" * 200, "[" * 250])),
    # Text
    "line.csv": ("FILE_BROKEN", lambda: b"x" * 20_000_000),
    "columns.csv": ("FILE_BROKEN", lambda: b",".join([b"c"] * 1_000_000)),
    "quote.csv": ("FILE_BROKEN", lambda: b'a,b\n"' + b"x,y\n" * 1_000_000),
    "amplified.csv": (
        "FILE_BROKEN",
        lambda: b",".join(b"h%075d" % n for n in range(2_000)) + (b"\n" + b",".join([b"1"] * 2_000)) * 1_000,
    ),
    "deep.json": ("FILE_BROKEN", lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "arrays.json": ("FILE_BROKEN", lambda: b'{"a":{"b":[' + b"[]," * 8_000_000 + b"1]}}"),
    "deep.html": ("FILE_BROKEN", lambda: b"<div>" * 100_000 + b"deep" + b"</div>" * 100_000),
    "spans.html": (
        "FILE_BROKEN",
        lambda: b"<table>" + b"<tr>" + b"<td colspan=1000 rowspan=65534>x</td>" * 50 + b"<tr>" * 5_000 + b"</table>",
    ),
    "entities.html": ("READY", lambda: f"{_OUTSIDE}<p>&e;kept</p>".encode()),
    "deep.md": ("FILE_BROKEN", lambda: b"> " * 50_000 + b"deep"),
    "bytes.txt": ("FILE_BROKEN", lambda: random.Random(7).randbytes(300_000).translate(None, bytes(range(128)))),
    # Mail
    "messages.eml": ("FILE_BROKEN", lambda: _MESSAGE * 1_000 + b"Subject: deep\n\ntext"),
    "multiparts.eml": ("FILE_BROKEN", lambda: _multiparts(1_000)),
    "recipients.eml": ("READY", lambda: b"Subject: x\nTo: " + b'"a" <a@example.org>, ' * 50_000 + b"\n\ntext"),
    # Named as something else, old, or closed
    "workbook.docx": ("FILE_TYPE_MISMATCH", lambda: xlsx_of({"S": rows_of(["a"])})),
    "program.eml": ("FILE_TYPE_MISMATCH", lambda: b"\x7fELF\x02\x01\x01" + bytes(100)),
    "prose.eml": ("FILE_TYPE_MISMATCH", lambda: b"Nobody wrote this to anybody."),
    "old.docx": ("FILE_TYPE_MISMATCH", lambda: _compound("WordDocument")),
    "old.xlsx": ("FILE_TYPE_MISMATCH", lambda: _compound("Workbook")),
    "old.pptx": ("FILE_TYPE_MISMATCH", lambda: _compound("PowerPoint Document")),
    "closed.xlsx": ("FILE_BROKEN", lambda: _compound("EncryptedPackage")),
    "shared.xlsx": (
        "FILE_BROKEN",
        lambda: xlsx_of(
            {"S": rows_of(['<c r="@" t="s"><v>0</v></c>'])},
            extra={"xl/sharedStrings.xml": f'{_OUTSIDE}<sst xmlns="{S}"><si><t>&e;</t></si></sst>'},
        ),
    ),
}
"""What the service says of each file, READY or the reason of its refusal, and the file."""
