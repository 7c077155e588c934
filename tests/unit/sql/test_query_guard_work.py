"""What a query makes the database do without end or measure, by its text alone, is refused; ordinary work passes."""

import pytest

from services.sql.query_guard import QueryGuard, RefusalCode
from tests.fakes.sql import shop_schema

GUARD = QueryGuard(max_rows=1_000)
SCHEMA = shop_schema()


def letters(letter: str, thousands: int) -> str:
    return f"repeat(repeat('{letter}', 1000), {thousands})"


def levels(count: int, item: str, kind: str = "") -> str:
    """Queries of WITH, each over the one before."""
    parts = ["a0 AS (SELECT customer_id AS x FROM customers)"]
    parts += [f"a{n} AS {kind}(SELECT {item} AS x FROM a{n - 1} p)" for n in range(1, count + 1)]
    return f"WITH {', '.join(parts)} SELECT x FROM a{count}"


def nested(count: int, item: str, more: str = "", end: str = "") -> str:
    heads = "".join(f"(SELECT {more}{item} AS x FROM " for _ in range(count))
    tails = "".join(f") q{n}" for n in range(count))
    return f"SELECT x FROM {heads}(SELECT customer_id AS x FROM customers) z{tails}{end}"


def wrapped(count: int, form: str) -> str:
    text = "customer_id"
    for _ in range(count):
        text = form.format(text)
    return f"SELECT {text} FROM customers"


def joined(count: int, condition: str) -> str:
    joins = "".join(f" JOIN customers c{n} {condition.format(n)}" for n in range(1, count))
    return f"SELECT 1 FROM customers c0{joins}"


