"""RapidOCR itself in a parsing process, on pages that are pictures. It has an environment of its own, beside docling's.

`DIGLOT_TEST_OCR_SITE` is the folder of packages that holds rapidocr and onnxruntime.
"""

import importlib.util
import os
import sys
from pathlib import Path

import pypdfium2
import pytest

from services.ingest.adapters.parsing.choosing import ReadingHelp
from services.ingest.adapters.parsing_process import ParsingProcess
from services.ingest.adapters.reading_help import reading_help
from services.ingest.models import BlockKind
from tests.unit.ingest.pdf_files import PAGE_HEIGHT, PAGE_WIDTH, Sheet, pdf_of_sheets, stream

SITE = os.environ.get("DIGLOT_TEST_OCR_SITE", "")

pytestmark = pytest.mark.skipif(
    not SITE or not Path(SITE, "rapidocr").is_dir(),
    reason="text recognition has an environment of its own: make test-docling",
)


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> ParsingProcess:
    # The child gets its modules from where this process says it has its own.
    monkeypatch.setattr(sys, "path", [*sys.path, SITE])
    return ParsingProcess(
        timeout_seconds=30,
        memory_bytes=416 * 1024 * 1024,
        max_parallel=1,
        reading_help=ReadingHelp(ocr="rapidocr"),
        help_memory_bytes=1536 * 1024 * 1024,
        help_timeout_seconds=120,
    )


def scanned(*sheets: Sheet) -> bytes:
    """The same pages as pictures."""
    document = pypdfium2.PdfDocument(pdf_of_sheets(*sheets))
    pictures = []
    try:
        for page in document:
            bitmap = page.render(scale=2, grayscale=True)
            pixels = bytes(bitmap.buffer)
            rows = [pixels[row * bitmap.stride :][: bitmap.width] for row in range(bitmap.height)]
            entries = b"/Type/XObject/Subtype/Image/Width %d/Height %d/BitsPerComponent 8/ColorSpace/DeviceGray" % (
                bitmap.width,
                bitmap.height,
            )
            pictures.append(stream(b"".join(rows), entries, packed=True))
    finally:
        document.close()
    shown = [
        Sheet([f"q {PAGE_WIDTH} 0 0 {PAGE_HEIGHT} 0 0 cm /I Do Q"], f"/XObject<</I {7 + place} 0 R>>")
        for place in range(len(pictures))
    ]
    return pdf_of_sheets(*shown, fields=pictures)


def table() -> Sheet:
    sheet = Sheet().text("Takings of the harbour", 60, 60, size=18)
    for row, cells in enumerate([("Source", "2025", "2024"), ("Dues", "4100", "3900"), ("Fines", "310", "205")]):
        sheet.row(cells, (60, 300, 420), 120 + 24 * row, size=12)
    return sheet


async def test_scanned_pages_are_read_in_order_with_their_tables(parser: ParsingProcess, tmp_path: Path) -> None:
    path = tmp_path / "original.pdf"
    path.write_bytes(scanned(table(), Sheet().text("The last ferry sails at nine in the evening.", 60, 100, size=12)))
    told: list[tuple[int, int]] = []

    document = await parser.parse(path, "pdf", on_page=lambda page, of: told.append((page, of)))

    rows = [document.text[b.start : b.end] for b in document.blocks if b.kind is BlockKind.ROW]
    assert rows == ["Source: Dues; 2025: 4100; 2024: 3900", "Source: Fines; 2025: 310; 2024: 205"]
    assert "The last ferry sails at nine in the evening." in document.text
    assert document.blocks[-1].page == 2
    assert document.page_notes == ()
    assert told[-1] == (2, 2)


def test_an_engine_that_is_installed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SITE)
    importlib.invalidate_caches()

    assert reading_help("false", None).ocr == "rapidocr"
