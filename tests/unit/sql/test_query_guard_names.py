"""What names of a query can reach: never a hidden column, a system column, a row as a whole, or another schema."""

from dataclasses import replace

import pytest

from services.sql.models import Column, Schema, Table
from services.sql.query_guard import QueryGuard, RefusalCode
from services.sql.visibility import Visibility
from tests.fakes.sql import shop_schema

GUARD = QueryGuard(max_rows=1_000)
SCHEMA = shop_schema()
# customers has a segment, and nobody is to know.
PARTIAL = replace(SCHEMA, tables=tuple(Visibility.parse("", "customers.segment").shown(SCHEMA.tables)))
CUSTOMERS = "(SELECT customer_id, name, joined_on, profile FROM public.customers) AS"


def written(sql: str, schema: Schema = SCHEMA) -> str:
    verdict = GUARD.check(sql, schema)
    assert verdict.allowed, [str(refusal) for refusal in verdict.refusals]
    return verdict.sql


def code_of(sql: str, schema: Schema = SCHEMA) -> RefusalCode:
    verdict = GUARD.check(sql, schema)
    assert not verdict.allowed, verdict.sql
    return verdict.refusals[0].code


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM customers", f"SELECT * FROM {CUSTOMERS} customers"),
        ("TABLE customers", f"SELECT * FROM {CUSTOMERS} customers"),
        ("SELECT c.* FROM customers c", f"SELECT c.* FROM {CUSTOMERS} c"),
        ("SELECT c.d FROM customers AS c(a, b, d)", f"SELECT c.d FROM {CUSTOMERS} c(a, b, d)"),
        (
            "SELECT public.customers.name FROM public.customers",
            f"SELECT customers.name FROM {CUSTOMERS} customers",
        ),
        (
            "SELECT name FROM orders NATURAL JOIN customers",
            f"SELECT name FROM public.orders NATURAL JOIN {CUSTOMERS} customers",
        ),
        (
            "SELECT x.name FROM (customers c JOIN orders o USING (customer_id)) AS x",
            f"SELECT x.name FROM ({CUSTOMERS} c JOIN public.orders AS o USING (customer_id)) AS x",
        ),
        ("SELECT count(c.*) FROM customers c", f"SELECT COUNT(c.*) FROM {CUSTOMERS} c"),
        ("SELECT to_json(c.*) FROM customers c", f"SELECT TO_JSON(c.*) FROM {CUSTOMERS} c"),
        ("SELECT 1 FROM orders", "SELECT 1 FROM public.orders"),
        (
            "WITH q AS (SELECT * FROM customers) SELECT * FROM q",
            f"WITH q AS (SELECT * FROM {CUSTOMERS} customers) SELECT * FROM q",
        ),
    ],
)
def test_a_table_with_hidden_columns_stands_for_a_query_of_the_others(sql: str, expected: str) -> None:
    once = written(sql, PARTIAL)

    assert once == f"{expected} LIMIT 1001"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT segment FROM customers",
        "SELECT c.segment FROM customers c",
        "SELECT 1 FROM customers WHERE segment = 'Basic'",
        "SELECT 1 FROM customers ORDER BY segment",
        "SELECT 1 FROM customers GROUP BY customers.segment",
        "SELECT 1 FROM customers a JOIN customers b USING (segment)",
        "SELECT (SELECT segment) FROM customers",
        "SELECT q.segment FROM (SELECT * FROM customers) q",
        "SELECT 1 AS segment FROM customers ORDER BY lower(segment)",
        "SELECT count(*) FILTER (WHERE segment = 'x') FROM customers",
        "SELECT sum(1) OVER (PARTITION BY segment) FROM customers",
        "SELECT l.s FROM customers c, LATERAL (SELECT c.segment AS s) l",
    ],
)
def test_no_form_names_a_hidden_column(sql: str) -> None:
    assert code_of(sql, PARTIAL) is RefusalCode.UNKNOWN_COLUMN


