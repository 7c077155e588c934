"""One run: every file checked and parsed as an upload is, its text written down and held against what it should be."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, TextIO

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.ingest.adapters.parsing_process import ParsingProcess
from services.ingest.adapters.reading_help import reading_help
from services.ingest.errors import FileRefused
from services.ingest.filenames import clean_filename, served_extension
from services.ingest.models import ParsedDocument
from services.ingest.settings import IngestSettings
from services.ingest.sniffing import check_content
from services.transport.errors import SettingsRefused
from tests.quality.ingest.parts import Expected, Part, read_part
from tests.quality.ingest.scoring import score, score_with, scorer_beside
from tests.quality.sql.errors import BadInput


class HelpSettings(BaseSettings):
    """Who helps to read, under the names that the service knows."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    docling: Literal["true", "false", "auto"] = Field(default="auto", validation_alias="USE_DOCLING")
    models: Path | None = Field(default=None, validation_alias="DOCLING_ARTIFACTS_PATH")
    ocr: Literal["auto", "rapidocr", "docling", "none"] = Field(default="auto", validation_alias="INGEST_OCR_ENGINE")


@dataclass(frozen=True)
class Options:
    """What to run."""

    data: Path
    part: str
    out: Path
    limit: int | None = None


@dataclass(frozen=True)
class Report:
    """All figures of a run, and the files that were not read quite right, with what came of them."""

    title: str
    figures: dict[str, Any]
    faults: list[str]

    def as_figures(self) -> dict[str, Any]:
        """Everything, the figures that are compared from run to run first."""
        return self.figures

    def as_text(self) -> str:
        """A list in Markdown."""
        lines = [f"- {name.replace('_', ' ')}: {value}" for name, value in self.figures.items()]
        return "\n".join([f"### {self.title}", "", *lines, *(f"- not right: {fault}" for fault in self.faults)]) + "\n"


async def evaluate(options: Options) -> Report:
    """Run it. Progress is told on stderr. Raises: BadInput, RunFailed."""
    part = read_part(options.data, options.part, limit=options.limit)
    chosen = HelpSettings()
    try:
        helpers = reading_help(chosen.docling, chosen.models, chosen.ocr)
    except SettingsRefused as error:
        raise BadInput(str(error)) from error
    bounds = {name: field.default for name, field in IngestSettings.model_fields.items()}
    parser = ParsingProcess(
        timeout_seconds=bounds["parsing_timeout_seconds"],
        quiet_seconds=bounds["parsing_quiet_seconds"],
        memory_bytes=bounds["parsing_memory_bytes"],
        max_parallel=1,
        reading_help=helpers,
        help_memory_bytes=bounds["docling_memory_bytes"],
        help_timeout_seconds=bounds["docling_timeout_seconds"],
    )
    predictions: list[dict[str, Any]] = []
    with _open_out(options.out) as out:
        for expected in part.files:
            predictions.append(await _prediction(parser, expected))
            out.write(json.dumps(predictions[-1]) + "\n")
            out.flush()
    scorer = scorer_beside(options.data) if options.limit is None else None
    if scorer is None:
        scores = {each.file: score(each, prediction) for each, prediction in zip(part.files, predictions, strict=True)}
    else:
        scores = score_with(scorer, part.expectations, predictions)
    figures = {
        **_figures(part, scores),
        "refused": sum(prediction["status"] == "rejected" for prediction in predictions),
        "slowest_seconds": max(prediction["seconds"] for prediction in predictions),
        "docling": helpers.docling or "off",
        "ocr": helpers.ocr or "off",
        "scorer": scorer.name if scorer is not None else "own",
    }
    title = f"ingest {options.data.resolve().name}, {options.part}"
    return Report(title, figures, _faults(predictions, scores))


async def _prediction(parser: ParsingProcess, expected: Expected) -> dict[str, Any]:
    """What came of one file, as the scorer reads it."""
    began = time.monotonic()
    outcome: dict[str, Any] = {"file": expected.file, "status": "ok", "text": "", "error": ""}
    try:
        parsed = await _parsed(parser, expected)
    except FileRefused as error:
        outcome |= {"status": "rejected", "error": str(error)}
    else:
        outcome |= {"text": parsed.text, "page_notes": [f"{n.page}: {n.reason}" for n in parsed.page_notes]}
    outcome["seconds"] = round(time.monotonic() - began, 2)
    print(f"tests.quality.ingest: {expected.file}: {outcome['status']} {outcome['error']}", file=sys.stderr, flush=True)
    return outcome


async def _parsed(parser: ParsingProcess, expected: Expected) -> ParsedDocument:
    extension = served_extension(clean_filename(expected.file))
    check_content(expected.path.read_bytes(), extension)
    return await parser.parse(expected.path, extension)


def _figures(part: Part, scores: dict[str, float]) -> dict[str, Any]:
    extensions = sorted({each.path.suffix.removeprefix(".") for each in part.files})
    return {
        "all": _mean([scores[each.file] for each in part.files]),
        "no_ocr": _mean([scores[each.file] for each in part.files if not each.needs_ocr]),
        "ocr_alone": _mean([scores[each.file] for each in part.files if each.needs_ocr]),
        "by_type": {
            name: _mean([scores[each.file] for each in part.files if each.path.suffix == f".{name}"])
            for name in extensions
        },
        "files": len(part.files),
        "perfect": sum(scores[each.file] == 1 for each in part.files),
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(fmean(values), 4) if values else None


def _faults(predictions: Sequence[dict[str, Any]], scores: dict[str, float]) -> list[str]:
    return [
        f"{each['file']}: {scores[each['file']]:.2f} {each['status']} {each['error']}".rstrip()
        for each in predictions
        if scores[each["file"]] < 1
    ]


def _open_out(path: Path) -> TextIO:
    """Opened before the work is done rather than found wanting after it. Raises BadInput."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--out {path}: cannot be written ({error.strerror})") from error
