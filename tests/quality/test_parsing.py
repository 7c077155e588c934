"""Parsing on real files: reported for all of them, with a floor below what was measured."""

from pathlib import Path

import pytest

from tests.quality.evaluation_data import EVALUATION, needs_evaluation_data, read_lines
from tests.quality.ingest.run import Options, evaluate
from tests.quality.reporting import report

pytestmark = [pytest.mark.quality, needs_evaluation_data(), pytest.mark.timeout(600)]

LEAST_SHARE = 0.95


async def test_real_files_are_read_right_and_scans_never_stored_empty(tmp_path: Path) -> None:
    out = tmp_path / "predictions.jsonl"

    outcome = await evaluate(Options(EVALUATION / "docs_messy", "public", out))

    report("parsing docs_messy", outcome.as_figures(), outcome.as_text())
    assert outcome.as_figures()["no_ocr"] >= LEAST_SHARE
    assert all(line["text"].strip() for line in read_lines(out) if line["status"] == "ok")
