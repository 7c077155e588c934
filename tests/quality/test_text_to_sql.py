"""Text to SQL: execution accuracy on the project's own questions.

Floors lie below what was measured, so that only a real fall fails. Evaluation data is in test_sql_evaluation.py.
"""

import json
from typing import Any

import psycopg
import pytest

from deploy.local.embedded_postgres import EmbeddedPostgres
from services.sql.grounding.generator import GroundedGenerator
from services.sql.models import NoDraft, SqlDraft
from services.sql.query_guard import QueryGuard
from tests.quality.evaluation_data import DEVELOPMENT, read_lines
from tests.quality.reporting import report
from tests.quality.row_comparison import same_rows
from tests.quality.sql_databases import load_database, read_schema

pytestmark = [pytest.mark.quality, pytest.mark.timeout(1_200)]

FOLDER = DEVELOPMENT / "text_to_sql"
GUARD = QueryGuard(max_rows=100_000)


# Five sets of databases. On the first two the rules were made; the third was left unread until they were, and then
# 0.83 of its questions were answered rightly and 0.90 of its answers were right. The fourth was written before the
# rules for spans, weekdays, running figures and shares of groups: 0.27 was answered rightly then, at precision 0.44.
# The fifth was asked two databases at a time, in words as people write them, and mended after each pair: of the answers
# to the first pair 0.72 were right, of those to the second 0.83, of those to the third 0.91. What confidence says is
# fitted on these first answers.
SETS = {
    "first": ("shop", "clinic", "farm", "library"),
    "second": ("saas", "payroll", "retail", "league", "logistics", "school", "rides"),
    "third": ("airline", "bank", "sensors"),
    "fourth": ("fitness",),
    "fifth": ("hotel", "helpdesk", "webstore", "ferry", "garage", "coop"),
}
LEAST = {
    "first": (0.95, 0.97, 0),
    "second": (0.90, 0.96, 0),
    "third": (0.87, 0.93, 0),
    "fourth": (0.87, 0.9, 0),
    "fifth": (0.72, 0.95, 2),
}


def development_questions(databases: tuple[str, ...]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((FOLDER / "questions.json").read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob("*.jsonl")):
        rows += read_lines(path)
    return [row for row in rows if row["db"] in databases]


def rows_of(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


@pytest.mark.parametrize("databases", SETS)
async def test_own_questions_are_answered_rightly_or_refused(
    postgres_server: EmbeddedPostgres, shop_owner_url: str, databases: str
) -> None:
    questions = development_questions(SETS[databases])
    least_right, least_precision, most_misled = LEAST[databases]
    urls = {"shop": shop_owner_url} if "shop" in SETS[databases] else {}
    for name in sorted({row["db"] for row in questions} - {"shop"}):
        urls[name] = load_database(postgres_server, name, FOLDER / f"{name}.sql")
    schemas = {name: await read_schema(url) for name, url in urls.items()}
    generator = GroundedGenerator()
    right: list[str] = []
    wrong: list[str] = []
    silent: list[str] = []
    misled: list[str] = []
    for row in questions:
        draft = await generator.generate(row["question"], schemas[row["db"]])
        if row["sql"] is None:
            misled += [row["question"]] if isinstance(draft, SqlDraft) else []
        elif isinstance(draft, NoDraft):
            silent.append(row["question"])
        else:
            verdict = GUARD.check(draft.sql, schemas[row["db"]])
            assert verdict.allowed, (row["question"], verdict.refusals)
            expected, found = rows_of(urls[row["db"]], row["sql"]), rows_of(urls[row["db"]], verdict.sql)
            (right if same_rows(expected, found, ordered=row["ordered"]) else wrong).append(row["question"])
    figures: dict[str, object] = {
        "right": len(right),
        "wrong": wrong,
        "no draft": silent,
        "misled": misled,
    }
    report(f"sql own questions, {databases}", figures)
    answerable = len(right) + len(wrong) + len(silent)
    assert len(right) / answerable >= least_right
    assert len(right) / (len(right) + len(wrong)) >= least_precision
    assert len(misled) <= most_misled