def test_a_list_of_new_names_counts_no_hidden_column() -> None:
    assert code_of("SELECT x.e FROM customers AS x(a, b, c, d, e)", PARTIAL) is RefusalCode.CONSTRUCT_NOT_ALLOWED
    assert written("SELECT x.e FROM customers AS x(a, b, c, d, e)")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM customers c",
        "SELECT c.a FROM customers AS c(a, b) JOIN orders AS o ON o.customer_id = c.a",
        "SELECT x.name FROM (customers c JOIN orders o USING (customer_id)) AS x",
        "SELECT name FROM customers UNION SELECT name FROM customers",
        "SELECT (SELECT name FROM customers LIMIT 1) FROM orders NATURAL JOIN customers",
        "SELECT q.name FROM (SELECT name FROM customers) AS q",
        "SELECT q.name FROM ((SELECT name FROM customers)) AS q, LATERAL (SELECT name FROM customers) AS l",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r, customers",
    ],
)
@pytest.mark.parametrize("schema", [SCHEMA, PARTIAL])
def test_what_was_written_is_written_the_same_again(sql: str, schema: Schema) -> None:
    once = GUARD.check(sql, schema)

    assert once.allowed
    assert GUARD.check_again(once.sql, schema) == once == GUARD.check(once.sql, schema)


def test_a_name_that_a_table_hides_does_not_become_its_own_because_a_query_around_has_it() -> None:
    outside = Table("public", "leads", (Column("segment", "text"),))
    schema = replace(PARTIAL, tables=(*PARTIAL.tables, outside))

    query = "SELECT (SELECT q.segment FROM (SELECT segment FROM customers) AS q LIMIT 1) FROM leads"

    assert f"SELECT segment FROM {CUSTOMERS} customers" in written(query, schema)


def test_what_was_written_before_a_column_was_hidden_is_outdated() -> None:
    for sql in ("SELECT * FROM customers", "SELECT name FROM customers", "SELECT to_json(c.*) FROM customers c"):
        assert [refusal.code for refusal in GUARD.check_again(written(sql), PARTIAL).refusals] == [RefusalCode.OUTDATED]
    named = GUARD.check_again(written("SELECT segment FROM customers"), PARTIAL)
    assert [refusal.code for refusal in named.refusals] == [RefusalCode.UNKNOWN_COLUMN]


def test_what_was_written_stays_good_when_a_column_comes_or_may_be_shown_again() -> None:
    customers = SCHEMA.table("public", "customers")
    assert customers is not None
    wider = replace(customers, columns=(*customers.columns, Column("note", "text")))
    more = replace(SCHEMA, tables=(wider, *(table for table in SCHEMA.tables if table.name != "customers")))
    more_hidden = replace(more, tables=tuple(Visibility.parse("", "customers.segment").shown(more.tables)))

    for sql in ("SELECT * FROM customers", "SELECT name FROM customers"):
        assert GUARD.check_again(written(sql), more).allowed
        assert GUARD.check_again(written(sql, PARTIAL), more_hidden).allowed
        assert GUARD.check_again(written(sql, PARTIAL), SCHEMA).allowed


def test_what_a_lower_limit_would_write_otherwise_is_outdated() -> None:
    assert not QueryGuard(max_rows=10).check_again(written("SELECT name FROM customers"), SCHEMA).allowed


def test_what_is_written_may_be_longer_than_what_may_be_given() -> None:
    long = "SELECT name FROM customers WHERE name IN (" + ", ".join(["'x'"] * 2_000) + ")"
    padded = long.replace("SELECT name", f"SELECT '{'x' * (20_000 - len(long) - 8)}', name")

    assert len(padded) <= 20_000 < len(written(padded, PARTIAL))
    assert GUARD.check_again(written(padded, PARTIAL), PARTIAL).allowed


