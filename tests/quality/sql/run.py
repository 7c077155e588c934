"""One run: databases loaded, the service asked, predictions written, verdicts counted."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from tests.quality.sql.errors import BadInput
from tests.quality.sql.figures import Report, measured, share
from tests.quality.sql.model_traffic import (
    OPENAI_URL,
    RealModel,
    ReplayedModel,
    Traffic,
    open_record,
    read_traffic,
    serving_model,
)
from tests.quality.sql.parts import Part, Question, read_part
from tests.quality.sql.prompt_tables import is_covered
from tests.quality.sql.scoring import Verdict, score, score_with, scorer_beside
from tests.quality.sql.scratch import ScratchPostgres, scratch_postgres
from tests.quality.sql.service import GROUNDED, Answer, Services, open_services

Prompts = list[list[dict[str, Any]]]
_REPORT_EVERY_SECONDS = 20.0


@dataclass(frozen=True)
class Options:
    """What to run. `key` and `base_url` are those of a real model; they are asked when nothing is replayed."""

    data: Path
    part: str
    out: Path
    generator: Literal["grounded", "model"] = "grounded"
    record: Path | None = None
    replay: Path | None = None
    limit: int | None = None
    metadata: bool = True
    instructions: bool = False
    key: str = ""
    base_url: str = OPENAI_URL


@dataclass(frozen=True)
class Outcome:
    """What the service said, and what it sent to a model meanwhile."""

    answers: dict[str | int, Answer]
    prompts: dict[str | int, Prompts]


async def evaluate(options: Options) -> Report:
    """Run it. Progress is told on stderr.

    Raises: BadInput, RunFailed.
    """
    part = read_part(options.data, options.part, limit=options.limit)
    for database in part.missing:
        _say(f"no dump {part.folder / 'databases' / database}.sql: its questions count as missing")
    traffic = Traffic()
    began = time.monotonic()
    with _generator(options, traffic) as generator, _open_out(options.out) as out, scratch_postgres() as postgres:
        async with open_services(postgres, generator) as services:
            commented = _load(postgres, part, metadata=options.metadata)
            outcome = await _ask_all(services, part, traffic, instructions=options.instructions)
        _write_predictions(out, part, outcome.answers)
        told = {key: answer.sql for key, answer in outcome.answers.items()}
        scorer = scorer_beside(options.data)
        verdicts = (
            score(postgres, part.questions, told)
            if scorer is None
            else score_with(scorer, postgres, part.questions, told)
        )
    undone = (question.id for question in part.questions if question.db in part.missing)
    verdicts = {**verdicts, **{key: Verdict(exact=False, subset=False, status="missing") for key in undone}}
    title = f"{options.data.resolve().name}, {options.part}, {options.generator}"
    report = measured(title, part.questions, part.unanswerable, outcome.answers, verdicts)
    if options.generator == "model":
        report.further |= _model_figures(part.questions, outcome.prompts, traffic, replayed=options.replay is not None)
    report.further |= {
        "failed_calls": sum(bool(answer.failure) for answer in outcome.answers.values()),
        "missing_databases": len(part.missing),
        "commented_columns": commented,
        "scorer": scorer.name if scorer is not None else "row_comparison.py",
        "seconds": round(time.monotonic() - began, 1),
    }
    return report


def _load(postgres: ScratchPostgres, part: Part, *, metadata: bool) -> int:
    """Load every dump; the number of columns that got a description."""
    commented = 0
    for database, dump in part.dumps.items():
        postgres.load(database, dump)
        descriptions = dump.with_suffix(".metadata.json")
        if metadata and descriptions.is_file():
            commented += postgres.describe(database, descriptions)
    _say(f"{len(part.dumps)} databases loaded")
    return commented


async def _ask_all(services: Services, part: Part, traffic: Traffic, *, instructions: bool) -> Outcome:
    outcome = Outcome({}, {})
    everything = sum(map(len, part.by_database.values()))
    told_at = time.monotonic()
    for database, questions in part.by_database.items():
        async with services.asking(database) as asker:
            for question in questions:
                first = len(traffic.prompts)
                outcome.answers[question.id] = await asker.ask(_text(question, instructions=instructions))
                outcome.prompts[question.id] = traffic.prompts[first:]
                if time.monotonic() - told_at > _REPORT_EVERY_SECONDS:
                    told_at = time.monotonic()
                    _say(f"{len(outcome.answers)} of {everything} questions asked")
    _say(f"{len(outcome.answers)} questions asked")
    return outcome


def _text(question: Question, *, instructions: bool) -> str:
    return f"{question.text}\n{question.instructions}" if instructions and question.instructions else question.text


def _write_predictions(out: TextIO, part: Part, answers: Mapping[str | int, Answer]) -> None:
    """A line for each question that was asked, as the scorer reads it."""
    for question in (*part.questions, *part.unanswerable):
        answer = answers.get(question.id)
        if answer is None:
            continue
        line: dict[str, object] = {"id": question.id, "db": question.db, "sql": answer.sql, "refused": answer.refused}
        if answer.sql is None:
            line["why"] = answer.refusal or answer.failure
        out.write(json.dumps(line, ensure_ascii=False) + "\n")
    out.flush()


def _model_figures(
    questions: Sequence[Question], prompts: Mapping[str | int, Prompts], traffic: Traffic, *, replayed: bool
) -> dict[str, Any]:
    covered: dict[str, list[bool]] = {}
    for question in questions:
        if question.id in prompts:
            is_whole = is_covered(prompts[question.id], question.gold_sql)
            if is_whole is not None:
                covered.setdefault(question.category, []).append(is_whole)
    figures: dict[str, Any] = {
        "prompt_table_coverage": share(sum(map(sum, covered.values())), sum(map(len, covered.values()))),
        "coverage_by_category": {name: share(sum(each), len(each)) for name, each in sorted(covered.items())},
        "prompts": len(traffic.prompts),
        "model_failures": traffic.failed,
    }
    return figures | ({"prompts_not_recorded": traffic.unknown} if replayed else {})


@contextmanager
def _generator(options: Options, traffic: Traffic) -> Iterator[Mapping[str, str]]:
    """What the environment of the sql service says of its generator. A model stands behind a port of ours."""
    if options.generator == "grounded":
        yield GROUNDED
        return
    if options.replay is not None:
        with serving_model(ReplayedModel(read_traffic(options.replay), traffic), traffic) as url:
            yield _by_model(url)
        return
    if not options.key:
        raise BadInput("--generator model asks a model: set OPENAI_API_KEY, or name a file with --replay")
    with _maybe_record(options.record) as record:
        model = RealModel(options.base_url, options.key, record)
        try:
            with serving_model(model, traffic) as url:
                yield _by_model(url)
        finally:
            model.close()


def _by_model(url: str) -> Mapping[str, str]:
    # The real key stays here: the service speaks to us.
    return {"SQL_GENERATOR": "vanna", "OPENAI_API_KEY": "sk-of-the-harness", "OPENAI_BASE_URL": url}


@contextmanager
def _maybe_record(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    with open_record(path) as file:
        yield file


def _open_out(path: Path) -> TextIO:
    """Opened before the work is done rather than found wanting after it. Raises BadInput."""
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
            _say(f"--out: made the folder {path.parent}")
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--out {path}: cannot be written ({error.strerror})") from error


def _say(line: str) -> None:
    print(f"tests.quality.sql: {line}", file=sys.stderr, flush=True)
