"""Other words than the schema's: synonyms, likenesses by the sentence model, and slips of the keyboard.

The questions of dev/wordings name things as people would who have not seen the schema, or ask for what is not there.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest

from deploy.local.embedded_postgres import EmbeddedPostgres
from services.rag.adapters.minilm_embedder import MODEL, MiniLmEmbedder
from services.sql.grounding.generator import GroundedGenerator
from services.sql.grounding.meaning_links import MeaningLinks
from services.sql.models import NoDraft, Schema, SqlDraft
from services.sql.query_guard import QueryGuard
from services.sql.training_models import Embeddings
from tests.quality.evaluation_data import DEVELOPMENT, read_lines
from tests.quality.reporting import report
from tests.quality.row_comparison import same_rows
from tests.quality.sql_databases import load_database, read_schema

pytestmark = [pytest.mark.quality, pytest.mark.timeout(600)]

GUARD = QueryGuard(max_rows=100_000)
WORDINGS = DEVELOPMENT / "wordings" / "questions.jsonl"
SCRIPTS = DEVELOPMENT / "text_to_sql"


class SentenceModel:
    """The model of rag, without its service."""

    def __init__(self) -> None:
        self.model = MiniLmEmbedder()

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        return Embeddings(await self.model.embed_passages(texts), f"{MODEL.name}/{MODEL.dimension}")


@pytest.fixture(scope="module")
def sentence_model() -> Iterator[SentenceModel]:
    model = SentenceModel()
    yield model
    model.model.close()


@pytest.fixture(scope="module")
def urls(postgres_server: EmbeddedPostgres, shop_owner_url: str) -> dict[str, str]:
    found = {script.stem: load_database(postgres_server, script.stem, script) for script in SCRIPTS.glob("*.sql")}
    return {**found, "shop": shop_owner_url}


async def verdicts(
    generator: GroundedGenerator, rows: Sequence[dict[str, Any]], schemas: dict[str, Schema], urls: dict[str, str]
) -> Counter[str]:
    """How many are right, wrong, silent; of those that nothing can answer, how many are refused or misled."""
    return Counter([_verdict(await _ask(generator, row, schemas), row, urls) for row in rows])


async def _ask(generator: GroundedGenerator, row: dict[str, Any], schemas: dict[str, Schema]) -> SqlDraft | None:
    draft = await generator.generate(row["question"], schemas[row["db"]])
    if isinstance(draft, NoDraft):
        return None
    verdict = GUARD.check(draft.sql, schemas[row["db"]])
    assert verdict.allowed, (row["question"], verdict.refusals)
    return SqlDraft(verdict.sql, draft.explanation, draft.confidence, verdict.tables)


def _verdict(draft: SqlDraft | None, row: dict[str, Any], urls: dict[str, str]) -> str:
    if row["sql"] is None:
        return "refused" if draft is None else "misled"
    if draft is None:
        return "silent"
    with psycopg.connect(urls[row["db"]], autocommit=True) as connection:
        expected = connection.execute(row["sql"].encode()).fetchall()
        try:
            found = connection.execute(draft.sql.encode()).fetchall()
        except psycopg.ProgrammingError:
            return "silent"  # as the service does, whose planner refuses it
    return "right" if same_rows(expected, found) else "wrong"


async def test_likenesses_of_meaning_help_more_than_they_hurt(
    urls: dict[str, str], sentence_model: SentenceModel
) -> None:
    rows = read_lines(WORDINGS)
    schemas = {name: await read_schema(urls[name]) for name in sorted({row["db"] for row in rows})}
    alone, linked = Counter[str](), Counter[str]()

    for name, schema in schemas.items():
        asked = [row for row in rows if row["db"] == name]
        meanings = MeaningLinks(sentence_model, wait_seconds=30)
        generator = GroundedGenerator(meanings=meanings)
        await generator.generate("How many?", schema)
        await meanings.settled()
        alone += await verdicts(GroundedGenerator(), asked, schemas, urls)
        linked += await verdicts(generator, asked, schemas, urls)

    report("sql other words", {"alone": dict(alone), "with likenesses": dict(linked)})
    assert linked["right"] > alone["right"]
    assert linked["wrong"] <= alone["wrong"]
    assert linked["refused"] / (linked["refused"] + linked["misled"]) >= 0.95
    assert linked["right"] >= 70


async def test_most_slips_of_the_keyboard_change_nothing(urls: dict[str, str]) -> None:
    schema = await read_schema(urls["shop"])
    plain = [row for row in read_lines(WORDINGS) if row["db"] == "shop" and row["sql"]]
    dice = random.Random(3)
    slipped = [{**row, "question": _with_slip(row["question"], dice)} for row in plain for _ in range(3)]
    generator = GroundedGenerator()

    before = await verdicts(generator, plain, {"shop": schema}, urls)
    after = await verdicts(generator, slipped, {"shop": schema}, urls)

    report("sql slips of the keyboard", {"before": dict(before), "after, three times": dict(after)})
    assert after["right"] >= 0.7 * 3 * before["right"]
    assert after["wrong"] <= 3 * before["wrong"] + 2


def _with_slip(question: str, dice: random.Random) -> str:
    """The question with a letter left out, doubled or swapped with the next one, inside one longer word."""
    word = dice.choice(re.findall(r"[A-Za-z]{6,}", question) or [question])
    at = dice.randrange(1, len(word) - 1)
    slip = {
        "left out": word[:at] + word[at + 1 :],
        "doubled": word[:at] + word[at] + word[at:],
        "swapped": word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    }[dice.choice(["left out", "doubled", "swapped"])]
    return question.replace(word, slip, 1)
