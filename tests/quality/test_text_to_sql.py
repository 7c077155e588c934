"""Text to SQL: execution accuracy on the project's own questions.

Floors lie below what was measured, so that only a real fall fails. Evaluation data is in test_sql_evaluation.py.
"""

import json
from typing import Any

import psycopg
import pytest

from deploy.local.databases import SHOP_DATABASE
from deploy.local.embedded_postgres import EmbeddedPostgres
from services.sql.grounding.generator import GroundedGenerator
from services.sql.models import NoDraft, SqlDraft
from services.sql.query_guard import QueryGuard
from tests.quality.evaluation_data import DEVELOPMENT
from tests.quality.reporting import report
from tests.quality.row_comparison import same_rows
from tests.quality.sql_databases import load_database, read_schema

pytestmark = [pytest.mark.quality, pytest.mark.timeout(1_200)]

FOLDER = DEVELOPMENT / "text_to_sql"
GUARD = QueryGuard(max_rows=100_000)


def development_questions() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((FOLDER / "questions.json").read_text(encoding="utf-8"))
    return rows


def rows_of(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


async def test_own_questions_are_answered_rightly_or_refused(
    postgres_server: EmbeddedPostgres, shop_owner_url: str
) -> None:
    questions = development_questions()
    urls = {SHOP_DATABASE: shop_owner_url, "shop": shop_owner_url}
    for script in sorted(FOLDER.glob("*.sql")):
        urls[script.stem] = load_database(postgres_server, script.stem, script)
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
    report("sql own questions", {"right": len(right), "wrong": wrong, "no draft": silent, "misled": misled})
    answerable = len(right) + len(wrong) + len(silent)
    assert len(right) / answerable >= 0.95
    assert len(right) / (len(right) + len(wrong)) >= 0.97
    assert not misled
