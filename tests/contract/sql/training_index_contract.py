"""What every index of training's vectors must do."""

import pytest

from services.sql.ports import TrainingIndex
from services.sql.training_models import HeldVector, TrainingKind, TrainingScope, TrainingVector
from tests.openai_server import embedding_of

DIMENSION = 64
MODEL, OTHER_MODEL = f"words/{DIMENSION}", f"other words #2/{DIMENSION}"
SHOP, CLINIC, FOREIGN = (
    TrainingScope("acme", "shop"),
    TrainingScope("acme", "clinic"),
    TrainingScope("umbrella", "shop"),
)
EXAMPLE, DOCUMENTATION, DDL = TrainingKind.EXAMPLE, TrainingKind.DOCUMENTATION, TrainingKind.DDL


def vector_of(text: str) -> list[float]:
    return embedding_of(text, DIMENSION)


def entry(name: str, text: str, kind: TrainingKind = EXAMPLE) -> TrainingVector:
    """A vector under an id that is 64 times this character."""
    return TrainingVector(name * 64, kind, vector_of(text))


CUSTOMERS = entry("a", "How many customers do we have?")
REVENUE = entry("b", "What is the total revenue of delivered orders?")


async def ids_near(index: TrainingIndex, text: str, *kinds: TrainingKind, limit: int = 9) -> list[str]:
    """First characters of the ids that are found."""
    found = await index.nearest(SHOP, vector_of(text), model=MODEL, kinds=kinds or (EXAMPLE,), limit=limit)
    return [each.id[0] for each in found]


class TrainingIndexContract:
    """Subclasses give an empty `index` fixture."""

    @pytest.fixture
    def index(self) -> TrainingIndex:
        raise AssertionError("a subclass gives the index")

    async def test_the_nearest_comes_first_with_its_similarity(self, index: TrainingIndex) -> None:
        await index.put(SHOP, [REVENUE, CUSTOMERS], model=MODEL)

        found = await index.nearest(SHOP, CUSTOMERS.vector, model=MODEL, kinds=[EXAMPLE], limit=2)

        assert [each.id for each in found] == [CUSTOMERS.id, REVENUE.id]
        assert found[0].similarity == pytest.approx(1, abs=1e-5)
        assert found[0].similarity <= 1
        assert found[1].similarity < 0.5

    async def test_no_more_are_found_than_asked_for(self, index: TrainingIndex) -> None:
        await index.put(SHOP, [entry(name, f"customers of region {name}") for name in "abcde"], model=MODEL)

        assert len(await ids_near(index, "customers", limit=3)) == 3

    async def test_only_the_kinds_asked_for_are_found(self, index: TrainingIndex) -> None:
        await index.put(SHOP, [CUSTOMERS, entry("c", "customers buy", DOCUMENTATION)], model=MODEL)
        await index.put(SHOP, [entry("d", "CREATE TABLE customers", DDL)], model=MODEL)

        assert await ids_near(index, "customers", EXAMPLE) == ["a"]
        assert sorted(await ids_near(index, "customers", DOCUMENTATION, DDL)) == ["c", "d"]

    async def test_an_id_again_replaces_its_vector(self, index: TrainingIndex) -> None:
        await index.put(SHOP, [entry("a", "something else")], model=MODEL)
        await index.put(SHOP, [CUSTOMERS], model=MODEL)

        [found] = await index.nearest(SHOP, CUSTOMERS.vector, model=MODEL, kinds=[EXAMPLE], limit=9)

        assert found.similarity == pytest.approx(1, abs=1e-5)
        assert await index.held(SHOP) == [HeldVector(CUSTOMERS.id, MODEL)]

    async def test_vectors_of_another_model_are_held_and_never_compared(self, index: TrainingIndex) -> None:
        await index.put(SHOP, [CUSTOMERS], model=OTHER_MODEL)
        await index.put(SHOP, [REVENUE], model=MODEL)

        assert await ids_near(index, "How many customers do we have?") == ["b"]
        held = await index.held(SHOP)
        assert sorted(held, key=lambda each: each.id) == [
            HeldVector(CUSTOMERS.id, OTHER_MODEL),
            HeldVector(REVENUE.id, MODEL),
        ]

    async def test_what_is_removed_is_gone_and_the_same_by_another_model_is_not(self, index: TrainingIndex) -> None:
        await index.put(SHOP, [CUSTOMERS, REVENUE], model=MODEL)
        await index.put(SHOP, [CUSTOMERS], model=OTHER_MODEL)

        await index.remove(SHOP, [HeldVector(CUSTOMERS.id, MODEL), HeldVector("f" * 64, MODEL)])

        held = await index.held(SHOP)
        assert sorted(held, key=lambda each: each.id) == [
            HeldVector(CUSTOMERS.id, OTHER_MODEL),
            HeldVector(REVENUE.id, MODEL),
        ]

    async def test_an_empty_index_holds_and_finds_nothing(self, index: TrainingIndex) -> None:
        assert await index.held(SHOP) == []
        assert await ids_near(index, "customers") == []
        await index.remove(SHOP, [HeldVector("a" * 64, MODEL)])
        await index.remove(SHOP, [])

    async def test_scopes_know_nothing_of_each_other(self, index: TrainingIndex) -> None:
        await index.put(SHOP, [CUSTOMERS], model=MODEL)

        for scope in (CLINIC, FOREIGN):
            assert await index.held(scope) == []
            assert await index.nearest(scope, CUSTOMERS.vector, model=MODEL, kinds=[EXAMPLE], limit=9) == []
            await index.remove(scope, [HeldVector(CUSTOMERS.id, MODEL)])
        assert await index.held(SHOP) == [HeldVector(CUSTOMERS.id, MODEL)]

    async def test_hundreds_of_vectors_are_all_told(self, index: TrainingIndex) -> None:
        many = [TrainingVector(f"{number:064x}", EXAMPLE, vector_of(f"text {number}")) for number in range(250)]
        for start in range(0, 250, 50):
            await index.put(SHOP, many[start : start + 50], model=MODEL)

        assert {each.id for each in await index.held(SHOP)} == {each.id for each in many}

    async def test_its_kind_is_one_lower_case_word(self, index: TrainingIndex) -> None:
        assert index.kind.isidentifier()
        assert index.kind.islower()
