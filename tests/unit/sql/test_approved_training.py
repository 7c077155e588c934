"""What is remembered of approved items, and for how long."""

from dataclasses import dataclass
from threading import current_thread

import pytest

from services.sql import approved_training
from services.sql.approved_training import ApprovedTraining
from services.sql.models import EPOCH
from services.sql.query_guard import MAX_CHARACTERS_AT_ONCE, QueryGuard
from services.sql.training_models import (
    TrainingContent,
    TrainingItem,
    TrainingKind,
    TrainingScope,
    TrainingSource,
    TrainingState,
)
from tests.fakes.sql_schema import WatchedSchema
from tests.fakes.sql_training import FakeTrainingStore

ACME, GLOBEX = TrainingScope("acme", "shop"), TrainingScope("globex", "shop")
WORDS = TrainingKind.DOCUMENTATION


@dataclass
class CountingStore(FakeTrainingStore):
    """Counts how often all approved items were read."""

    readings: int = 0

    async def approved(self, scope: TrainingScope) -> list[TrainingItem]:
        self.readings += 1
        return await super().approved(scope)


async def store_of_two() -> CountingStore:
    store = CountingStore()
    for scope in (ACME, GLOBEX):
        content = TrainingContent(WORDS, "Revenue is the amount of delivered orders.")
        item = TrainingItem(content.id_in(scope), content, TrainingState.APPROVED, TrainingSource.API, "ada", EPOCH)
        await store.add(scope, item, most=10)
    return store


async def readings_of_three_questions(store: CountingStore) -> int:
    approved = ApprovedTraining(store, QueryGuard(max_rows=1_000))
    for scope in (ACME, GLOBEX, ACME):
        assert len(await approved.of_kind(scope, WORDS)) == 1
    return store.readings - store.censuses  # a census of the fake reads them too


async def test_items_of_several_tenants_are_remembered() -> None:
    assert await readings_of_three_questions(await store_of_two()) == 2


async def test_what_is_remembered_of_all_tenants_together_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approved_training, "_REMEMBERED_CHARACTERS", 50)

    assert await readings_of_three_questions(await store_of_two()) == 3


async def test_long_examples_are_judged_aside_however_many_are_listed() -> None:
    approved, schema = ApprovedTraining(FakeTrainingStore(), QueryGuard(max_rows=1_000)), WatchedSchema()
    numbers = ", ".join(["1"] * MAX_CHARACTERS_AT_ONCE)

    for table in ("customers", "nothing"):
        told = await approved.refusal(f"SELECT 1 FROM {table} WHERE 1 IN ({numbers})", schema)
        assert bool(told) == (table == "nothing")

    assert schema.threads
    assert current_thread() not in schema.threads