UNINTERRUPTED = [
    f"SELECT translate({letters('x', 1000)}, {letters('y', 300)}, 'z')",
    f"SELECT strpos({letters('a', 1000)}, 'b' || {letters('a', 500)})",
    f"SELECT position('b' || {letters('a', 500)} IN {letters('a', 1000)})",
    f"SELECT replace({letters('a', 1000)}, 'b' || {letters('a', 10)}, '')",
    f"SELECT split_part({letters('a', 1000)}, 'b' || {letters('a', 10)}, 2)",
    f"SELECT string_to_array({letters('a', 1000)}, 'b' || {letters('a', 10)})",
    f"SELECT 1 FROM string_to_table({letters('a', 1000)}, 'b' || {letters('a', 10)})",
    f"SELECT btrim({letters('a', 1000)}, {letters('b', 500)} || 'a')",
    f"SELECT ltrim({letters('a', 1000)}, {letters('b', 500)} || 'a')",
    f"SELECT rtrim({letters('a', 1000)}, {letters('b', 500)} || 'a')",
    f"SELECT TRIM(BOTH {letters('b', 500)} || 'a' FROM {letters('a', 1000)})",
    f"SELECT {letters('a', 1000)} LIKE '%' || {letters('a', 10)} || 'b%'",
    f"SELECT {letters('a', 1000)} ILIKE '%' || {letters('a', 10)} || 'b%'",
    f"SELECT {letters('a', 1000)} NOT LIKE '%' || {letters('a', 10)} || 'b%'",
    f"SELECT {letters('a', 50)} LIKE ANY (string_to_array(repeat(repeat('%b,', 1000), 10), ','))",
    f"SELECT string_to_array({letters('a', 300)}, NULL) && string_to_array({letters('b', 300)}, NULL)",
    f"SELECT string_to_array({letters('a', 300)}, NULL) @> string_to_array({letters('b', 300)}, NULL)",
    f"SELECT string_to_array({letters('a', 300)}, NULL) <@ string_to_array({letters('b', 300)}, NULL)",
    f"SELECT to_jsonb(string_to_array({letters('a', 300)}, NULL)) ?| string_to_array({letters('b', 1000)}, NULL)",
    f"SELECT to_jsonb(string_to_array({letters('a', 300)}, NULL)) ?& string_to_array({letters('b', 1000)}, NULL)",
    f"SELECT to_jsonb(string_to_array({letters('a', 300)}, NULL)) - string_to_array({letters('b', 1000)}, NULL)",
    f"SELECT jsonb_path_query_array(('[' || {letters('1,', 5)} || '1]')::jsonb, '$[*] ? (@ == $[*])')",
    "SELECT jsonb_path_query_array('[1, 2]', '$[*] ? (@ == $x[*])',"
    f" ('{{\"x\":[' || {letters('1,', 100)} || '1]}}')::jsonb)",
    f"SELECT jsonb_path_exists(({letters('[', 5)} || {letters(']', 5)})::jsonb, '$.**.**')",
    # Parts of a value compared with each other, by one path that comes back to nothing.
    f"SELECT jsonb_path_exists(to_jsonb(string_to_array({letters('a', 200)}, NULL)), 'strict $ ? (@[*] < @[*])')",
    f"SELECT jsonb_path_exists(({letters('[', 5)} || {letters(']', 5)})::jsonb, '$.a ? (@.b > 1 && @.c < @.d)')",
    # Numbers of many digits.
    "SELECT " + " + ".join(["(9.9 ^ (130000 + order_id)) % (7.7 ^ (70000 + order_id))"] * 50) + " FROM orders",
    "SELECT " + " + ".join(["power(9.9, 130000)"] * 50),
    "SELECT " + " + ".join(["exp(290000.5)"] * 50),
    "SELECT x * x * x * x FROM (SELECT 9.9 ^ 130000 AS x) q WHERE " + " AND ".join(["x % (x / 7) > 1"] * 20),
    "WITH a0 AS (SELECT 1e999 AS x), " + ", ".join(f"a{n} AS (SELECT x * x AS x FROM a{n - 1})" for n in range(1, 8))
    + " SELECT " + " + ".join(["x % (x / 7)"] * 100) + " FROM a7",
    # Large values, many of them in one row or one plan.
    "SELECT " + ", ".join([f"length({letters('xxx', 1000)})"] * 60),
    "SELECT " + ", ".join([f"upper(lower({letters('xxx', 300)}))"] * 30) + " FROM customers",
    f"SELECT cardinality(regexp_split_to_array({letters('xxx', 1000)}, ''))",
    # Over what tables hold.
    "SELECT translate(name, repeat(segment, 1000), 'z') FROM customers",
    "SELECT translate(name, '" + "y" * 1_001 + "', 'z') FROM customers",
    "SELECT strpos(string_agg(name, ''), string_agg(segment, '')) FROM customers",
    "SELECT array_agg(name) && array_agg(segment) FROM customers",
    "SELECT ARRAY(SELECT name FROM customers) @> ARRAY(SELECT segment FROM customers)",
    # By way of other names, and in every place.
    f"WITH t AS (SELECT {letters('a', 500)} AS s) SELECT strpos(p.s, 'b' || q.s) FROM t p, t q",
    f"SELECT 1 FROM customers ORDER BY strpos({letters('a', 1000)}, 'b' || {letters('a', 500)})",
    f"SELECT 1 FROM customers GROUP BY strpos({letters('a', 1000)}, 'b' || {letters('a', 500)})",
    f"SELECT sum(1) OVER w FROM customers WINDOW w AS (ORDER BY strpos({letters('a', 1000)}, {letters('b', 500)}))",
    f"SELECT 1 FROM (SELECT 1 LIMIT strpos({letters('a', 1000)}, {letters('b', 500)})) q",
    f"(SELECT 1 AS x OFFSET strpos({letters('a', 1000)}, {letters('b', 500)})) UNION ALL SELECT 2",
    f"SELECT 1 FROM ((SELECT 1 AS x) p JOIN (SELECT strpos({letters('a', 1000)}, {letters('b', 500)})) q ON true)",
    f"SELECT 1 FROM customers JOIN orders ON strpos({letters('a', 1000)}, {letters('b', 500)}) > 0",
    # Each for itself would do.
    "WITH t AS (SELECT '" + "a" * 5_000 + "' AS s), u AS (SELECT strpos(s, 'b' || s) AS n FROM t) SELECT "
    + " + ".join(["n"] * 20) + " FROM u",
]  # fmt: skip
PUT_TOGETHER = [
    levels(18, "x + x"),
    levels(26, "x + x", "NOT MATERIALIZED "),
    levels(9, "CASE WHEN x > 1 THEN x WHEN x < 0 THEN -x ELSE x END"),
    levels(26, "(SELECT x + x)"),
    "WITH a0 AS (SELECT 1 AS x), "
    + ", ".join(f"a{n} AS NOT MATERIALIZED (SELECT p.x FROM a{n - 1} p, a{n - 1} q)" for n in range(1, 9))
    + " SELECT x FROM a8",
    nested(18, "x + x"),
    # Conditions go down into what stays a query of its own.
    nested(18, "x + x", "DISTINCT ", " WHERE x > 1"),
    nested(18, "max(x) + max(x)", "", " WHERE x > 1"),
    # By the list of names, and by names that are not given.
    "SELECT a FROM " + "(SELECT a + a FROM " * 18 + "customers c(a)" + ") q(a)" * 18,
    "SELECT lower FROM " + "(SELECT lower(lower || lower) FROM " * 18 + "(SELECT name AS lower FROM customers) z"
    + "".join(f") q{n}" for n in range(18)),
    # What PostgreSQL copies as it reads.
    wrapped(15, "({} BETWEEN 0 AND 1)::int"),
    "SELECT 1 FROM orders a WHERE "
    + " AND ".join(f"EXISTS (SELECT 1 FROM orders b WHERE b.order_id = a.order_id + {n})" for n in range(70)),
    wrapped(9, "({} BETWEEN SYMMETRIC 0 AND 1)::int"),
    wrapped(12, "({} IN (customer_id, 1 + customer_id))::int"),
    # Tables.
    joined(130, "USING (customer_id)"),
    joined(130, "ON c{0}.customer_id = c0.customer_id"),
    "SELECT 1 FROM customers c0" + "".join(f" NATURAL JOIN customers c{n}" for n in range(1, 60)),
    joined(130, "ON true").replace(" JOIN", ",").replace(" ON true", ""),
    "SELECT 1 FROM (" + " UNION ALL ".join(["SELECT 1"] * 130) + ") q, customers c",
    "SELECT x FROM (" + " UNION ALL ".join(["SELECT customer_id AS x FROM customers"] * 90) + ") q WHERE "
    + " AND ".join(f"x <> {n}" for n in range(100)),
    "SELECT " + ", ".join(f"sum(customer_id) OVER (ORDER BY customer_id + {n})" for n in range(150))
    + " FROM customers",
    "SELECT " + ", ".join(f"sum(customer_id + {n})" for n in range(50)) + " FROM customers GROUP BY CUBE ("
    + ", ".join(["customer_id", "name", "segment", "joined_on"] * 3) + ")",
]  # fmt: skip


