"""Functions and operators that a database defines anew are not called: they could run what someone wrote there."""

from dataclasses import replace

import pytest
from sqlglot import exp

from services.sql.guard_syntax import OPERATORS, SYMBOLS
from services.sql.query_guard import QueryGuard, RefusalCode
from tests.fakes.sql import shop_schema

GUARD = QueryGuard(max_rows=1_000)
SCHEMA = shop_schema()


@pytest.mark.parametrize(
    ("symbol", "sql"),
    [
        ("||", "SELECT name || 1 FROM customers"),
        ("=", "SELECT 1 FROM customers WHERE name = 'a'"),
        ("=", "SELECT 1 FROM customers WHERE name IN ('a', 'b')"),
        ("=", "SELECT 1 FROM customers JOIN orders USING (customer_id)"),
        ("=", "SELECT 1 FROM customers NATURAL JOIN orders"),
        ("=", "SELECT CASE name WHEN 'a' THEN 1 END FROM customers"),
        ("=", "SELECT nullif(name, 'a') FROM customers"),
        ("=", "SELECT 1 FROM customers WHERE name IS DISTINCT FROM 'a'"),
        ("<>", "SELECT 1 FROM customers WHERE name NOT IN ('a', 'b')"),
        (">=", "SELECT 1 FROM customers WHERE customer_id BETWEEN 1 AND 2"),
        ("~~", "SELECT 1 FROM customers WHERE name LIKE 'a%'"),
        ("!~~*", "SELECT 1 FROM customers WHERE name NOT ILIKE 'a%'"),
        ("~", "SELECT 1 FROM customers WHERE name SIMILAR TO 'a%'"),
        ("-", "SELECT -customer_id FROM customers"),
        ("->>", "SELECT profile ->> 'a' FROM customers"),
    ],
)
def test_an_operator_that_the_database_defines_anew_is_not_used(symbol: str, sql: str) -> None:
    verdict = GUARD.check(sql, replace(SCHEMA, own_functions=frozenset({symbol})))

    assert [refusal.code for refusal in verdict.refusals] == [RefusalCode.FUNCTION_NOT_ALLOWED]
    assert GUARD.check(sql, SCHEMA).allowed
    assert GUARD.check("SELECT lower(name) FROM customers", replace(SCHEMA, own_functions=frozenset({symbol}))).allowed


def test_every_operator_that_the_guard_knows_has_its_name_in_the_database() -> None:
    nameless = {exp.All, exp.And, exp.Any, exp.AtTimeZone, exp.Boolean, exp.Escape, exp.Exists, exp.If, exp.Is,
                exp.Literal, exp.Not, exp.Null, exp.Or, exp.Overlaps, exp.Paren, exp.Tuple, exp.Var}  # fmt: skip

    assert set(SYMBOLS) | nameless == {*OPERATORS, exp.In, exp.JSONExtract, exp.JSONExtractScalar, exp.Join}
    assert not nameless & set(SYMBOLS)


def test_a_function_that_the_database_defines_anew_is_not_called() -> None:
    schema = replace(SCHEMA, own_functions=frozenset({"starts_with"}))

    verdict = GUARD.check("SELECT Starts_With(name, 'a'), lower(name) FROM customers", schema)

    assert [str(refusal) for refusal in verdict.refusals] == [
        "this function is not allowed: Starts_With, which the database defines anew"
    ]
    assert GUARD.check("SELECT lower(name) FROM customers", schema).allowed
    assert not GUARD.check(
        "SELECT x FROM generate_series(1, 2) AS x", replace(schema, own_functions=frozenset({"generate_series"}))
    ).allowed
