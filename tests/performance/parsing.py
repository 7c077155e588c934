"""How fast files are parsed and cut: the PDF path beside bare text extraction, and what a process for each file costs.

Run by itself: `python -m tests.performance.parsing [PDF …]`. Without arguments it measures a report made for it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pypdfium2

from services.ingest.adapters.parsing.formats import parse_bytes
from services.ingest.adapters.parsing.pdf import parse_pdf
from services.ingest.adapters.parsing.pdf_workers import IsolatedPages
from services.ingest.adapters.parsing_process import ParsingProcess
from services.ingest.adapters.wordpiece_tokens import WordPieceTokens
from services.ingest.chunking import Chunker
from tests.unit.ingest.files import lines, pdf_of
from tests.unit.ingest.pdf_files import Sheet, pdf_of_sheets

PAGES = 100
_LINES_A_PAGE = 48
_REPEATS = 5
_SENTENCE = "Revenue of the northern region grew by {} percent, which the board expects to last until spring."


def report(page_count: int = PAGES) -> bytes:
    """A PDF of full pages of text in one column."""
    return pdf_of(
        *(
            lines([_SENTENCE.format(page * 100 + line) for line in range(_LINES_A_PAGE)], top=60, size=9)
            for page in range(page_count)
        )
    )


def mixed_report(page_count: int = PAGES) -> bytes:
    """Pages in turn of text, of two columns, and of a ruled and an aligned table, each under a heading."""
    sheets = []
    for page in range(page_count):
        sheet = Sheet().text(f"Section {page + 1}", 60, 60, size=16).text("Harbour report", 60, 30, size=8)
        if page % 3 == 0:
            for line in range(54):
                sheet.text(_SENTENCE.format(page * 100 + line), 60, 90 + 13 * line, size=9)
        elif page % 3 == 1:
            for line in range(54):
                for left in (60, 310):
                    sheet.text(
                        f"Column text of {left}, line {line} of page {page}, and on", left, 90 + 13 * line, size=9
                    )
        else:
            sheet.grid((60, 240, 340, 440), [90 + 18 * row for row in range(16)])
            for row in range(15):
                cells = ("Berth", "2025", "2024") if row == 0 else (f"Pier {row}", f"{row * 37}", f"{row * 31}")
                sheet.row(cells, (64, 244, 344), 102 + 18 * row)
                sheet.row(cells, (64, 300, 420), 420 + 18 * row)
        sheets.append(sheet.text(f"Page {page + 1} of {page_count}", 280, 815, size=8))
    return pdf_of_sheets(*sheets)


def measure(content: bytes | None = None) -> dict[str, float]:
    """Figures of parsing and cutting; ratios are of one document within one run.

    `pdf_over_bare` is our time for a PDF over that of PDFium alone for the same pages' text, `pdf_in_child_over_bare`
    the same with the start of a process and the hand-over, `pdf_one_process_over_bare` without reading pages side by
    side; the others are `pdf_pages_per_second`, `pdf_pages_per_second_in_child`, `parsing_child_start_ms` for a file
    of a few bytes, `chunking_pages_per_second` and `ingest_import_ms`.
    """
    content = content or mixed_report()
    parsed = parse_bytes(content, "pdf")
    pages = parsed.page_count or 1
    bare_seconds = _median_seconds(lambda: bare_text(content))
    alone_seconds = _median_seconds(lambda: parse_bytes(content, "pdf"))
    inside_seconds = _median_seconds(lambda: parse_pdf(content, open_pages=IsolatedPages))
    in_child_seconds = asyncio.run(_child_seconds(content, "pdf"))
    chunker = Chunker(WordPieceTokens())
    chunk_seconds = _median_seconds(lambda: chunker.chunk(parsed))
    return {
        "pdf_pages": float(pages),
        "pdf_over_bare": inside_seconds / bare_seconds,
        "pdf_in_child_over_bare": in_child_seconds / bare_seconds,
        "pdf_one_process_over_bare": alone_seconds / bare_seconds,
        "pdf_pages_per_second": pages / inside_seconds,
        "pdf_pages_per_second_in_child": pages / in_child_seconds,
        "bare_pages_per_second": pages / bare_seconds,
        "parsing_child_start_ms": asyncio.run(_child_seconds(b"text", "txt")) * 1000,
        "chunking_pages_per_second": pages / chunk_seconds,
        "ingest_import_ms": _import_ms(),
    }


def bare_text(content: bytes) -> list[str]:
    """The text of every page as PDFium has it, and nothing else."""
    document = pypdfium2.PdfDocument(content)
    texts = []
    for page in document:
        text_page = page.get_textpage()
        texts.append(text_page.get_text_range())
        text_page.close()
        page.close()
    document.close()
    return texts


def _median_seconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


async def _child_seconds(content: bytes, extension: str) -> float:
    parser = ParsingProcess(timeout_seconds=120, memory_bytes=416 << 20, max_parallel=1)
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"original.{extension}"
        path.write_bytes(content)
        for _ in range(_REPEATS):
            began = time.perf_counter()
            await parser.parse(path, extension)
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _import_ms() -> float:
    code = "import time; t = time.perf_counter(); import services.ingest.wiring; print(time.perf_counter() - t)"
    runs = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)
        for _ in range(_REPEATS)
    ]
    return statistics.median(runs) * 1000


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        print(path.name, json.dumps(measure(path.read_bytes()), indent=2))
    if not sys.argv[1:]:
        print(json.dumps(measure(), indent=2))