@pytest.mark.parametrize("sql", UNINTERRUPTED)
def test_work_that_no_time_limit_ends_is_refused(sql: str) -> None:
    verdict = GUARD.check(sql, SCHEMA)

    assert [refusal.code for refusal in verdict.refusals] == [RefusalCode.TOO_LARGE]


@pytest.mark.parametrize("sql", PUT_TOGETHER)
def test_what_grows_when_it_is_put_together_is_refused(sql: str) -> None:
    verdict = GUARD.check(sql, SCHEMA)

    assert [refusal.code for refusal in verdict.refusals] == [RefusalCode.TOO_LARGE]


def test_recursive_queries_within_each_other_are_refused_before_they_take_long() -> None:
    query = "SELECT 1"
    for number in range(12):
        query = f"WITH RECURSIVE r{number}(n) AS (SELECT 1 UNION ALL (SELECT n FROM r{number}, ({query}) q)) SELECT 1"

    assert not GUARD.check(query, SCHEMA).allowed


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT translate(lower(name), 'áàâäéèêëíìîïóòôöúùûü', 'aaaaeeeeiiiioooouuuu') FROM customers",
        "SELECT 1 FROM customers WHERE strpos(name, segment) > 0 AND position('a' IN lower(name)) > 1",
        "SELECT split_part(string_agg(name, ', ' ORDER BY name), ', ', 1) FROM customers GROUP BY segment",
        "SELECT replace(string_agg(name, ','), 'a', 'b'), regexp_replace(string_agg(name, ','), ',+', ';')"
        " FROM customers",
        "SELECT btrim(name), trim(both ' \t' FROM name), ltrim(name, '0'), rtrim(name, '.') FROM customers",
        "SELECT 1 FROM customers WHERE name LIKE '%' || segment || '%' OR name ILIKE ANY (ARRAY['a%', '%b', '%c%'])",
        "SELECT 1 FROM customers WHERE name LIKE ANY (ARRAY[" + ", ".join(f"'%word {n}%'" for n in range(200)) + "])",
        "SELECT 1 FROM orders a, orders b WHERE a.tags && b.tags AND a.tags @> ARRAY['x', 'y'] AND a.tags <@ b.tags",
        "SELECT customer_id FROM orders GROUP BY customer_id HAVING array_agg(status) @> ARRAY['open', 'shipped']",
        "SELECT 1 FROM customers WHERE profile ?| ARRAY['a', 'b'] AND profile - 'a' <> profile",
        "SELECT jsonb_path_query(profile, '$.items[*] ? (@.price > 10).name'),"
        """ jsonb_path_exists(profile, '$.items[*] ? (@.price > $least)', '{"least": 3}') FROM customers""",
        "SELECT 1 FROM customers, (SELECT string_agg(segment, ',') AS all_of_them FROM customers) q"
        " WHERE strpos(all_of_them, name) > 0",
        "WITH RECURSIVE r(id, path) AS (SELECT customer_id, name FROM customers UNION ALL SELECT c.customer_id,"
        " r.path || ' > ' || c.name FROM customers c JOIN r ON c.customer_id = r.id + 1"
        " WHERE r.path NOT LIKE '%' || c.name || '%' AND strpos(r.path, c.name) = 0) SELECT path FROM r",
        "WITH RECURSIVE r(id, path) AS (SELECT customer_id, ARRAY[customer_id] FROM customers UNION ALL SELECT"
        " c.customer_id, r.path || c.customer_id FROM customers c JOIN r ON NOT r.path @> ARRAY[c.customer_id])"
        " SELECT path FROM r",
        "SELECT " + "replace(" * 12 + "name" + "".join(f", '{letter}', '')" for letter in "abcdefghijkl")
        + " FROM customers",
        "SELECT jsonb_path_query(profile, '$.a[*] ? (@.b > 1 && @.c < 2 || @.d == 3 && exists(@.e) && @.f != @.g)')"
        " FROM customers",
        "SELECT 2 * asin(sqrt(power(sin(radians(a.x - b.x) / 2), 2) + cos(radians(a.x)) * cos(radians(b.x))"
        " * power(sin(radians(a.y - b.y) / 2), 2))) FROM (SELECT 1.5 AS x, 2.5 AS y) a, (SELECT 3.5 AS x, 4.5 AS y) b",
        "SELECT total_amount * 0.05 * (1 + 0.05) ^ customer_id / ((1 + 0.05) ^ customer_id - 1), total_amount * 1e6,"
        " power(total_amount, 0.5), exp(-total_amount), round((total_amount / 7) ^ 2, 2), 1.5e-3 * 1e12 FROM orders",
        "SELECT total_amount * 1e-3" + " * order_id / 2" * 40 + " FROM orders",
        "SELECT rate FROM (SELECT power(1.02, order_id) AS rate FROM orders) q WHERE rate > 2",
        "SELECT " + ", ".join(f"(total_amount - {n}) ^ 2 / {n + 1}" for n in range(60)) + " FROM orders",
        f"SELECT length({letters('x', 1000)})",
        "SELECT string_agg(repeat('x', 1000), '') FROM generate_series(1, 1000)",
        "SELECT 1 FROM orders a WHERE "
        + " OR ".join(f"EXISTS (SELECT 1 FROM orders b WHERE b.order_id = a.order_id + {n})" for n in range(30)),
        levels(8, "x + x"),
        levels(40, "x + 1"),
        levels(40, "x + x", "MATERIALIZED "),
        levels(40, "max(x) + max(x)"),
        joined(25, "USING (customer_id)"),
        joined(60, "ON c{0}.customer_id = c0.customer_id"),
        wrapped(6, "({} BETWEEN 0 AND 1)::int"),
        "SELECT x FROM (" + " UNION ALL ".join(["SELECT customer_id AS x FROM customers"] * 40) + ") q WHERE x > 1",
        "SELECT 1 WHERE 1 IN (" + ", ".join(map(str, range(2_000))) + ")",
        "SELECT customer_id, name, segment, " + ", ".join(
            f"sum(total_amount) FILTER (WHERE status = 'open' AND extract(month FROM placed_at) = {n})"
            for n in range(1, 13)
        ) + " FROM customers JOIN orders USING (customer_id) GROUP BY CUBE (customer_id, name, segment)",
        "SELECT " + ", ".join(f"rank() OVER (ORDER BY customer_id + {n})" for n in range(20)) + " FROM customers",
    ],
)  # fmt: skip
def test_ordinary_work_passes(sql: str) -> None:
    verdict = GUARD.check(sql, SCHEMA)

    assert verdict.allowed, [str(refusal) for refusal in verdict.refusals]