@pytest.mark.parametrize("name", ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT {} FROM customers",
        "SELECT c.{} FROM customers c",
        "SELECT public.customers.{} FROM customers",
        "SELECT 1 AS {} FROM customers GROUP BY {}",
        "SELECT 1 AS {} FROM customers ORDER BY {}::text",
        "SELECT 1 FROM customers WHERE {} IS NOT NULL",
    ],
)
def test_system_columns_are_unknown(sql: str, name: str) -> None:
    assert code_of(sql.replace("{}", name)) is RefusalCode.UNKNOWN_COLUMN


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT c FROM customers c",
        "SELECT customers FROM customers",
        "SELECT to_json(c) FROM customers c",
        "SELECT c::text FROM customers c",
        "SELECT 1 FROM customers c ORDER BY c",
        "SELECT lower(name) AS c FROM customers c ORDER BY c || ''",
        "SELECT lower(name) AS c FROM customers c GROUP BY lower(c)",
        "SELECT c.lower FROM customers c",
        "SELECT name.lower FROM customers",
        "SELECT g.key FROM generate_series(1, 2) g",
        "SELECT value FROM unnest(ARRAY[1]) u",
        "SELECT g.ordinality FROM generate_series(1, 2) g",
    ],
)
def test_rows_as_a_whole_and_functions_as_columns_are_unknown(sql: str) -> None:
    assert code_of(sql) is RefusalCode.UNKNOWN_COLUMN


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM pg_class",
        "SELECT 1 FROM pg_catalog.pg_class",
        "SELECT 1 FROM information_schema.columns",
        "SELECT 1 FROM pg_temp.t",
        "SELECT 1 FROM targets",
        "SELECT 1 FROM public.targets",
        "WITH a AS (SELECT 1 FROM b), b AS (SELECT 1) SELECT 1 FROM a",
        "WITH a AS (SELECT 1 FROM a) SELECT 1 FROM a",
        "SELECT (WITH a AS (SELECT 1) SELECT 1) FROM a",
        "SELECT 1 FROM (WITH a AS (SELECT 1) SELECT 1) q, a",
        "SELECT 1 FROM public.q",
    ],
)
def test_tables_outside_of_the_schema_are_unknown(sql: str) -> None:
    assert code_of(sql) is RefusalCode.UNKNOWN_TABLE


def test_names_in_mixed_case_keep_it_when_the_schema_is_named() -> None:
    schema = Schema((Table("Sales", "Deals", (Column("Amount", "numeric"),)),), search_path=("Sales",))

    assert written('SELECT "Amount" FROM "Deals"', schema) == 'SELECT "Amount" FROM "Sales"."Deals" LIMIT 1001'


def test_outputs_are_known_where_postgresql_knows_them() -> None:
    written("SELECT lower(name) AS n, count(*) FROM customers GROUP BY n ORDER BY n DESC, (n)")
    written("SELECT lower(name) AS n, count(*) FROM customers GROUP BY ROLLUP (n), GROUPING SETS ((n), ())")
    written("SELECT DISTINCT ON (n) lower(name) AS n FROM customers")


@pytest.mark.parametrize(
    ("sql", "position"),
    [
        ("SELECT name, pg_sleep(1) FROM customers", 14),
        ("SELECT name FROM customers, secrets", 29),
        ("SELECT name,\n  nothing FROM customers", 16),
        ("SELECT name FROM customers c WHERE c.nothing = 1", 36),
        ("SELECT (name FROM customers", 17),
        ("SELECT name FROM customers WHERE name OVERLAPS 1", 34),
        ("SELECT 1; SELECT 2", 0),
        ("SELECT repeat('x', 100000)", 8),
    ],
)
def test_a_refusal_tells_where_in_the_text(sql: str, position: int) -> None:
    (refusal,) = GUARD.check(sql, SCHEMA).refusals

    assert refusal.position == position


def test_a_recursive_query_is_read_up_to_a_bound() -> None:
    series = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r)"
    once = written(f"{series} SELECT a.n FROM r AS a")

    assert once == f"{series} SELECT a.n FROM (SELECT * FROM r LIMIT 100000) AS a LIMIT 1001"
    assert written(once) == once
    assert written("WITH RECURSIVE r(n) AS (SELECT 1) SELECT n FROM r").count("LIMIT") == 1
    assert written(f"{series} SELECT n FROM (SELECT * FROM r LIMIT 100001) q").count("LIMIT 100000)") == 1
