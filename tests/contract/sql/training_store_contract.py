"""What every store of training must do."""

import asyncio
from dataclasses import replace

import pytest

from services.sql.models import EPOCH
from services.sql.ports import TrainingStore
from services.sql.training_models import (
    TrainingContent,
    TrainingItem,
    TrainingKind,
    TrainingPosition,
    TrainingScope,
    TrainingSource,
    TrainingState,
)

SHOP = TrainingScope("acme", "shop")
OTHERS = (TrainingScope("umbrella", "shop"), TrainingScope("acme", "clinic"), TrainingScope("acme#shop", ""))
MANY = 1_000


def fact(text: str, *, scope: TrainingScope = SHOP, approved: bool = False) -> TrainingItem:
    """Words about the data, as the use case would add them."""
    content = TrainingContent(TrainingKind.DOCUMENTATION, text)
    state = TrainingState.APPROVED if approved else TrainingState.PENDING
    decided_by = "tim" if approved else ""
    return TrainingItem(content.id_in(scope), content, state, TrainingSource.API, "ada", EPOCH, decided_by=decided_by)


def example(question: str, sql: str = "SELECT 1") -> TrainingItem:
    """A question with its query, learned from a query of that id."""
    content = TrainingContent(TrainingKind.EXAMPLE, question, sql)
    source = TrainingSource.APPROVED_QUERY
    return TrainingItem(
        content.id_in(SHOP),
        content,
        TrainingState.APPROVED,
        source,
        "ada",
        EPOCH,
        query_id="q1",
        decided_by="ada",
        explanation="Shows “it” – 😀.",
    )


async def add(store: TrainingStore, item: TrainingItem, scope: TrainingScope = SHOP) -> TrainingItem:
    """What is stored."""
    added = await store.add(scope, item, most=MANY)
    assert added is not None
    return added[0]


