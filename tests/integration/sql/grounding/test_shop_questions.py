"""The grounded generator on the sample shop in a real PostgreSQL, from the catalog to the rows."""

import json
from typing import Any

import psycopg
import pytest

from services.sql.grounding.generator import GroundedGenerator
from services.sql.models import NoDraft, SqlDraft
from services.sql.query_guard import QueryGuard
from tests.quality.evaluation_data import DEVELOPMENT
from tests.quality.row_comparison import same_rows
from tests.quality.sql_databases import read_schema


def shop_questions() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(
        (DEVELOPMENT / "text_to_sql" / "questions.json").read_text(encoding="utf-8")
    )
    return [row for row in rows if row["db"] == "shop"]


async def test_shop_questions_give_the_rows_that_hand_written_sql_gives(shop_url: str) -> None:
    schema = await read_schema(shop_url)
    generator, guard = GroundedGenerator(), QueryGuard(max_rows=10_000)

    wrong = []
    with psycopg.connect(shop_url, autocommit=True) as connection:
        for row in shop_questions():
            draft = await generator.generate(row["question"], schema)
            if row["sql"] is None:
                assert isinstance(draft, NoDraft), row["question"]
                continue
            assert isinstance(draft, SqlDraft), row["question"]
            verdict = guard.check(draft.sql, schema)
            assert verdict.allowed, (row["question"], verdict.refusals)
            expected = connection.execute(row["sql"].encode()).fetchall()
            found = connection.execute(verdict.sql.encode()).fetchall()
            if not same_rows(expected, found, ordered=row["ordered"]):
                wrong.append(row["question"])

    assert wrong == []


@pytest.mark.parametrize(
    "question",
    [
        "How many customers were there last year?",
        "orders from yesterday",
        "total sales per week this year",
        "customers who joined in the last 3 quarters",
        "Which products start with 'B%'?",
        "orders of Alice O'Neil",
        "average quantity per product category, sorted by average quantity",
        "customers not from Germany, France or Spain",
    ],
)
async def test_every_draft_is_valid_postgresql(shop_url: str, question: str) -> None:
    schema = await read_schema(shop_url)

    draft = await GroundedGenerator().generate(question, schema)

    if isinstance(draft, SqlDraft):
        with psycopg.connect(shop_url, autocommit=True) as connection:
            connection.execute(draft.sql.encode())
