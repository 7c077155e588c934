"""Values that a query makes of itself have bounds; what people ask for stays within them."""

import pytest

from services.sql.query_guard import QueryGuard, RefusalCode
from tests.fakes.sql import shop_schema

GUARD = QueryGuard(max_rows=1_000)
SCHEMA = shop_schema()
TENFOLD = "||".join(["s"] * 10)


@pytest.mark.parametrize(
    "sql",
    [
        # Sizes given as numbers.
        "SELECT repeat('x', 1001)",
        "SELECT repeat('x', customer_id) FROM customers",
        "SELECT repeat('x', (SELECT 1000000000))",
        "SELECT repeat(repeat(repeat('xxxx', 1000), 1000), 10)",
        "SELECT lpad('x', 1000000000)",
        "SELECT rpad(name, customer_id * 1000000) FROM customers",
        "SELECT rpad('x', -1)",
        "SELECT format('%1000000000s', 'x')",
        "SELECT format('%*s', 1000000000, 'x')",
        "SELECT format('%-' || '1000000000s', 'x')",
        "SELECT format(name, 'x') FROM customers",
        "SELECT 'x'::char(10000000)",
        "SELECT CAST(name AS char(1001)) FROM customers",
        "SELECT 1::bit(80000000)",
        "SELECT factorial(100000)",
        "SELECT factorial(order_id) FROM orders",
        # Rows out of nothing.
        "SELECT generate_series(1, 100001)",
        "SELECT 1 FROM generate_series(1, 1e9)",
        "SELECT 1 FROM generate_series(-100000, 100000)",
        "SELECT 1 FROM generate_series(1, 1000000, 2)",
        "SELECT 1 FROM generate_series(0, 10, 0.00001)",
        "SELECT 1 FROM generate_series(1, 10 ^ 9)",
        "SELECT 1 FROM generate_series(1, (SELECT 200000000))",
        "SELECT 1 FROM generate_series(1, (SELECT max(customer_id) * 1000000 FROM customers))",
        "SELECT 1 FROM generate_series(1, '200000000'::int)",
        "SELECT 1 FROM generate_series(1, ('2000' || '00000')::int)",
        "SELECT 1 FROM generate_series(1, length(repeat('x', 1000)) + 1000000)",
        "SELECT 1 FROM generate_series(1)",
        "SELECT 1 FROM generate_series(now() - INTERVAL '1 day', now(), '1 microsecond')",
        "SELECT 1 FROM generate_series(now() - INTERVAL '100000 years', now(), '1 day')",
        "SELECT 1 FROM generate_series(DATE '2025-01-01', DATE '99999-01-01', INTERVAL '1 day')",
        "SELECT 1 FROM generate_series(DATE '2025-01-01', DATE '2025-02-01', (SELECT INTERVAL '1 microsecond'))",
        # Texts that grow by themselves.
        f"WITH a AS (SELECT 'xxxxxxxxxx' AS s), b AS (SELECT {TENFOLD} AS s FROM a),"
        f" c AS (SELECT {TENFOLD} AS s FROM b),"
        f" d AS (SELECT {TENFOLD} AS s FROM c), e AS (SELECT {TENFOLD} AS s FROM d),"
        f" f AS (SELECT {TENFOLD} AS s FROM e)"
        f" SELECT {TENFOLD} FROM f",
        "SELECT q.s || q.s FROM (SELECT repeat(repeat('xxxx', 1000), 999) AS s) q",
        "WITH RECURSIVE r(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM r) SELECT s FROM r",
        "WITH RECURSIVE r(s) AS (SELECT 'x' UNION ALL SELECT concat(s, s) FROM r) SELECT s FROM r",
        "WITH RECURSIVE r(s) AS (SELECT 'x' UNION ALL SELECT replace(s, 'x', 'xx') FROM r) SELECT s FROM r",
        "WITH RECURSIVE r(s, t) AS (SELECT 'x', 'y' UNION ALL SELECT t || s, s || t FROM r) SELECT s FROM r",
        "WITH RECURSIVE r(s) AS (SELECT ARRAY[1] UNION ALL SELECT array_cat(s, s) FROM r) SELECT s FROM r",
        "WITH RECURSIVE r(s) AS (SELECT 'x' UNION ALL SELECT a.s || b.s FROM r a, r b) SELECT s FROM r",
        "WITH RECURSIVE r(s) AS (SELECT 'x' UNION ALL SELECT x.t FROM r, LATERAL (SELECT r.s || r.s AS t) x) SELECT s"
        " FROM r",
        "WITH RECURSIVE r(s) AS (SELECT 'x' UNION ALL SELECT (SELECT string_agg(r.s, '') FROM generate_series(1, 9))"
        " FROM r) SELECT s FROM r",
        "WITH RECURSIVE r AS (SELECT 'x' AS s UNION SELECT CASE WHEN true THEN s || s ELSE s END FROM r)"
        " SELECT s FROM r",
        "WITH RECURSIVE r(s) AS (SELECT 'x' UNION ALL (WITH q AS (SELECT s || s AS t FROM r) SELECT t FROM q)) SELECT s"
        " FROM r",
        "WITH RECURSIVE r(s) AS (SELECT 'x' UNION ALL SELECT quote_literal(s) FROM r) SELECT s FROM r",
        "SELECT " + "quote_literal(" * 30 + "''''" + ")" * 30,
        "SELECT 'x'" + "::bytea::text" * 25,
        "SELECT replace(replace(replace('aaaa', 'a', '" + "a" * 999 + "'), 'a', '" + "a" * 999 + "'), 'a', 'aa')",
        "SELECT regexp_replace('" + "a" * 4000 + "', 'a', '" + "b" * 4000 + "', 'g')",
        # Gathered from rows that the query makes itself.
        "SELECT string_agg(repeat('x', 1000), '') FROM generate_series(1, 100000)",
        "SELECT string_agg('x', '') FROM generate_series(1, 9999) a, generate_series(1, 9999) b",
        "SELECT array_agg(a) FROM generate_series(1, 100000) a, LATERAL (SELECT a FROM generate_series(1, 99) b) c",
        "SELECT ARRAY(SELECT 1 FROM generate_series(1, 100000) a, generate_series(1, 100000) b)",
        "SELECT jsonb_agg(a.n) FROM (VALUES (1), (2), (3)) a(n)" + ", (VALUES (1), (2), (3), (4), (5), (6)) v" * 9,
        "SELECT array_to_string(ARRAY(SELECT a FROM generate_series(1, 99999) a), '" + "b" * 8000 + "')",
        # One argument, written again and again.
        "SELECT format('" + "%1$s" * 300 + "', repeat(repeat('x', 1000), 400))",
        "SELECT format('" + "%1$I" * 300 + "', repeat(name, 1000)) FROM customers",
        # Large for each row, and as many of them as tables have.
        "SELECT array_agg(repeat(repeat(name, 100), 50)) FROM customers a, orders b",
        "SELECT string_agg('" + "z" * 15_000 + "' || name, '') FROM customers",
        "SELECT jsonb_agg(s) FROM (SELECT repeat(repeat(name, 100), 50) AS s FROM customers) q",
        "SELECT 1 WHERE 'a' NOT IN (SELECT repeat(repeat(name, 100), 50) FROM customers)",
        "SELECT 1 FROM customers WHERE name <> ALL (SELECT repeat(repeat(name, 100), 50) FROM customers)",
        "SELECT repeat(repeat(name, 100), 50) FROM customers INTERSECT SELECT name FROM customers",
        "SELECT 1 FROM customers JOIN (SELECT 1 AS k, repeat(repeat(name, 100), 50) AS s FROM customers) q"
        " ON k = customer_id",
        "WITH q AS (SELECT repeat(repeat(name, 100), 50) AS s FROM customers) SELECT array_agg(s) FROM q",
        "WITH RECURSIVE r(n, s) AS (SELECT 1, 'x' UNION SELECT n + 1, repeat(lpad(n::text, 500), 200) FROM r)"
        " SELECT n FROM r",
        # Rows out of the parts of one value.
        "SELECT array_agg(lpad('x', 1000)) FROM unnest(string_to_array(repeat(repeat('x', 1000), 500), NULL)) u",
        "SELECT ARRAY(SELECT lpad('x', 1000) FROM regexp_split_to_table(repeat(repeat('x', 1000), 500), '') t)",
        "SELECT array_agg(n) FROM generate_series(1, (SELECT max(order_id) FROM orders)) n",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r)"
        " SELECT 1 WHERE '0' NOT IN (SELECT repeat(lpad(n::text, 500), 200) FROM r)",
    ],
)  # fmt: skip
def test_what_could_use_up_memory_is_refused(sql: str) -> None:
    verdict = GUARD.check(sql, SCHEMA)

    assert [refusal.code for refusal in verdict.refusals] == [RefusalCode.TOO_LARGE]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT lpad(order_id::text, 8, '0'), rpad(status, 20), repeat('*', 10), "
        "format('%s: %I %-10s', status, 'a', 'b') FROM orders",
        "SELECT name::char(20), factorial(10) FROM customers",
        "SELECT 1 FROM generate_series(1, 100000)",
        "SELECT 1 FROM generate_series(10, -10, -1)",
        "SELECT 1 FROM generate_series(2000, extract(year FROM now())::int)",
        "SELECT 1 FROM generate_series(1, (SELECT max(order_id) FROM orders))",
        "SELECT generate_series(1, order_id) FROM orders",
        "SELECT 1 FROM generate_series((SELECT min(placed_at) FROM orders), now(), INTERVAL '1 day')",
        "SELECT 1 FROM generate_series(date_trunc('month', now()) - INTERVAL '11 months', now(), '1 month'::interval)",
        "SELECT 1 FROM generate_series(DATE '2024-01-01', DATE '2024-12-31', INTERVAL '1' MONTH)",
        "SELECT 1 FROM generate_series(TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-02', '1 hour')",
        "SELECT string_agg(name, ', ' ORDER BY name) FROM customers",
        "SELECT string_agg(list, '; ') FROM (SELECT string_agg(name, ', ') AS list FROM customers GROUP BY segment) q",
        "SELECT array_agg(n) FROM generate_series(1, 1000) AS n",
        "SELECT json_agg(json_build_object('id', customer_id, 'name', name, 'segment', segment)) FROM customers",
        "SELECT array_to_string(array_agg(name), ', ') FROM customers",
        "SELECT replace(replace(replace(lower(name), ' ', '-'), '.', ''), '''', '') FROM customers",
        "SELECT regexp_replace(regexp_replace(name, '[^a-z]', '', 'g'), '(a)', '\\1-\\1') FROM customers",
        "SELECT concat_ws(' ', name, segment, profile ->> 'a', profile ->> 'b', customer_id::text::varchar)"
        " FROM customers",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 100) SELECT n FROM r",
        "WITH RECURSIVE r(a, b) AS (SELECT 0, 1 UNION ALL SELECT b, a + b FROM r WHERE b < 1000) SELECT a FROM r",
        "WITH RECURSIVE r(n, f) AS (SELECT 1, 1 UNION ALL SELECT n + 1, f * (n + 1) FROM r WHERE n < 10)"
        " SELECT f FROM r",
        "WITH RECURSIVE r(id, path) AS (SELECT customer_id, name FROM customers UNION ALL SELECT c.customer_id,"
        " r.path || ' > ' || c.name FROM customers c JOIN r ON c.customer_id = r.id + 1) SELECT path FROM r",
        "WITH RECURSIVE r(id, seen) AS (SELECT customer_id, ARRAY[customer_id] FROM customers UNION ALL"
        " SELECT c.customer_id, r.seen || c.customer_id FROM customers c JOIN r ON NOT c.customer_id = ANY (r.seen))"
        " SELECT seen FROM r",
        "WITH RECURSIVE r(id) AS (SELECT customer_id FROM customers UNION SELECT order_id FROM orders JOIN r ON true)"
        " SELECT string_agg(id::text, ',') FROM r",
        "WITH RECURSIVE r(d) AS (SELECT DATE '2025-01-01' UNION ALL SELECT (d + INTERVAL '1 month')::date FROM r"
        " WHERE d < DATE '2026-01-01') SELECT array_agg(to_char(d, 'YYYY-MM')) FROM r",
        "SELECT 1 WHERE 1 IN (" + ", ".join(map(str, range(2_000))) + ")",
        "SELECT '" + "x" * 15_000 + "'",
        "SELECT quote_literal(quote_ident(name)) FROM customers",
        "SELECT format('%s %s %s: %I %L %%', name, segment, joined_on, 'a', 'b') FROM customers",
        "SELECT string_agg(concat_ws(', ', name, segment, profile ->> 'a', profile ->> 'b'), '; ') FROM customers",
        "SELECT jsonb_agg(jsonb_build_object(" + ", ".join(f"'column {n}', name" for n in range(40)) + ")) FROM"
        " customers",
        "SELECT 1 FROM customers WHERE name IN (SELECT lpad(status, 20) FROM orders)",
        "SELECT string_agg(part, '-') FROM unnest(string_to_array('a,b,c', ',')) AS part",
        "SELECT array_agg(day) FROM generate_series((SELECT min(placed_at) FROM orders), now(), '1 day') AS day",
        "WITH RECURSIVE r(n, path) AS (SELECT 1, name FROM customers UNION ALL SELECT n + 1, path || ' / ' || name"
        " FROM r JOIN customers ON customer_id = n) SELECT DISTINCT path FROM r",
        "SELECT repeat(name, 1000), (SELECT repeat(repeat('x', 1000), 10)) FROM customers",
    ],
)  # fmt: skip
def test_what_people_ask_for_passes(sql: str) -> None:
    verdict = GUARD.check(sql, SCHEMA)

    assert verdict.allowed, [str(refusal) for refusal in verdict.refusals]
