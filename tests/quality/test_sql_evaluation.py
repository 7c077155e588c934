"""Text to SQL on evaluation data, asked of the real service by the harness in tests/quality/sql.

Floors lie below what was measured, so that only a real fall fails. Exact: the same rows; subset: further columns are
allowed; precision: right ones among the answered; coverage: prompts that hold all tables of a right query.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.local.embedded_postgres import EmbeddedPostgres
from services.sql.grounding.generator import GroundedGenerator
from tests.quality.evaluation_data import EVALUATION, needs_evaluation_data, read_lines
from tests.quality.reporting import report
from tests.quality.sql.parts import Question, read_part
from tests.quality.sql.run import Options, evaluate
from tests.quality.sql.scoring import Predictions, score, score_with, scorer_beside
from tests.quality.sql.scratch import scratch_postgres
from tests.quality.sql_databases import load_database, read_schema
from tests.quality.wide_schema import PART, write_wide_part

pytestmark = [pytest.mark.quality, pytest.mark.timeout(1_200)]

PARTS = ["text2sql_spider_pg", "text2sql_defog"]
NOTHING_RECORDED = Path("/dev/null")


@needs_evaluation_data()
@pytest.mark.parametrize(
    ("part", "least_subset", "least_precision"), [("text2sql_spider_pg", 0.60, 0.75), ("text2sql_defog", 0.25, 0.56)]
)
async def test_questions_are_answered_rightly_and_those_without_an_answer_refused(
    tmp_path: Path, part: str, least_subset: float, least_precision: float
) -> None:
    measured = await evaluate(Options(EVALUATION / part, "public", tmp_path / "predictions.jsonl"))

    figures = measured.as_figures()
    report(f"sql {part} grounded", figures, measured.as_text())
    assert figures["subset_acc"] >= least_subset
    assert figures["precision"] >= least_precision
    assert figures["failed_calls"] == 0
    if figures["unanswerable"]:
        assert min(figures["refused_a"], figures["refused_b"]) >= 0.95
        assert figures["refused_c"] >= 0.80


@needs_evaluation_data()
@pytest.mark.parametrize("part", PARTS)
async def test_prompts_hold_the_tables_that_right_queries_read(tmp_path: Path, part: str) -> None:
    measured = await evaluate(_prompts_of(EVALUATION / part, "public", tmp_path))

    figures = measured.as_figures()
    report(f"sql {part} prompts", _of_prompts(figures))
    assert figures["prompt_table_coverage"] >= 0.98


async def test_prompts_too_small_for_the_schema_hold_most_tables_that_right_queries_read(tmp_path: Path) -> None:
    tables = write_wide_part(tmp_path)

    measured = await evaluate(_prompts_of(tmp_path, PART, tmp_path))

    figures = measured.as_figures()
    report(f"sql prompts for a schema of {tables} tables", _of_prompts(figures))
    assert figures["prompt_table_coverage"] >= 0.98


@needs_evaluation_data()
@pytest.mark.parametrize("part", PARTS)
def test_our_comparison_agrees_with_the_scorer_of_the_data(part: str) -> None:
    scorer = scorer_beside(EVALUATION / part)
    assert scorer is not None
    read = read_part(EVALUATION / part, "public")
    with scratch_postgres() as postgres:
        for database, dump in read.dumps.items():
            postgres.load(database, dump)
        for told in (_gold(read.questions), _gold_of_a_neighbour(read.questions), _gold_with_changes(read.questions)):
            ours = score(postgres, read.questions, told)
            theirs = score_with(scorer, postgres, read.questions, told)

            assert ours == theirs


@needs_evaluation_data()
async def test_assessments_tell_database_questions_from_others(postgres_server: EmbeddedPostgres) -> None:
    questions = read_lines(EVALUATION / "routing" / "public" / "questions.jsonl")
    scripts = {path.stem: path for path in EVALUATION.glob("text2sql_*/public/databases/*.sql")}
    asked = [row for row in questions if row.get("db") in scripts and row["label"] in {"SQL", "DOCUMENTS", "NONE"}]
    schemas = {
        name: await read_schema(load_database(postgres_server, f"routing_{name}", scripts[name]))
        for name in {row["db"] for row in asked}
    }
    generator = GroundedGenerator()

    scores = [(await generator.assess([row["question"]], schemas[row["db"]]))[0].score for row in asked]

    ours = [score for row, score in zip(asked, scores, strict=True) if row["label"] == "SQL"]
    others = [score for row, score in zip(asked, scores, strict=True) if row["label"] != "SQL"]
    above = sum((one > other) + 0.5 * (one == other) for one in ours for other in others)
    area = above / (len(ours) * len(others))
    report("sql assessments", {"auc": round(area, 4), "sql": len(ours), "others": len(others)})
    assert area >= 0.95


def _prompts_of(data: Path, part: str, folder: Path) -> Options:
    """A run in which every prompt is written and none is answered."""
    out = folder / "predictions.jsonl"
    return Options(data, part, out, generator="model", replay=NOTHING_RECORDED)


def _of_prompts(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: figures[name] for name in ("prompts", "prompt_table_coverage", "coverage_by_category")}


def _gold(questions: tuple[Question, ...]) -> Predictions:
    return {question.id: question.gold_sql[-1] for question in questions}


def _gold_of_a_neighbour(questions: tuple[Question, ...]) -> Predictions:
    return {
        question.id: next((each.gold_sql[0] for each in others if each.db == question.db), None)
        for place, question in enumerate(questions)
        for others in [questions[place + 1 :]]
    }


def _gold_with_changes(questions: tuple[Question, ...]) -> Predictions:
    """With a further column, in another order, with repeated rows, and cut short, in turn."""
    changes = (
        "SELECT *, 'further' AS further FROM ({}) AS gold",
        "SELECT * FROM ({}) AS gold ORDER BY 1 DESC",
        "SELECT gold.* FROM ({}) AS gold, generate_series(1, 2) AS twice(n)",
        "SELECT * FROM ({}) AS gold LIMIT 2",
    )
    return {
        question.id: changes[place % len(changes)].format(question.gold_sql[0].rstrip().rstrip(";"))
        for place, question in enumerate(questions)
    }
