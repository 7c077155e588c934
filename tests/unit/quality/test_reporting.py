"""Sections of the report are written one by one and told together."""

from __future__ import annotations

import json
from pathlib import Path

from tests.quality.reporting import compose, report


def test_sections_come_together_and_a_later_one_replaces_an_earlier(tmp_path: Path) -> None:
    report("Routing, own", {"accuracy": 0.5}, folder=tmp_path)
    report("Routing, own", {"accuracy": 0.91234}, folder=tmp_path)
    report("Answers", {"right": 3}, "### Answers\n\nThree right.\n", folder=tmp_path)

    text = compose(tmp_path)

    assert text.index("Three right.") < text.index("accuracy: 0.912")
    assert "0.500" not in text
    assert json.loads((tmp_path / "report.json").read_text()) == {
        "Answers": {"right": 3},
        "Routing, own": {"accuracy": 0.91234},
    }
    assert (tmp_path / "report.md").read_text() == text


def test_without_sections_the_report_is_empty(tmp_path: Path) -> None:
    assert compose(tmp_path / "none") == "# Quality\n"
