"""Whether a prompt holds the tables of a query is read from both."""

from __future__ import annotations

import pytest

from tests.quality.sql.prompt_tables import Name, is_covered, read_tables, told_tables

PROMPT = [
    {
        "role": "system",
        "content": "Rules.\n\nCREATE TABLE public.orders (\n  id integer\n);\n\n-- said\n"
        'CREATE VIEW "Odd ""one"".".v (\n);'
        "\nCREATE MATERIALIZED VIEW sales.totals (\n  n int\n);",
    },
    {"role": "user", "content": "How many orders?"},
]


def test_definitions_in_a_prompt_are_found_by_schema_and_name() -> None:
    assert told_tables(PROMPT) == {("public", "orders"), ('Odd "one".', "v"), ("sales", "totals")}


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        ("SELECT 1", set()),
        ("SELECT * FROM Orders o JOIN sales.totals t ON true", {("", "orders"), ("sales", "totals")}),
        ("WITH Recent AS (SELECT * FROM orders) SELECT * FROM recent", {("", "orders")}),
        ("WITH orders AS (SELECT 1) SELECT * FROM sales.orders", {("sales", "orders")}),
        ('SELECT * FROM "Orders" WHERE EXISTS (SELECT 1 FROM b)', {("", "Orders"), ("", "b")}),
        ("SELECT * FROM generate_series(1, 2)", set()),
    ],
)
def test_tables_of_a_query_are_those_it_reads(statement: str, tables: set[Name]) -> None:
    assert read_tables(statement) == tables


def test_a_prompt_is_judged_by_any_acceptable_query() -> None:
    assert is_covered([PROMPT], ["SELECT * FROM customers", "SELECT * FROM orders"]) is True
    assert is_covered([PROMPT], ["SELECT * FROM orders, customers"]) is False
    assert is_covered([PROMPT, []], ["SELECT * FROM orders"]) is False
    assert is_covered([], ["SELECT * FROM orders"]) is False
    assert is_covered([PROMPT], ["SELECT FROM ("]) is None
