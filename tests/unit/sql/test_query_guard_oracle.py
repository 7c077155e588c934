"""PostgreSQL's own grammar as judge of the guard, over statements written by chance.

Of each text that passes: what the guard writes is one SELECT that only reads, made of allowed parts, and means what was
written; and what was written is, if PostgreSQL takes it at all, one statement.
"""

from random import Random

import pytest
from pglast.parser import ParseError, parse_sql_json

from services.sql.query_guard import QueryGuard
from tests.fakes.sql import shop_schema
from tests.unit.sql.hostile_sql import Attacker
from tests.unit.sql.postgres_objections import objections
from tests.unit.sql.postgres_reading import reading_of, statements_of
from tests.unit.sql.sql_grammar import Grammar

GUARD = QueryGuard(max_rows=1_000)
SCHEMA = shop_schema()
ROUNDS = 20
STATEMENTS = 5_100  # 102,000 in all
RIGHT_SHARE = 0.15  # of statements that are right as written; the others are attacks, or spoilt


def texts(seed: int) -> list[str]:
    random = Random(seed)
    grammar = Grammar(random, SCHEMA)
    attacker = Attacker(random, grammar)
    return [grammar.statement() if random.random() < RIGHT_SHARE else attacker.statement() for _ in range(STATEMENTS)]


def judged(sql: str) -> bool:
    """Whether the guard lets the text pass, after PostgreSQL's grammar has agreed with it."""
    verdict = GUARD.check(sql, SCHEMA)
    if not verdict.allowed:
        assert verdict.sql == ""
        assert verdict.refusals
        assert all(0 <= refusal.position <= len(sql) + 1 for refusal in verdict.refusals), sql
        return False
    written = statements_of(verdict.sql)
    assert list(objections(written, SCHEMA)) == [], (sql, verdict.sql)
    try:
        meant = statements_of(sql)
    except (ParseError, UnicodeError):
        return True  # PostgreSQL is stricter, and will see only what the guard wrote.
    assert [reading_of(one) for one in meant] == [reading_of(one) for one in written], (sql, verdict.sql)
    return True


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_what_the_guard_accepts_is_one_harmless_select_to_postgresql(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    accepted = sum(judged(sql) for sql in texts(seed))

    assert accepted >= STATEMENTS * 0.25, "too few pass for the test to mean anything"
    assert caplog.records == [], "statements must not be logged"


def test_right_statements_nearly_all_pass_and_stay_as_they_are_when_checked_again() -> None:
    grammar, passed = Grammar(Random(-1), SCHEMA), 0

    for _ in range(1_000):
        once = GUARD.check(grammar.statement(), SCHEMA)
        if once.allowed:
            assert GUARD.check(once.sql, SCHEMA).sql == once.sql
            passed += 1

    assert passed >= 900


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; SELECT 2",
        "SELECT pg_sleep(1) LIMIT 1",
        "SELECT * FROM public.customers FOR UPDATE LIMIT 1",
        "SELECT 1 INTO x LIMIT 1",
        "SELECT * FROM pg_class LIMIT 1",
        "SELECT 1 LIMIT 100000",
        "SELECT 1",
        "SELECT current_user LIMIT 1",
        "SELECT ctid FROM public.customers LIMIT 1",
        "SELECT 'x'::regclass LIMIT 1",
        "WITH w AS (DELETE FROM public.customers RETURNING 1) SELECT 1 LIMIT 1",
        "SELECT xmlelement(name a) LIMIT 1",
        "WITH a AS (SELECT 1) SELECT (SELECT 1 FROM b) FROM a LIMIT 1",
        "SELECT $1 LIMIT 1",
        "DROP TABLE customers",
    ],
)
def test_the_judge_objects_to_what_is_no_harmless_select(sql: str) -> None:
    assert list(objections(statements_of(sql), SCHEMA))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 1", "SELECT 2"),
        ("SELECT a - (b - c) FROM t", "SELECT a - b - c FROM t"),
        ("SELECT NOT a IN (1)", "SELECT NOT (NOT a IN (1))"),
        ("SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a DESC"),
        ("SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a NULLS FIRST"),
        ("SELECT INTERVAL '1 day 02:00'", "SELECT INTERVAL '1 day'"),
        ("SELECT 2 ^ 3 ^ 2", "SELECT 2 ^ (3 ^ 2)"),
        ("SELECT a FROM (SELECT a FROM t LIMIT 1) x", "SELECT a FROM (SELECT a FROM t LIMIT 2) x"),
        ("SELECT a FROM t JOIN u USING (a)", "SELECT a FROM t LEFT JOIN u USING (a)"),
    ],
)
def test_the_judge_tells_meanings_apart(one: str, other: str) -> None:
    assert reading_of(statements_of(one)[0]) != reading_of(statements_of(other)[0])


def test_a_literal_survives_to_the_letter() -> None:
    text = "a'b\"c\\d -- e /* f */ ; $$ g %s \t\n ü \U0001f600"

    verdict = GUARD.check("SELECT '" + text.replace("'", "''") + "'", SCHEMA)

    (statement,) = statements_of(verdict.sql)
    assert statement["SelectStmt"]["targetList"][0]["ResTarget"]["val"]["A_Const"]["sval"]["sval"] == text


@pytest.mark.parametrize("name", ["ordinary", "Mixed", 'with "quotes"', "select", "größe", "a;b", "x--y", "Ñ", "1st"])
def test_a_quoted_name_survives_to_the_letter(name: str) -> None:
    verdict = GUARD.check('SELECT 1 AS "' + name.replace('"', '""') + '"', SCHEMA)

    assert f'"name":{_json(name)}' in parse_sql_json(verdict.sql)


def _json(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
