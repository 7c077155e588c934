"""Whether files were read right: by the scorer that comes with the data, else by its rules as we read them."""

import json
import re
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.quality.ingest.parts import Expected
from tests.quality.sql.errors import RunFailed

SCORER = "score_ingest.py"
_MOST_BETWEEN_CELLS = 120
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\xad": ""})
_MARKUP = re.compile(r"[*_`#\\]")

Prediction = Mapping[str, Any]


def scorer_beside(data: Path) -> Path | None:
    """The scorer that comes with evaluation data, where it does."""
    for folder in (data.absolute().parent, data.resolve().parent):  # a link, or where it leads
        if (folder / "score" / SCORER).is_file():
            return folder / "score" / SCORER
    return None


def score_with(scorer: Path, expectations: Path, predictions: Sequence[Prediction]) -> dict[str, float]:
    """The share of checks that hold for each file, by the scorer. Raises: RunFailed: it fails."""
    with tempfile.TemporaryDirectory() as folder:
        predicted, details = Path(folder) / "predictions.jsonl", Path(folder) / "details.jsonl"
        predicted.write_text("".join(json.dumps(line) + "\n" for line in predictions), encoding="utf-8")
        arguments = ["--expect", expectations, "--predictions", predicted, "--details", details]
        command = [sys.executable, str(scorer), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0 or not details.is_file():
            raise RunFailed(f"{scorer} fails: {done.stderr.strip()[-500:]}")
        rows = [json.loads(line) for line in details.read_text(encoding="utf-8").split("\n") if line]
    return {row["file"]: float(row["score"]) for row in rows}


def score(expected: Expected, prediction: Prediction) -> float:
    """The share of checks that hold, by our own count: 1 for a refusal where one is right, 0 for any other."""
    refused = prediction["status"] == "rejected" and bool(prediction.get("error"))
    if expected.outcome == "reject" or (expected.outcome == "ok_or_reject" and prediction["status"] == "rejected"):
        return float(refused)
    if prediction["status"] != "ok" or not (text := plain(prediction["text"])):
        return 0.0
    dense = text.replace(" ", "")
    checks = [plain(phrase) in text or plain(phrase).replace(" ", "") in dense for phrase in expected.phrases]
    checks += [_has_row(text, cells) for cells in expected.rows]
    checks += [0 <= text.find(plain(one)) < text.find(plain(other)) for one, other in expected.order]
    checks += [plain(phrase) not in text for phrase in expected.unwanted]
    return sum(checks) / len(checks) if checks else 1.0


def plain(text: str) -> str:
    """The text without what differs between right readings: case, white space, marks of markup, broken words."""
    folded = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    mended = re.sub(r"(\w)-\s*\n\s*(\w)", r"\1\2", folded)
    return " ".join(_MARKUP.sub("", mended).casefold().split())


def _has_row(text: str, cells: Sequence[str]) -> bool:
    """Whether the cells follow each other, with names of columns between them at most."""
    parts = [rf"(?<![\w.]){re.escape(plain(cell))}(?!\w)" for cell in cells]
    return re.search(f".{{0,{_MOST_BETWEEN_CELLS}}}?".join(parts), text) is not None
