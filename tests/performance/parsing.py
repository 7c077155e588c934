"""How fast files are parsed and cut: pages a second of the PDF path, and what a process for each file costs.

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

from services.ingest.adapters.parsing.formats import parse_bytes
from services.ingest.adapters.parsing_process import ParsingProcess
from services.ingest.adapters.wordpiece_tokens import WordPieceTokens
from services.ingest.chunking import Chunker
from tests.unit.ingest.files import lines, pdf_of

PAGES = 60
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


def measure(content: bytes | None = None) -> dict[str, float]:
    """`pdf_pages_per_second` within a process, `pdf_pages_per_second_in_child` with its start and hand-over,
    `parsing_child_start_ms` for a file of a few bytes, `chunking_pages_per_second`, and `ingest_import_ms`."""
    content = content or report()
    parsed = parse_bytes(content, "pdf")
    pages = parsed.page_count or 1
    inside_seconds = _median_seconds(lambda: parse_bytes(content, "pdf"))
    chunker = Chunker(WordPieceTokens())
    chunk_seconds = _median_seconds(lambda: chunker.chunk(parsed))
    return {
        "pdf_pages": float(pages),
        "pdf_pages_per_second": pages / inside_seconds,
        "pdf_pages_per_second_in_child": pages / asyncio.run(_child_seconds(content, "pdf")),
        "parsing_child_start_ms": asyncio.run(_child_seconds(b"text", "txt")) * 1000,
        "chunking_pages_per_second": pages / chunk_seconds,
        "ingest_import_ms": _import_ms(),
    }


def _median_seconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


async def _child_seconds(content: bytes, extension: str) -> float:
    parser = ParsingProcess(timeout_seconds=120, memory_bytes=1 << 30, max_parallel=1)
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
