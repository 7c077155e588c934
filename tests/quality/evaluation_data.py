"""Where evaluation data lies, how it is read, and the scorers that come with it."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

EVALUATION = Path(__file__).parents[3] / "shared" / "eval"
DEVELOPMENT = Path(__file__).parent / "dev"


def needs_evaluation_data() -> pytest.MarkDecorator:
    """Skips where the evaluation data, which is no part of this repository, is absent."""
    return pytest.mark.skipif(not EVALUATION.is_dir(), reason="evaluation data is not beside this repository")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def write_lines(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    """Write objects, one a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def score(scorer: str, **options: Path) -> dict[str, float]:
    """Run a scorer of the evaluation data and read what it prints."""
    arguments = [part for name, path in options.items() for part in (f"--{name}", str(path))]
    command = [sys.executable, str(EVALUATION / "score" / f"{scorer}.py"), *arguments]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    scores: dict[str, float] = json.loads(printed)
    return scores
