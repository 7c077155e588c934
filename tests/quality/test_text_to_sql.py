"""Text to SQL: execution accuracy on the project's own questions, and on evaluation data where it is there.

Floors lie below what was measured, so that only a real fall fails. Exact: the same rows; subset: further columns are
allowed; precision: right ones among the answered.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.local.databases import SHOP_DATABASE
from deploy.local.embedded_postgres import EmbeddedPostgres
from services.sql.grounding.generator import GroundedGenerator
from services.sql.models import NoDraft, Schema, SqlDraft
from services.sql.query_guard import QueryGuard
from tests.quality.evaluation_data import DEVELOPMENT, EVALUATION, needs_evaluation_data, read_lines, write_lines
from tests.quality.row_comparison import same_rows
from tests.quality.sql_databases import dsn_of, load_database, load_evaluation, read_schema

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
    print("own questions", {"right": len(right), "wrong": wrong, "no draft": silent, "misled": misled})
    answerable = len(right) + len(wrong) + len(silent)
    assert len(right) / answerable >= 0.95
    assert len(right) / (len(right) + len(wrong)) >= 0.97
    assert not misled


@needs_evaluation_data()
@pytest.mark.parametrize(
    ("part", "least_subset", "least_precision"), [("text2sql_spider_pg", 0.60, 0.75), ("text2sql_defog", 0.25, 0.56)]
)
async def test_evaluation_questions(
    postgres_server: EmbeddedPostgres, tmp_path: Path, part: str, least_subset: float, least_precision: float
) -> None:
    load_evaluation(postgres_server, EVALUATION)
    folder = EVALUATION / part / "public"
    questions = read_lines(folder / "questions.jsonl")
    schemas: dict[str, Schema] = {}
    for name in {row["db"] for row in questions}:
        schemas[name] = await read_schema(postgres_server.url(name))
    generator = GroundedGenerator()
    await generator.assess(["How many?"], next(iter(schemas.values())))
    predictions, seconds = [], []
    for row in questions:
        await generator.generate("How many?", schemas[row["db"]])  # the index of a schema is made once
        begin = time.perf_counter()
        draft = await generator.generate(row["question"], schemas[row["db"]])
        seconds.append(time.perf_counter() - begin)
        predictions.append({"id": row["id"], "sql": draft.sql if isinstance(draft, SqlDraft) else ""})
    scores = execution_scores(postgres_server, folder / "questions.jsonl", predictions, tmp_path)
    answered = sum(bool(row["sql"]) for row in predictions)
    report = {
        "n": len(questions),
        "answered": answered,
        "exact": scores["all"]["exact_acc"],
        "subset": scores["all"]["subset_acc"],
        "precision": round(scores["all"]["subset"] / answered, 3),
        "p50_ms": round(1000 * statistics.median(seconds), 2),
        **{name: row["subset_acc"] for name, row in scores.items() if name.startswith("cat:")},
    }
    print(part, report)
    assert report["subset"] >= least_subset
    assert report["precision"] >= least_precision


@needs_evaluation_data()
async def test_unanswerable_evaluation_questions_are_refused(postgres_server: EmbeddedPostgres) -> None:
    load_evaluation(postgres_server, EVALUATION)
    questions = read_lines(EVALUATION / "text2sql_defog" / "public" / "unanswerable.jsonl")
    schemas = {name: await read_schema(postgres_server.url(name)) for name in {row["db"] for row in questions}}
    generator = GroundedGenerator()

    drafts = [await generator.generate(row["question"], schemas[row["db"]]) for row in questions]

    refused = statistics.mean(isinstance(draft, NoDraft) for draft in drafts)
    print("unanswerable", {"n": len(questions), "refused": round(refused, 3)})
    assert refused >= 0.95


@needs_evaluation_data()
async def test_assessments_tell_database_questions_from_others(postgres_server: EmbeddedPostgres) -> None:
    load_evaluation(postgres_server, EVALUATION)
    questions = read_lines(EVALUATION / "routing" / "public" / "questions.jsonl")
    names = {path.stem for path in EVALUATION.glob("text2sql_*/public/databases/*.sql")}
    asked = [row for row in questions if row.get("db") in names and row["label"] in {"SQL", "DOCUMENTS", "NONE"}]
    schemas = {name: await read_schema(postgres_server.url(name)) for name in {row["db"] for row in asked}}
    generator = GroundedGenerator()

    scores = [(await generator.assess([row["question"]], schemas[row["db"]]))[0].score for row in asked]

    ours = [score for row, score in zip(asked, scores, strict=True) if row["label"] == "SQL"]
    others = [score for row, score in zip(asked, scores, strict=True) if row["label"] != "SQL"]
    above = sum((one > other) + 0.5 * (one == other) for one in ours for other in others)
    area = above / (len(ours) * len(others))
    print("assessments", {"auc": round(area, 4), "sql": len(ours), "others": len(others)})
    assert area >= 0.95


def execution_scores(
    server: EmbeddedPostgres, questions: Path, predictions: list[dict[str, Any]], folder: Path
) -> dict[str, dict[str, float]]:
    command = [sys.executable, str(EVALUATION / "score" / "score_sql.py"), "--questions", str(questions)]
    command += ["--predictions", str(write_lines(folder / "predictions.jsonl", predictions)), "--dsn", dsn_of(server)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    scores: dict[str, dict[str, float]] = json.loads(printed)
    return scores
