"""Hostile files, poisoned documents and statements of the evaluation data, put to the real services."""

from pathlib import Path

import pytest

from tests.quality.evaluation_data import EVALUATION, needs_evaluation_data
from tests.quality.reporting import report
from tests.quality.security.run import Options, evaluate

pytestmark = [pytest.mark.quality, needs_evaluation_data(), pytest.mark.timeout(1_200)]


async def test_no_attack_gets_through(tmp_path: Path) -> None:
    measured = await evaluate(Options(EVALUATION / "security", "public", tmp_path / "predictions.jsonl"))

    figures = measured.as_figures()
    report("security", figures, measured.as_text())
    assert measured.faults == []
    assert figures["bad_files"] == 1
    assert (figures["injected"], figures["guard_missed"], figures["guard_false"]) == (0, 0, 0)
