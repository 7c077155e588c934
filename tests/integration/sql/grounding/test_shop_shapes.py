"""The ten shapes every database is asked in, each in several wordings, on the sample shop in a real PostgreSQL."""

import asyncio
import json
from pathlib import Path

import psycopg
import pytest

from services.sql.grounding.generator import GroundedGenerator
from services.sql.models import NoDraft, Schema, SqlDraft
from services.sql.query_guard import QueryGuard
from tests.quality.row_comparison import same_rows
from tests.quality.sql_databases import read_schema

SHAPES: dict[str, list[dict[str, str]]] = json.loads(
    Path(__file__).with_name("shop_shapes.json").read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def shop_schema(shop_url: str) -> Schema:
    return asyncio.run(read_schema(shop_url))


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_wording_of_a_shape_gives_the_rows_of_hand_written_sql(
    shop_url: str, shop_schema: Schema, shape: str
) -> None:
    generator, guard = GroundedGenerator(), QueryGuard(max_rows=10_000)
    others = {}

    with psycopg.connect(shop_url, autocommit=True) as connection:
        for row in SHAPES[shape]:
            draft = await generator.generate(row["question"], shop_schema)
            if not isinstance(draft, SqlDraft):
                others[row["question"]] = draft.reason
                continue
            verdict = guard.check(draft.sql, shop_schema)
            expected = connection.execute(row["sql"].encode()).fetchall()
            found = connection.execute(verdict.sql.encode()).fetchall() if verdict.allowed else []
            if not expected or not same_rows(expected, found):
                others[row["question"]] = draft.sql

    assert others == {}


@pytest.mark.parametrize(
    "question",
    [
        "how long do customers have to return something",
        "What are our opening hours?",
        "Who designed the company logo?",
        "How many vacation days am I entitled to?",
        "Which supplier delivers the laptops?",
        "Top 5 products",
    ],
)
async def test_what_the_shop_does_not_hold_is_refused(shop_schema: Schema, question: str) -> None:
    assert isinstance(await GroundedGenerator().generate(question, shop_schema), NoDraft)
