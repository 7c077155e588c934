"""Keys that stand in DDL alone, and schemas that generators see with them."""

from dataclasses import replace

import pytest

from services.sql.guidance import NO_GUIDANCE, Guidance
from services.sql.models import ForeignKey, NoDraft, Schema, SqlDraft
from services.sql.training_ddl import DeclaredKey, declared_keys, with_declared_keys
from tests.fakes.sql import FakeGenerator, FakeSchemaReader, shop_schema
from tests.unit.sql.service_parts import ADA, Parts

TO_CUSTOMERS = DeclaredKey("public.orders", ForeignKey(("customer_id",), "public", "customers", ("customer_id",)))


def keyless() -> Schema:
    """The shop as a database without declared keys has it."""
    schema = shop_schema()
    return replace(schema, tables=tuple(replace(table, foreign_keys=()) for table in schema.tables))


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE TABLE orders (order_id int, customer_id int REFERENCES customers)",
        "CREATE TABLE public.orders (customer_id int REFERENCES public.customers (customer_id) ON DELETE CASCADE)",
        "CREATE TABLE orders (customer_id int, FOREIGN KEY (customer_id) REFERENCES customers (customer_id))",
        "ALTER TABLE ONLY orders ADD CONSTRAINT c FOREIGN KEY (customer_id) REFERENCES customers(customer_id);",
        "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers",
    ],
)
def test_a_key_is_read_in_every_form(ddl: str) -> None:
    assert declared_keys([ddl, ddl], keyless()) == (TO_CUSTOMERS,)


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE TABLE orders (customer_id int REFERENCES clients)",
        "CREATE TABLE orders (client_id int REFERENCES customers)",
        "CREATE TABLE orders (customer_id int REFERENCES customers (client_id))",
        "CREATE TABLE invoices (customer_id int REFERENCES customers)",
        "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers (customer_id, name)",
        "CREATE TABLE ((",
        "COMMENT ON TABLE orders IS 'REFERENCES customers'",
    ],
)
def test_a_key_of_what_is_not_there_is_none(ddl: str) -> None:
    assert declared_keys([ddl], keyless()) == ()


def test_a_key_that_the_schema_has_is_not_told_again() -> None:
    assert declared_keys(["CREATE TABLE orders (customer_id int REFERENCES customers)"], shop_schema()) == ()


def test_a_schema_with_told_keys_is_another_one_for_whoever_remembers_it() -> None:
    schema = keyless()

    told = with_declared_keys(schema, (TO_CUSTOMERS,))

    orders = told.table("public", "orders")
    assert orders is not None
    assert orders.foreign_keys == (TO_CUSTOMERS.key,)
    assert told.fingerprint != schema.fingerprint
    assert told == with_declared_keys(schema, (TO_CUSTOMERS,))
    assert with_declared_keys(schema, ()) is schema


class SeeingGenerator(FakeGenerator):
    """Remembers the schemas that it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Schema] = []

    async def generate(self, question: str, schema: Schema, guidance: Guidance = NO_GUIDANCE) -> SqlDraft | NoDraft:
        self.seen.append(schema)
        return await super().generate(question, schema, guidance)


async def test_a_generator_sees_told_keys() -> None:
    generator = SeeingGenerator()
    parts = Parts(reader=FakeSchemaReader(keyless()), generator=generator)
    parts.briefing.guidance["acme"] = Guidance(keys=(TO_CUSTOMERS,))

    await parts.generating.draft(ADA, "Which orders belong to which customers?")

    [seen] = generator.seen
    assert seen == with_declared_keys(keyless(), (TO_CUSTOMERS,))
