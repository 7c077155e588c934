"""Vectors of training kept in step with the rows, whatever was interrupted."""

import asyncio

import pytest

from services.sql.errors import KnowledgeUnavailable, QueryStoreUnavailable
from services.sql.models import EPOCH
from services.sql.training_models import (
    HeldVector,
    TrainingContent,
    TrainingItem,
    TrainingKind,
    TrainingScope,
    TrainingSource,
    TrainingState,
    TrainingVector,
)
from services.sql.training_vectors import TrainingVectors
from tests.fakes.sql_training import FakeEmbedder, FakeTrainingIndex, FakeTrainingStore

SHOP = TrainingScope("acme", "shop")
EXAMPLES = [((TrainingKind.EXAMPLE,), 5)]


class Parts:
    """Vectors on stand-ins, with a clock that can be set."""

    def __init__(self) -> None:
        self.store, self.index, self.embedder = FakeTrainingStore(), FakeTrainingIndex(), FakeEmbedder()
        self.now = 100.0
        self.vectors = TrainingVectors(
            self.store, self.index, self.embedder, compare_seconds=600, pause_seconds=10, monotonic=lambda: self.now
        )

    async def approved(self, question: str) -> TrainingItem:
        content = TrainingContent(TrainingKind.EXAMPLE, question, "SELECT 1")
        item = TrainingItem(
            content.id_in(SHOP), content, TrainingState.APPROVED, TrainingSource.API, "ada", EPOCH, decided_by="tim"
        )
        added = await self.store.add(SHOP, item, most=1_000)
        assert added is not None
        return added[0]

    def held(self) -> set[tuple[str, str]]:
        return {(item_id, model) for _, model, item_id in self.index.vectors}

    async def near(self, question: str) -> list[str]:
        [found] = await self.vectors.nearest(SHOP, question, wanted=EXAMPLES)
        return [each.id for each in found]


@pytest.fixture
def parts() -> Parts:
    return Parts()


async def test_what_is_approved_without_a_vector_gets_one_and_a_vector_without_a_row_goes(parts: Parts) -> None:
    item = await parts.approved("How many customers do we have?")
    orphan = TrainingVector("f" * 64, TrainingKind.EXAMPLE, [1.0] + [0.0] * 63)
    await parts.index.put(SHOP, [orphan], model="words/64")

    await parts.vectors.compare(SHOP)

    assert parts.held() == {(item.id, "words/64")}


async def test_a_deletion_that_broke_off_before_the_vector_is_finished_by_the_next_comparison(parts: Parts) -> None:
    item = await parts.approved("How many customers do we have?")
    await parts.vectors.compare(SHOP)
    await parts.store.delete(SHOP, item.id)  # the process dies here

    await parts.vectors.compare(SHOP)

    assert parts.held() == set()


async def test_another_model_leads_to_new_vectors_and_the_old_ones_go(parts: Parts) -> None:
    item = await parts.approved("How many customers do we have?")
    await parts.vectors.compare(SHOP)
    assert await parts.near("customers") == [item.id]
    parts.embedder.name, parts.embedder.dimension = "better words", 128

    assert await parts.near("orders") == []  # a question that is embedded tells of the new model
    await parts.vectors.settled()

    assert parts.held() == {(item.id, "better words/128")}
    assert await parts.near("customers") == [item.id]


async def test_nothing_is_embedded_again_that_has_its_vector(parts: Parts) -> None:
    await parts.approved("How many customers do we have?")
    await parts.vectors.compare(SHOP)
    parts.embedder.asked.clear()

    await parts.vectors.compare(SHOP)

    assert parts.embedder.asked == []


async def test_a_comparison_that_finds_all_in_place_reads_no_texts(parts: Parts) -> None:
    await parts.approved("How many customers do we have?")
    await parts.vectors.compare(SHOP)
    parts.store.texts_read = 0

    await parts.vectors.compare(SHOP)

    assert parts.store.texts_read == 0


