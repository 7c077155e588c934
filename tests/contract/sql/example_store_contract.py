"""What every store of approved examples must do."""

import pytest

from services.sql.models import Example
from services.sql.ports import ExampleStore

CUSTOMERS = Example("How many customers do we have?", "SELECT count(*) FROM customers")
REVENUE = Example("What is the total revenue of delivered orders?", "SELECT sum(total) FROM orders")


class ExampleStoreContract:
    """Subclasses give an empty `examples` fixture."""

    @pytest.fixture
    def examples(self) -> ExampleStore:
        raise AssertionError("a subclass gives the store")

    async def test_the_nearest_question_comes_first(self, examples: ExampleStore) -> None:
        await examples.add("acme", REVENUE)
        await examples.add("acme", CUSTOMERS)

        found = await examples.similar("acme", "How many customers do we have in total?", limit=2)

        assert found[0] == CUSTOMERS

    async def test_no_more_are_found_than_asked_for(self, examples: ExampleStore) -> None:
        for number in range(5):
            await examples.add("acme", Example(f"How many customers do we have in region {number}?", "SELECT 1"))

        assert len(await examples.similar("acme", "How many customers do we have?", limit=3)) == 3

    async def test_the_same_question_again_replaces_its_query(self, examples: ExampleStore) -> None:
        await examples.add("acme", CUSTOMERS)
        better = Example(CUSTOMERS.question, "SELECT count(DISTINCT id) FROM customers")
        await examples.add("acme", better)

        assert await examples.similar("acme", CUSTOMERS.question, limit=5) == [better]

    async def test_a_tenant_sees_its_own_examples_alone(self, examples: ExampleStore) -> None:
        await examples.add("acme", CUSTOMERS)

        assert await examples.similar("other", CUSTOMERS.question, limit=5) == []

    async def test_an_empty_store_finds_nothing(self, examples: ExampleStore) -> None:
        assert await examples.similar("acme", "anything", limit=5) == []

    async def test_any_text_is_kept_as_it_is(self, examples: ExampleStore) -> None:
        odd = Example("¿Cuántos “clientes”\nhay 😀?", "SELECT '😀\n' -- x")
        await examples.add("a/b:c", odd)

        assert await examples.similar("a/b:c", odd.question, limit=1) == [odd]

    async def test_its_kind_is_one_lower_case_word(self, examples: ExampleStore) -> None:
        assert examples.kind.isidentifier()
        assert examples.kind.islower()
