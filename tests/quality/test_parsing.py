"""Parsing on real files: reported for the kinds served, with a floor below what was measured."""

import asyncio
from pathlib import Path

import pytest

from services.ingest.adapters.parsing_process import ParsingProcess
from services.ingest.errors import FileRefused
from services.ingest.filenames import CONTENT_TYPES
from tests.quality.evaluation_data import EVALUATION, needs_evaluation_data, read_lines, score, write_lines
from tests.quality.reporting import report

pytestmark = [pytest.mark.quality, needs_evaluation_data(), pytest.mark.timeout(600)]

MESSY = EVALUATION / "docs_messy" / "public"
LEAST_SHARE = 0.9


async def test_real_files_of_the_kinds_served_are_read_right(tmp_path: Path) -> None:
    expected = [
        line
        for line in read_lines(MESSY / "expect.jsonl")
        # Text that only OCR can find is for the part that has OCR.
        if line["file"].rpartition(".")[2] in CONTENT_TYPES and line["needs"] != "ocr"
    ]
    parser = ParsingProcess(timeout_seconds=120, memory_bytes=1 << 30, max_parallel=2)

    predictions = await asyncio.gather(*(_prediction(parser, str(line["file"])) for line in expected))

    scores = score(
        "score_ingest",
        expect=write_lines(tmp_path / "expected.jsonl", expected),
        predictions=write_lines(tmp_path / "predictions.jsonl", predictions),
    )
    report("parsing docs_messy", scores)
    shares = {kind: figures["mean"] for kind, figures in scores.items()}  # type: ignore[index]
    assert shares["all"] >= LEAST_SHARE


async def test_pages_that_only_ocr_could_read_are_refused_and_not_stored_empty() -> None:
    parser = ParsingProcess(timeout_seconds=120, memory_bytes=1 << 30, max_parallel=2)
    scanned = [line["file"] for line in read_lines(MESSY / "expect.jsonl") if line["needs"] == "ocr"]

    outcomes = [(await _prediction(parser, name))["status"] for name in scanned]

    assert set(outcomes) == {"rejected"}


async def _prediction(parser: ParsingProcess, name: str) -> dict[str, object]:
    try:
        parsed = await parser.parse(MESSY / "files" / name, name.rpartition(".")[2])
    except FileRefused as error:
        return {"file": name, "status": "rejected", "text": "", "error": str(error)}
    return {"file": name, "status": "ok", "text": parsed.text}
