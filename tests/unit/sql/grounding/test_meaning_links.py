"""Words linked by meaning: with vectors made by hand, and with the embedder slow, away, or of another model."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from services.sql.errors import KnowledgeUnavailable
from services.sql.grounding.generator import GroundedGenerator
from services.sql.grounding.meaning_links import CALL_TEXTS, MOST_NAMES, PAUSE_SECONDS, MeaningLinks
from services.sql.models import NoDraft, SqlDraft
from services.sql.training_models import Embeddings
from tests.unit.sql.grounding.schemas import INTEGER, TEXT, column, shop, table

# Directions of a made-up space of meanings; each word lies between them.
AXES = ("person", "thing", "deal", "other")
MEANINGS: dict[str, tuple[float, ...]] = {
    "customers": (1, 0, 0, 0.2),
    "products": (0, 1, 0, 0.2),
    "orders": (0, 0, 1, 0.2),
    "clientele": (1, 0, 0, 0.6),
    "regulars": (1, 0, 0, 0.1),
    "nonregulars": (1, 0, 0, 0.1),
    "unclients": (1, 0, 0, 0.1),
    "sellers": (1, 0, 0, 0.1),
    "thingies": (0.7, 0.75, 0, 0),
    "weather": (0.1, 0.1, 0.1, 1),
    "cost": (0, 1, 0, 0),
    "year": (0, 0, 1, 0),
}
QUESTION = "How many regulars are in Paris?"


class FakeEmbedder:
    """Vectors by the word at the end of a text; counts what it is asked."""

    def __init__(self, model: str = "all-MiniLM-L6-v2-onnx-int8/4") -> None:
        self.model = model
        self.asked: list[list[str]] = []
        self.error: Exception | None = None
        self.hangs = False

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        self.asked.append(list(texts))
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        vectors = []
        for text in texts:
            values = MEANINGS.get(text.split()[-1], (0, 0, 0, 1))
            length = math.sqrt(sum(value * value for value in values))
            vectors.append([value / length for value in values])
        return Embeddings(vectors, self.model)


class Parts:
    """A generator over the shop, its names already embedded."""

    def __init__(self, embedder: FakeEmbedder) -> None:
        self.now = 1_000.0
        self.embedder = embedder
        self.meanings = MeaningLinks(embedder, wait_seconds=0.05, first_wait_seconds=0.05, monotonic=lambda: self.now)
        self.generator = GroundedGenerator(meanings=self.meanings)

    async def warm(self) -> None:
        await self.ask("How many customers are there?")
        await self.meanings.settled()

    async def ask(self, question: str) -> SqlDraft | NoDraft:
        return await self.generator.generate(question, shop())


@pytest.fixture
async def parts() -> Parts:
    made = Parts(FakeEmbedder())
    await made.warm()
    return made


async def test_a_word_that_means_a_table_is_read_as_that_table(parts: Parts) -> None:
    plain = GroundedGenerator().draft("How many customers are in Paris?", shop())

    outcome = await parts.ask(QUESTION)

    assert isinstance(outcome, SqlDraft)
    assert isinstance(plain, SqlDraft)
    assert outcome.sql == plain.sql
    assert "“regulars” was taken to mean “customers”." in outcome.explanation
    assert outcome.confidence < plain.confidence


async def test_only_unlinked_words_are_embedded_and_each_once(parts: Parts) -> None:
    parts.embedder.asked.clear()

    await parts.ask("How many customers are in Paris?")
    await parts.ask(QUESTION)
    await parts.ask(QUESTION)

    assert parts.embedder.asked == [["regulars", "number of regulars"]]


@pytest.mark.parametrize(
    "question",
    [
        "How many thingies are there?",  # between two tables
        "How was the weather in Paris?",  # near nothing
        "How many employees are in Paris?",  # the thesaurus knows it, and none of its synonyms is here
        "How many Regulars are in Paris?",  # a proper name
        "How many orders per fiscal decade?",  # a span of time
    ],
)
async def test_a_word_that_does_not_stand_out_links_to_nothing(parts: Parts, question: str) -> None:
    outcome = await parts.ask(question)

    assert outcome == GroundedGenerator().draft(question, shop())


async def test_the_first_question_is_read_as_every_later_one() -> None:
    parts = Parts(FakeEmbedder())

    first = await parts.ask(QUESTION)
    second = await parts.ask(QUESTION)

    assert isinstance(first, SqlDraft)
    assert second == first


async def test_the_first_question_waits_for_the_names_no_longer_than_it_may() -> None:
    parts = Parts(FakeEmbedder())
    parts.embedder.hangs = True

    outcome = await parts.ask(QUESTION)
    await parts.meanings.aclose()

    assert outcome == GroundedGenerator().draft(QUESTION, shop())


@pytest.mark.parametrize("word", ["unclients", "sellers", "nonregulars"])
async def test_a_word_is_never_linked_to_what_denies_it(parts: Parts, word: str) -> None:
    outcome = await parts.ask(f"How many {word} are in Paris?")

    assert isinstance(outcome, NoDraft)


@pytest.mark.parametrize("error", [KnowledgeUnavailable("away"), RuntimeError("broken"), OSError("no route")])
async def test_an_embedder_that_fails_changes_nothing_and_is_left_alone_for_a_while(error: Exception) -> None:
    parts = Parts(FakeEmbedder())
    parts.embedder.error = error
    await parts.warm()

    outcome = await parts.ask(QUESTION)

    assert outcome == GroundedGenerator().draft(QUESTION, shop())
    assert len(parts.embedder.asked) == 1
    parts.embedder.error = None
    parts.now += PAUSE_SECONDS + 1
    await parts.warm()
    assert isinstance(await parts.ask(QUESTION), SqlDraft)


async def test_a_slow_embedder_is_not_waited_for(parts: Parts) -> None:
    parts.embedder.hangs = True

    outcome = await parts.ask(QUESTION)

    assert outcome == GroundedGenerator().draft(QUESTION, shop())


async def test_vectors_of_another_model_are_not_used() -> None:
    parts = Parts(FakeEmbedder(model="text-embedding-3-small/4"))
    await parts.warm()

    assert isinstance(await parts.ask(QUESTION), NoDraft)
    parts.now += 1_000_000
    await parts.warm()
    assert len(parts.embedder.asked) == 1


async def test_names_of_a_large_schema_are_embedded_within_bounds_and_in_pieces() -> None:
    columns = [column(f"attribute {number}", TEXT) for number in range(30)]
    tables = tuple(table(f"thing{number}", column("id", INTEGER), *columns) for number in range(200))
    wide = [
        replace(one, columns=tuple(replace(each, name=f"{each.name} {one.name}") for each in one.columns))
        for one in tables
    ]
    parts = Parts(FakeEmbedder())

    await parts.generator.generate("How many?", replace(shop(), tables=tuple(wide), fingerprint="2" * 64))
    await parts.meanings.settled()

    assert sum(len(texts) for texts in parts.embedder.asked) <= 2 * MOST_NAMES
    assert max(len(texts) for texts in parts.embedder.asked) <= CALL_TEXTS


async def test_what_is_under_way_can_be_broken_off() -> None:
    parts = Parts(FakeEmbedder())
    parts.embedder.hangs = True
    await parts.ask(QUESTION)

    await parts.meanings.aclose()

    assert isinstance(await parts.ask(QUESTION), NoDraft)


async def test_assessing_links_words_by_meaning_too(parts: Parts) -> None:
    [alone] = await GroundedGenerator().assess([QUESTION], shop())

    [linked] = await parts.generator.assess([QUESTION], shop())

    assert linked.score > alone.score
    assert linked.tables == ("public.customers",)
