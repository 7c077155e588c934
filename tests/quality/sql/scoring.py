"""Whether predictions are right: by the scorer that comes with the data, else by our own comparison of rows."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

from tests.quality.row_comparison import NONE, Agreement, compare
from tests.quality.sql.errors import RunFailed
from tests.quality.sql.parts import Question
from tests.quality.sql.scratch import ScratchPostgres

SCORER = "score_sql.py"
_STATEMENT_MS = 10_000
_MOST_ROWS = 100_000


@dataclass(frozen=True)
class Verdict:
    """How one prediction did. `status` is ok, wrong, exec_error, gold_failed or missing, as the scorer says it."""

    exact: bool
    subset: bool
    status: str


Verdicts = Mapping[str | int, Verdict]
Predictions = Mapping[str | int, str | None]
"""What was written for each question that was asked; None for a refusal."""


def scorer_beside(data: Path) -> Path | None:
    """The scorer that comes with evaluation data, where it does."""
    for folder in (data.absolute().parent, data.resolve().parent):  # a link, or where it leads
        if (folder / "score" / SCORER).is_file():
            return folder / "score" / SCORER
    return None


def score_with(scorer: Path, postgres: ScratchPostgres, questions: Sequence[Question], told: Predictions) -> Verdicts:
    """Verdicts of the scorer. Raises RunFailed: it fails."""
    with tempfile.TemporaryDirectory() as temporary:
        asked, predicted, details = (Path(temporary) / name for name in ("asked", "predicted", "details"))
        asked.write_text("".join(json.dumps(asdict(question)) + "\n" for question in questions))
        lines = [{"id": key, "sql": sql or ""} for key, sql in told.items()]
        predicted.write_text("".join(json.dumps(line) + "\n" for line in lines))
        arguments = ["--questions", asked, "--predictions", predicted, "--details", details]
        arguments += ["--dsn", postgres.reader_dsn(), "--timeout-ms", _STATEMENT_MS]
        command = [sys.executable, str(scorer), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0 or not details.is_file():
            raise RunFailed(f"{scorer} fails: {done.stderr.strip()[-500:]}")
        rows = [json.loads(line) for line in details.read_text().split("\n") if line]
    return {row["id"]: Verdict(row["exact"], row["subset"], row["status"]) for row in rows}


def score(postgres: ScratchPostgres, questions: Sequence[Question], told: Predictions) -> Verdicts:
    """Verdicts of our own."""
    databases = _Databases(postgres)
    try:
        return {question.id: _judge(databases, question, told) for question in questions}
    finally:
        databases.close()


def _judge(databases: _Databases, question: Question, told: Predictions) -> Verdict:
    golds = [rows for gold in question.gold_sql if (rows := databases.rows(question.db, gold)) is not None]
    golds = [rows for rows in golds if rows] or golds  # an empty result proves little where there is another
    if not golds:
        return Verdict(exact=False, subset=False, status="gold_failed")
    if question.id not in told:
        return Verdict(exact=False, subset=False, status="missing")
    found = databases.rows(question.db, told[question.id] or "")
    if found is None:
        return Verdict(exact=False, subset=False, status="exec_error")
    agreements = [compare(rows, found, ordered=question.ordered) for rows in golds] or [NONE]
    best = Agreement(any(one.exact for one in agreements), any(one.subset for one in agreements))
    return Verdict(best.exact, best.subset, "ok" if best.subset else "wrong")


class _Databases:
    """Runs queries as the role that may only read, each rolled back."""

    def __init__(self, postgres: ScratchPostgres) -> None:
        self._postgres = postgres
        self._connections: dict[str, psycopg.Connection[tuple[object, ...]]] = {}

    def rows(self, database: str, statement: str) -> list[tuple[object, ...]] | None:
        """The rows of a query; None when it cannot be run."""
        try:
            if database not in self._connections:
                url = self._postgres.reader_url(database)
                self._connections[database] = psycopg.connect(url, autocommit=True)
            connection = self._connections[database]
            with connection.transaction(force_rollback=True):
                connection.execute("SET TRANSACTION READ ONLY")
                connection.execute(f"SET LOCAL statement_timeout = {_STATEMENT_MS}")
                cursor = connection.execute(statement.encode())
                return cursor.fetchmany(_MOST_ROWS) if cursor.description is not None else None
        except psycopg.Error:
            return None

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