async def test_a_model_that_changes_while_items_are_embedded_is_the_one_they_are_embedded_by(parts: Parts) -> None:
    first = await parts.approved("How many customers do we have?")
    await parts.vectors.compare(SHOP)
    second = await parts.approved("How many orders do we have?")
    parts.embedder.name = "better words"

    parts.vectors.compare_behind(SHOP)
    await parts.vectors.settled()

    assert parts.held() == {(first.id, "better words/64"), (second.id, "better words/64")}


async def test_a_scope_without_training_asks_for_no_embedding(parts: Parts) -> None:
    await parts.vectors.compare(SHOP)

    assert parts.embedder.asked == []


async def test_a_text_too_long_for_the_model_is_found_by_its_beginning(parts: Parts) -> None:
    parts.embedder.longest = 100
    long = await parts.approved("customers of the north " * 60)
    short = await parts.approved("How many orders?")

    await parts.vectors.compare(SHOP)

    assert {item_id for item_id, _ in parts.held()} == {long.id, short.id}
    assert (await parts.near("customers of the north"))[0] == long.id
    assert (await parts.near("customers of the north " * 100))[0] == long.id


async def test_a_text_that_the_model_cannot_read_at_all_is_left_out(parts: Parts) -> None:
    parts.embedder.longest = 10
    await parts.approved("customers of the north " * 60)
    short = await parts.approved("How many?")

    await parts.vectors.compare(SHOP)

    assert {item_id for item_id, _ in parts.held()} == {short.id}


async def test_many_items_are_embedded_in_calls_of_bounded_size(parts: Parts) -> None:
    for number in range(150):
        await parts.approved(f"How many customers in region {number}?")

    await parts.vectors.compare(SHOP)

    assert len(parts.held()) == 150


async def test_a_question_leads_to_a_comparison_when_the_last_is_old(parts: Parts) -> None:
    item = await parts.approved("How many customers do we have?")

    assert await parts.near("customers") == []  # nobody has compared yet
    await parts.vectors.settled()
    assert await parts.near("customers") == [item.id]
    await parts.index.remove(SHOP, [HeldVector(item.id, "words/64")])
    assert await parts.near("customers") == []
    await parts.vectors.settled()
    assert parts.held() == set()
    parts.now += 601
    await parts.near("customers")
    await parts.vectors.settled()
    assert parts.held() == {(item.id, "words/64")}


async def test_a_change_during_a_comparison_is_not_missed(parts: Parts) -> None:
    first = await parts.approved("How many customers do we have?")
    parts.vectors.compare_behind(SHOP)
    await asyncio.sleep(0)
    second = await parts.approved("How many orders do we have?")
    parts.vectors.compare_behind(SHOP)
    await parts.vectors.settled()

    assert {item_id for item_id, _ in parts.held()} == {first.id, second.id}


async def test_after_a_failure_nobody_waits_for_what_is_away_for_a_while(parts: Parts) -> None:
    parts.embedder.away = True
    with pytest.raises(KnowledgeUnavailable):
        await parts.near("customers")
    asked = len(parts.embedder.asked)

    parts.embedder.away = False
    with pytest.raises(KnowledgeUnavailable):
        await parts.near("customers")
    assert len(parts.embedder.asked) == asked
    parts.now += 10
    assert await parts.near("customers") == []


async def test_a_question_asked_again_is_not_embedded_again(parts: Parts) -> None:
    await parts.near("customers")
    await parts.near("customers")

    assert parts.embedder.asked.count("customers") == 1


async def test_a_store_that_is_away_leaves_the_vectors_as_they_are(parts: Parts) -> None:
    item = await parts.approved("How many customers do we have?")
    await parts.vectors.compare(SHOP)
    parts.store.is_down = True

    with pytest.raises(QueryStoreUnavailable):
        await parts.vectors.compare(SHOP)
    parts.vectors.compare_behind(SHOP)
    await parts.vectors.settled()

    assert parts.held() == {(item.id, "words/64")}


async def test_closing_breaks_a_comparison_off(parts: Parts) -> None:
    await parts.approved("How many customers do we have?")
    parts.vectors.compare_behind(SHOP)

    await parts.vectors.aclose()

    assert parts.held() == set()
