"""Files of every kind with a few bytes changed: read or refused in words, never a crash of ours."""

from __future__ import annotations

import io
import random
import re
import zipfile

import pytest

from services.ingest.adapters.parsing.formats import parse_bytes
from services.ingest.errors import FileRefused
from tests.unit.ingest.files import docx_of, paragraph, table
from tests.unit.ingest.office_files import pptx_of, rows_of, shape, slide_cell, slide_table, xlsx_of, zipped

_VARIANTS = 40
_SHEET = rows_of(["Title"], ["Region", "Sales", None], ["x", (45292, 1), (0.5, 2)], ['<c r="@" t="s"><v>0</v></c>', 2])
_MESSAGE = b"""Subject: =?utf-8?q?caf=C3=A9?=
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="x"

--x
Content-Type: text/html; charset=utf-8

<table><tr><th>a<th>b<tr><td>1<td>2</table>
--x
Content-Type: text/csv
Content-Disposition: attachment; filename*=utf-8''gr%C3%B6%C3%9Fe.csv

a,b
1,2
--x
Content-Type: message/rfc822

Subject: inner

text
--x--
"""
SEEDS = {
    "xlsx": xlsx_of(
        {"S": f'<sheetData>{_SHEET}</sheetData><mergeCells><mergeCell ref="B2:C2"/></mergeCells>'},
        styles=["d/m/yyyy", "0.0%;(0)"],
        shared=["hello"],
    ),
    "pptx": pptx_of(
        shape("T", "title") + shape("a\nb", "") + slide_table(["A", slide_cell("x", 'gridSpan="2"')], ["1", "2", "3"]),
        shape("x"),
        notes={1: "note"},
    ),
    "docx": docx_of(paragraph("Scope", "berschrift1") + table(("A", "B"), ("1", "2")) + paragraph("x")),
    "eml": _MESSAGE,
    "html": b"<h1>x</h1><table><tr><th rowspan=2>a<th colspan=2>b<tr><td>1<td>2</table><ul><li>x<ul><li>y</ul></ul>",
    "md": b"---\ntitle: x\n---\n# h\n- a\n  - b\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\ncode\n```\n<div>x</div>",
    "csv": b'sep=;\nTitle\nName;Age\n"Ann; x";5\nBo;6\n',
    "json": b'{"a": [{"x": 1, "y": [1, {"z": 2}]}], "b": {"c": null}, "d": [1, 2]}',
    "jsonl": b'{"a": 1}\n{"a": [1,2]}\n{"b": {"c": "text"}}\n',
    "txt": "Größe\n\nzwei".encode("utf-16"),
}
_SCRAPS = (
    b"<",
    b">",
    b'"',
    b"-1",
    b"99999999999999999999",
    b"&amp;",
    b"\x00",
    b"\xff\xfe",
    b"=?utf-8?b?",
    b"{",
    b"]",
    b"|",
)
_VALUES = (b'"-5"', b'"x"', b'"99999999999"', b'""', b'"1e9"', '"²"'.encode())


def damaged(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.randrange(1, 6)):
        at = dice.randrange(len(changed) + 1)
        match dice.randrange(5):
            case 0:
                changed[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                del changed[at : at + dice.randrange(1, 20)]
            case 2:
                changed[at:at] = dice.choice(_SCRAPS)
            case 3:
                changed[at:at] = changed[at : at + 60]
            case _:
                if values := list(re.finditer(rb'"[^"]{1,8}"', bytes(changed))):
                    value = dice.choice(values)
                    changed[value.start() : value.end()] = dice.choice(_VALUES)
    return bytes(changed)


def damaged_part(data: bytes, dice: random.Random) -> bytes:
    """The archive with damage in one of its parts."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    name = dice.choice(sorted(parts))
    content = parts[name]
    parts[name] = damaged(content if isinstance(content, bytes) else content.encode(), dice)
    return zipped(parts)


@pytest.mark.parametrize("extension", SEEDS)
def test_damage_is_read_past_or_refused_in_words(extension: str) -> None:
    dice = random.Random(extension)
    seed = SEEDS[extension]
    assert parse_bytes(seed, extension).text

    outcomes = []
    for number in range(_VARIANTS):
        change = damaged_part if zipfile.is_zipfile(io.BytesIO(seed)) and number % 4 else damaged
        try:
            document = parse_bytes(change(seed, dice), extension)
        except FileRefused as error:
            outcomes.append(str(error))
            continue
        outcomes.append(document.text)
        document.text.encode()
        assert all(0 <= block.start < block.end <= len(document.text) for block in document.blocks)
    assert all(outcomes)
    assert len(set(outcomes)) > 1
