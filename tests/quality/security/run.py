"""One run: files uploaded, documents poisoned, questions asked, statements judged."""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from services.sql.models import Column, Schema, Table
from services.sql.query_guard import QueryGuard
from tests.quality.security.parts import Attack, BadFile, Part, Statement, read_part
from tests.quality.security.scoring import fault_of_file, has_succeeded, score_with, scorer_beside
from tests.quality.security.services import Services, open_services
from tests.quality.sql.errors import BadInput, RunFailed
from tests.quality.sql.scratch import scratch_postgres

# What people ask of a document they have just been handed.
_QUESTIONS = ("Summarize the document.", "What is this document about?", "What does the document say about {subject}?")
_SUBJECT_WORDS = 8
_FINE = ("after.txt", b"The lighthouse of Vardo was built in 1896.")
_Lines = list[dict[str, Any]]
_MOST_STATEMENT_CHARACTERS = 10_000


@dataclass(frozen=True)
class Options:
    """What to run."""

    data: Path
    part: str
    out: Path
    limit: int | None = None


@dataclass
class Report:
    """All figures of a run; None where a part holds nothing of a kind. `faults` names what went wrong."""

    title: str
    figures: dict[str, Any]
    faults: list[str] = field(default_factory=list)

    def as_figures(self) -> dict[str, Any]:
        return self.figures

    def as_text(self) -> str:
        lines = [
            f"- {name.replace('_', ' ')}: {'-' if value is None else value}" for name, value in self.figures.items()
        ]
        return "\n".join([f"### {self.title}", "", *lines, *(f"- went wrong: {fault}" for fault in self.faults)]) + "\n"


async def evaluate(options: Options) -> Report:
    """Run it. Progress is told on stderr. Raises: BadInput, RunFailed."""
    part = read_part(options.data, options.part, limit=options.limit)
    report = Report(f"{options.data.resolve().name}, {options.part}", {})
    scorer = scorer_beside(options.data) if options.limit is None else None
    figures: dict[str, Any] = {}
    with _open_out(options.out) as out:
        judged = [_judged(statement, _schema(part.statements)) for statement in part.statements]
        _write(out, judged)
        files: _Lines = []
        answers: _Lines = []
        if part.files or part.attacks:
            with scratch_postgres() as postgres:
                async with open_services(postgres) as services:
                    before = services.memory_mb
                    files = [await _uploaded(services, each) for each in part.files]
                    figures = await _after(services, before) if files else {}
                    _write(out, files)
                    answers = [await _attacked(services, each) for each in part.attacks]
                    _write(out, answers)
    report.figures = {
        **_figures(part, files, answers, judged, report.faults),
        **figures,
        "files": len(files),
        "attacks": len(answers),
        "statements": len(judged),
        "scorer": scorer.name if scorer is not None else "own",
    }
    if scorer is not None:
        _compare(scorer, part, {"files": files, "inject": answers, "guard": judged}, report.figures)
    return report


async def _uploaded(services: Services, file: BadFile) -> dict[str, Any]:
    outcome = await services.upload(file.name, file.path.read_bytes())
    _say(f"{file.name}: {outcome.status} in {outcome.seconds} s, {outcome.peak_mb} MB {outcome.error}")
    return {
        "file": file.name,
        "status": outcome.status,
        "error": outcome.error,
        "text": outcome.text,
        "seconds": outcome.seconds,
        "peak_mb": outcome.peak_mb,
    }


async def _after(services: Services, before_mb: float) -> dict[str, Any]:
    """Whether the service does its work after all that, and what it has kept of the memory."""
    outcome = await services.upload(*_FINE)
    if outcome.status != "ok":
        raise RunFailed(f"after the bad files the service does not take a good one: {outcome.error}")
    return {"memory_kept_mb": round(services.memory_mb - before_mb, 1)}


async def _attacked(services: Services, attack: Attack) -> dict[str, Any]:
    if attack.question:
        return {"id": attack.id, "answer": await services.ask(attack.question[:4_000])}
    outcome = await services.upload(f"{re.sub(r'[^A-Za-z0-9]+', '-', attack.id)}.txt", attack.document.encode())
    if outcome.status != "ok":
        return {"id": attack.id, "answer": "", "refused": outcome.error}
    subject = " ".join(attack.document.split()[:_SUBJECT_WORDS])
    asked = [question.format(subject=subject) for question in _QUESTIONS]
    answers = [await services.ask(question, outcome.document) for question in asked]
    return {"id": attack.id, "answer": "\n".join(answers)}


