"""Which source a question is sent to: on the project's own questions, and on evaluation data where it is there.

Evaluation items that bring no database of their own, because their only source is a table within a text, are left out.
Floors lie below what was measured, so that only a real fall fails. Lenient: HYBRID counts as right where one source
would have done, because nothing is lost by it.
"""

from __future__ import annotations

import asyncio
import collections
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from deploy.local.embedded_postgres import EmbeddedPostgres
from services.router.asking import Asking
from tests.quality.document_library import Library, open_library
from tests.quality.evaluation_data import (
    DEVELOPMENT,
    EVALUATION,
    needs_evaluation_data,
    read_lines,
    score,
    write_lines,
)
from tests.quality.question_router import router_between
from tests.quality.reporting import report
from tests.quality.sql_databases import load_database, read_schema

pytestmark = [pytest.mark.quality, pytest.mark.timeout(3_600)]

SAMPLE_DOCUMENTS = Path(__file__).parents[2] / "deploy" / "sample" / "documents"


async def add_file(library: Library, path: Path) -> None:
    await library.add_file(path.name, await asyncio.to_thread(path.read_bytes), filename=path.name)


async def route_of(router: Asking, question: str) -> str:
    decision = await router.route(question)
    return decision.route.name


async def test_own_questions_go_where_they_belong(store_url: str, shop_url: str) -> None:
    questions = read_lines(DEVELOPMENT / "routing" / "questions.jsonl")
    async with open_library(store_url) as library:
        for path in sorted(SAMPLE_DOCUMENTS.iterdir()):
            await add_file(library, path)
        router = router_between(library, await read_schema(shop_url))
        routed = [(row, await route_of(router, row["question"])) for row in questions]

    wrong = [(row["route"], route, row["question"]) for row, route in routed if route != row["route"]]
    lost = [each for each in wrong if each[1] != "HYBRID" or each[0] == "NONE"]
    accuracy, lenient = (1 - len(each) / len(routed) for each in (wrong, lost))
    report("routing own questions", {"accuracy": accuracy, "lenient": lenient, "wrong": wrong})
    assert accuracy >= 0.85
    assert lenient >= 0.92


@needs_evaluation_data()
@pytest.mark.parametrize(("collection", "least_lenient"), [("xquad", 0.80), ("financebench", 0.70)])
async def test_evaluation_questions_go_where_they_belong(
    collection: str, least_lenient: float, store_url: str, postgres_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    rows = read_lines(EVALUATION / "routing" / "public" / "questions.jsonl")
    questions = sorted((row for row in rows if row.get("documents") == collection), key=lambda row: str(row["db"]))
    predictions: list[dict[str, Any]] = []
    async with open_library(store_url) as library:
        await _fill(library, collection)
        for name, asked in groupby(questions, key=lambda row: str(row["db"])):
            url = load_database(postgres_server, f"routing_{name}", _script_of(name))
            router = router_between(library, await read_schema(url))
            predictions += [{"id": row["id"], "route": await route_of(router, row["question"])} for row in asked]

    scores = score(
        "score_routing",
        questions=write_lines(tmp_path / "questions.jsonl", questions),
        predictions=write_lines(tmp_path / "predictions.jsonl", predictions),
    )
    chosen = collections.Counter(row["route"] for row in predictions)
    told = {key: scores[key] for key in ("questions", "accuracy", "lenient", "macro_f1", "confusion")}
    report(f"routing {collection}", {**told, "chosen": dict(chosen)})
    assert scores["lenient"] >= least_lenient


async def _fill(library: Library, collection: str) -> None:
    folders = {"xquad": "qa_xquad/public/articles", "financebench": "qa_financebench/public/pdfs"}
    for path in sorted((EVALUATION / folders[collection]).iterdir()):
        await add_file(library, path)


def _script_of(name: str) -> Path:
    (script,) = EVALUATION.glob(f"text2sql_*/public/databases/{name}.sql")
    return script