class TrainingStoreContract:
    """Subclasses give an empty `store` fixture."""

    @pytest.fixture
    def store(self) -> TrainingStore:
        raise AssertionError("a subclass gives the store")

    async def test_an_item_is_kept_with_its_provenance_and_the_stores_time(self, store: TrainingStore) -> None:
        item = example("¿Cuántos “clientes”\nhay 😀?", "SELECT '😀\n' -- x")
        kept = await add(store, item)

        assert replace(kept, create_time=EPOCH, decide_time=None) == item
        assert kept.create_time > EPOCH
        assert kept.decide_time == kept.create_time
        assert await store.get_many(SHOP, [item.id]) == [kept]

    async def test_what_is_pending_has_no_time_of_a_decision(self, store: TrainingStore) -> None:
        kept = await add(store, fact("Revenue is what was delivered."))

        assert kept.state is TrainingState.PENDING
        assert kept.decide_time is None

    async def test_the_same_id_again_gives_what_is_there(self, store: TrainingStore) -> None:
        first = await add(store, fact("Revenue is what was delivered."))

        again = await store.add(SHOP, replace(fact("Revenue is what was delivered.", approved=True)), most=MANY)

        assert again == (first, False)

    async def test_of_many_that_add_the_same_one_adds_it(self, store: TrainingStore) -> None:
        added = await asyncio.gather(*(store.add(SHOP, fact("The same."), most=MANY) for _ in range(8)))

        assert sum(is_new for _, is_new in filter(None, added)) == 1
        assert len({item for item, _ in filter(None, added)}) == 1
        assert len((await store.page(SHOP, kind=None, state=None, after=None, limit=9)).items) == 1

    async def test_no_more_are_kept_than_a_scope_may_have(self, store: TrainingStore) -> None:
        added = await asyncio.gather(*(store.add(SHOP, fact(f"Fact {n}."), most=3) for n in range(6)))

        assert sum(each is None for each in added) == 3
        [known] = [each[0] for each in added if each is not None][:1]
        assert await store.add(SHOP, known, most=3) == (known, False)
        await store.delete(SHOP, known.id)
        assert await store.add(SHOP, fact("Another."), most=3) is not None

    async def test_an_approval_is_made_once_and_its_maker_stays(self, store: TrainingStore) -> None:
        item = await add(store, fact("Revenue is what was delivered."))

        approved = await store.approve(SHOP, item.id, by="tim")
        again = await store.approve(SHOP, item.id, by="eve")

        assert approved is not None
        assert (approved.state, approved.decided_by) == (TrainingState.APPROVED, "tim")
        assert approved.decide_time is not None
        assert approved.decide_time >= item.create_time
        assert again == approved
        assert await store.get_many(SHOP, [item.id]) == [approved]

    async def test_what_is_unknown_is_neither_approved_nor_deleted(self, store: TrainingStore) -> None:
        assert await store.approve(SHOP, "0" * 64, by="tim") is None
        assert await store.delete(SHOP, "0" * 64) is False
        assert (await store.census(SHOP)).total == 0

    async def test_what_is_deleted_is_gone(self, store: TrainingStore) -> None:
        item = await add(store, fact("Revenue is what was delivered.", approved=True))

        assert await store.delete(SHOP, item.id) is True
        assert await store.delete(SHOP, item.id) is False
        assert await store.get_many(SHOP, [item.id]) == []
        assert await store.approved(SHOP) == []

    async def test_items_come_in_the_order_asked_for_without_those_that_are_not_there(
        self, store: TrainingStore
    ) -> None:
        one, two = await add(store, fact("One.")), await add(store, fact("Two."))

        assert await store.get_many(SHOP, [two.id, "0" * 64, one.id]) == [two, one]
        assert await store.get_many(SHOP, []) == []

    async def test_pages_lead_through_all_items_newest_first(self, store: TrainingStore) -> None:
        items = [await add(store, fact(f"Fact {number}.")) for number in range(5)]

        seen: list[TrainingItem] = []
        after: TrainingPosition | None = None
        sizes = []
        while True:
            page = await store.page(SHOP, kind=None, state=None, after=after, limit=2)
            seen += page.items
            sizes.append(len(page.items))
            after = page.next_after
            if after is None:
                break

        assert seen == list(reversed(items))
        assert sizes == [2, 2, 1]

    async def test_lists_are_narrowed_by_kind_and_state(self, store: TrainingStore) -> None:
        pending, approved = await add(store, fact("One.")), await add(store, fact("Two.", approved=True))
        learned = await add(store, example("How many?"))

        async def listed(kind: TrainingKind | None, state: TrainingState | None) -> list[TrainingItem]:
            return list((await store.page(SHOP, kind=kind, state=state, after=None, limit=9)).items)

        assert await listed(TrainingKind.DOCUMENTATION, None) == [approved, pending]
        assert await listed(None, TrainingState.APPROVED) == [learned, approved]
        assert await listed(TrainingKind.DOCUMENTATION, TrainingState.APPROVED) == [approved]
        assert await listed(TrainingKind.DDL, None) == []

    async def test_approved_items_come_last_decided_first(self, store: TrainingStore) -> None:
        late = await add(store, fact("Decided last."))
        await add(store, fact("Not decided."))
        early = await add(store, example("How many?"))
        decided = await store.approve(SHOP, late.id, by="tim")

        assert await store.approved(SHOP) == [decided, early]
        assert sorted(await store.approved_ids(SHOP)) == sorted([late.id, early.id])

    async def test_the_census_counts_what_is_approved_and_moves_with_it(self, store: TrainingStore) -> None:
        empty = await store.census(SHOP)
        pending = await add(store, fact("One."))
        before = await store.census(SHOP)
        await store.approve(SHOP, pending.id, by="tim")
        await store.approve(SHOP, pending.id, by="tim")
        learned = await add(store, example("How many?"))
        after = await store.census(SHOP)
        await store.delete(SHOP, pending.id)
        last = await store.census(SHOP)

        assert (empty.total, before.total, after.total, last.total) == (0, 0, 2, 1)
        assert after.approved[TrainingKind.DOCUMENTATION] == after.approved[TrainingKind.EXAMPLE] == 1
        assert len({before.revision, after.revision, last.revision}) == 3
        assert (await store.census(SHOP)).revision == last.revision
        await store.delete(SHOP, learned.id)
        assert (await store.census(SHOP)).total == 0

    async def test_scopes_know_nothing_of_each_other(self, store: TrainingStore) -> None:
        item = await add(store, fact("Revenue is what was delivered.", approved=True))

        for scope in OTHERS:
            assert await store.get_many(scope, [item.id]) == []
            assert await store.approve(scope, item.id, by="eve") is None
            assert await store.delete(scope, item.id) is False
            assert (await store.page(scope, kind=None, state=None, after=None, limit=9)).items == ()
            assert await store.approved(scope) == []
            assert await store.approved_ids(scope) == []
            assert (await store.census(scope)).total == 0
        assert await store.get_many(SHOP, [item.id]) == [item]

    async def test_a_decision_and_a_deletion_at_once_leave_the_counts_right(self, store: TrainingStore) -> None:
        item = await add(store, fact("One."))

        await asyncio.gather(store.approve(SHOP, item.id, by="tim"), store.delete(SHOP, item.id))

        assert await store.get_many(SHOP, [item.id]) == []
        assert (await store.census(SHOP)).total == 0