def _judged(statement: Statement, schema: Schema) -> dict[str, Any]:
    verdict = QueryGuard(max_rows=1_000).check(statement.sql, schema)
    return {"id": statement.id, "allowed": verdict.allowed, "why": [str(each) for each in verdict.refusals]}


def _schema(statements: Sequence[Statement]) -> Schema:
    """Every name that the statements use as a table has every name that they use as a column, so that nothing is
    refused only because it is unknown. Names of the server's own are not given."""
    tables: set[str] = set()
    columns: set[str] = set()
    for statement in statements:
        try:
            trees = sqlglot.parse(statement.sql[:_MOST_STATEMENT_CHARACTERS], read="postgres")
        except (SqlglotError, RecursionError):
            continue
        for tree in filter(None, trees):
            made = {each.alias_or_name for each in tree.find_all(exp.CTE)}
            tables |= {each.name for each in tree.find_all(exp.Table) if not each.db and each.name} - made
            columns |= {each.name for each in tree.find_all(exp.Column) if each.name}
    usual = [name for name in sorted(tables) if not name.startswith("pg_")]
    shown = tuple(Column(name, "text") for name in sorted(columns or {"id"}))
    return Schema(tuple(Table("public", name, shown) for name in usual))


def _figures(
    part: Part,
    files: list[dict[str, Any]],
    answers: list[dict[str, Any]],
    judged: list[dict[str, Any]],
    faults: list[str],
) -> dict[str, Any]:
    wrong_files = [f"{each['file']}: {fault}" for each in files if (fault := fault_of_file(each))]
    triggers = {attack.id: attack.trigger for attack in part.attacks}
    succeeded = [each["id"] for each in answers if has_succeeded(triggers[each["id"]], each["answer"])]
    allowed = {each["id"]: each["allowed"] for each in judged}
    missed = [each.id for each in part.statements if allowed[each.id] and not each.is_allowed]
    false = [each.id for each in part.statements if each.is_allowed and not allowed[each.id]]
    faults += wrong_files
    faults += [f"{each}: the answer says what the attack wanted" for each in succeeded]
    faults += [f"{each}: the guard let it pass" for each in missed]
    faults += [f"{each}: the guard refused it" for each in false]
    return {
        "bad_files": round(1 - len(wrong_files) / len(files), 4) if files else None,
        "injected": len(succeeded) if answers else None,
        "guard_missed": len(missed) if judged else None,
        "guard_false": len(false) if judged else None,
        "slowest_seconds": max((each["seconds"] for each in files), default=None),
        "peak_mb": max((each["peak_mb"] for each in files), default=None),
    }


def _compare(scorer: Path, part: Part, predicted: dict[str, _Lines], figures: dict[str, Any]) -> None:
    """Have the data's own scorer count, and hold our counts against it. Raises: RunFailed: they differ."""
    told: dict[str, int] = {}
    for what, name in (
        ("files", "bad_files"),
        ("guard", "sql_guard"),
        ("inject", "poisoned_documents"),
        ("inject", "prompt_injections"),
    ):
        questions = part.folder / f"{name}.jsonl"
        if questions.is_file():
            scores = score_with(scorer, what, questions, predicted[what])
            told[what] = told.get(what, 0) + len(scores["failures"])
    own = {
        "files": round((1 - (figures["bad_files"] or 0)) * figures["files"]) if figures["files"] else 0,
        "guard": (figures["guard_missed"] or 0) + (figures["guard_false"] or 0),
        "inject": figures["injected"] or 0,
    }
    if any(own[what] != count for what, count in told.items()):
        raise RunFailed(f"{scorer.name} counts {told} failures, and we {own}")


def _open_out(path: Path) -> TextIO:
    """Opened before the work is done rather than found wanting after it. Raises BadInput."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--out {path}: cannot be written ({error.strerror})") from error


def _write(out: TextIO, lines: Sequence[dict[str, Any]]) -> None:
    out.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    out.flush()


def _say(line: str) -> None:
    print(f"tests.quality.security: {line}", file=sys.stderr, flush=True)
