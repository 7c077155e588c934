"""What a text may cost us before the guard has said anything: no more than its length allows, whatever it holds."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from threading import current_thread
from types import FrameType

import pytest

from services.sql.bounded_parser import FREE_STEPS, STEPS_PER_TOKEN
from services.sql.column_names import MAX_COLUMNS
from services.sql.guard_dialect import GuardDialect, GuardParser
from services.sql.query_guard import MAX_CHARACTERS_AT_ONCE, MAX_DEPTH, QueryGuard, RefusalCode, Verdict
from services.sql.training_ddl import DdlUnreadable, check_ddl
from tests.fakes.sql import shop_schema
from tests.fakes.sql_schema import WatchedSchema
from tests.unit.sql.sql_grammar import Grammar

GUARD = QueryGuard(max_rows=1_000)
SCHEMA = shop_schema()
MAX_CALLS = 4_000_000  # of functions, for one text; a second or so
MAX_CALLS_AT_ONCE = 500_000  # for one that is judged while everybody waits

# What stands in front of the innermost part, once for each level, and what behind it.
NESTED = {
    "parentheses": ("(", ")"),
    "array": ("ARRAY[", "]"),
    "array of a query": ("ARRAY(SELECT ", ")"),
    "subscript": ("name[", "]"),
    "slice": ("name[1:", "]"),
    "call": ("abs(", ")"),
    "call of a name in quotes": ('"abs"(', ")"),
    "aggregate": ("count(DISTINCT ", ")"),
    "filter": ("count(*) FILTER (WHERE ", ")"),
    "window": ("sum(1) OVER (ORDER BY ", ")"),
    "within group": ("mode() WITHIN GROUP (ORDER BY ", ")"),
    "case": ("CASE WHEN ", " THEN 1 END"),
    "case of a value": ("CASE ", " WHEN 1 THEN 1 END"),
    "query": ("(SELECT ", ")"),
    "exists": ("EXISTS (SELECT ", ")"),
    "in": ("1 IN (", ")"),
    "in a query": ("1 IN (SELECT ", ")"),
    "any": ("1 = ANY (ARRAY[", "])"),
    "from": ("(SELECT 1 FROM (SELECT ", ") AS a)"),
    "join": ("(SELECT 1 FROM customers JOIN orders ON (", "))"),
    "lateral": ("(SELECT 1 FROM customers, LATERAL (SELECT ", ") AS a)"),
    "with": ("(WITH a AS (SELECT ", ") SELECT 1)"),
    "recursive": ("(WITH RECURSIVE a AS (SELECT 1 UNION SELECT ", ") SELECT 1)"),
    "recursive in its first part": ("(WITH RECURSIVE a(n) AS ((SELECT ", ") UNION SELECT 1) SELECT 1)"),
    "union": ("(SELECT 1 UNION SELECT ", ")"),
    "values": ("(VALUES (", "))"),
    "row": ("ROW(", ")"),
    "tuple": ("(1, ", ")"),
    "cast": ("CAST(", " AS int)"),
    "numeric": ("1::numeric(", ")"),
    "varchar": ("1::varchar(", ")"),
    "interval": ("interval(", ")"),
    "timestamp": ("timestamp(", ")"),
    "time zone": ("timestamp with time zone (", ")"),
    "date": ("date(", ")"),
    "type in quotes": ('1::"numeric"(', ")"),
    "typed array": ("int[", "]"),
    "extract": ("extract(year FROM ", ")"),
    "substring": ("substring(name FROM ", ")"),
    "trim": ("trim(BOTH 'x' FROM ", ")"),
    "position": ("position('x' IN ", ")"),
    "overlay": ("overlay(name PLACING ", " FROM 1)"),
    "coalesce": ("coalesce(", ", 1)"),
    "between": ("1 BETWEEN (", ") AND 2"),
    "struct": ("STRUCT<a ", ">"),
    "map": ("MAP<int, ", ">"),
    "braces": ("{'a': ", "}"),
    "columns": ("COLUMNS(", ")"),
    "json": ("JSON_OBJECT('a': ", ")"),
    "unnest": ("unnest(", ")"),
    "not": ("NOT (", ")"),
    "limit": ("(SELECT 1 LIMIT ", ")"),
}


class TooMuchEffort(Exception):
    """Told apart from whatever the guard catches by being no error of its kinds."""


@contextmanager
def little_effort(most_calls: int = MAX_CALLS) -> Iterator[None]:
    """Ends what calls more functions than that: what takes years shall fail, and not hang."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"
        if calls > most_calls:
            raise TooMuchEffort

    former = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(former)


def judged(sql: str) -> Verdict:
    with little_effort():
        return GUARD.check(sql, SCHEMA)


def nested(kind: str, depth: int, innermost: str = "1") -> str:
    before, behind = NESTED[kind]
    return before * depth + innermost + behind * depth


@pytest.mark.parametrize("kind", NESTED)
def test_no_nesting_takes_long_to_judge(kind: str) -> None:
    before, behind = NESTED[kind]
    levels = MAX_DEPTH // max(1, sum(map((before + behind).count, ("(", "[", "CASE"))))

    for depth in (levels, levels // 2):
        for text in (nested(kind, depth), before * depth):
            verdict = judged(f"SELECT {text}")
            assert verdict.allowed or verdict.refusals


@pytest.mark.parametrize("kind", ["array", "subscript", "interval", "timestamp"])
@pytest.mark.parametrize("more", ["", ", 1" * 2_000])
def test_what_the_parser_would_read_again_and_again_is_too_complex(kind: str, more: str) -> None:
    verdict = judged(f"SELECT {nested(kind, 30)}{more}")

    assert [refusal.code for refusal in verdict.refusals] == [RefusalCode.TOO_COMPLEX]


def test_no_mixture_of_nestings_takes_long_to_judge() -> None:
    random = Random(20)
    kinds = sorted(NESTED)

    for _ in range(100):
        text = "1"
        for _ in range(random.randrange(8, 30)):
            text = nested(random.choice(kinds), 1, text)
        verdict = judged(f"SELECT {text}")
        assert verdict.allowed or verdict.refusals


@pytest.mark.parametrize("kind", NESTED)
def test_no_text_that_is_judged_at_once_takes_long(kind: str) -> None:
    before, behind = NESTED[kind]
    levels = (MAX_CHARACTERS_AT_ONCE - 20) // len(before + behind)

    for depth in (levels, levels // 2, levels // 4):
        text = f"SELECT {nested(kind, depth)}"
        assert len(text) <= MAX_CHARACTERS_AT_ONCE
        with little_effort(MAX_CALLS_AT_ONCE):
            verdict = GUARD.check(text, SCHEMA)
        assert verdict.allowed or verdict.refusals


def test_ordinary_statements_take_few_of_the_steps_they_may() -> None:
    grammar, dialect = Grammar(Random(21), SCHEMA), GuardDialect()

    for _ in range(200):
        sql, _ = grammar.query(3, [], {})
        if not GUARD.check(sql, SCHEMA).allowed:
            continue
        tokens = dialect.tokenize(sql)
        parser = dialect.parser()
        assert isinstance(parser, GuardParser)
        parser.parse(tokens, sql)
        assert parser.steps_left > (FREE_STEPS + STEPS_PER_TOKEN * len(tokens)) / 3, sql


def test_arrays_within_arrays_are_read_as_deep_as_people_write_them() -> None:
    assert judged(f"SELECT {nested('array', 6)}").allowed


def doubling(levels: int) -> str:
    parts = ["a0 AS (SELECT * FROM customers)"]
    parts += [f"a{level} AS (SELECT * FROM a{level - 1}, a{level - 1} AS b)" for level in range(1, levels)]
    return f"WITH {', '.join(parts)} SELECT 1 FROM a{levels - 1}"


@pytest.mark.parametrize(
    "sql",
    [
        doubling(12),
        doubling(40),
        "SELECT " + ", ".join(["a.*"] * 800) + " FROM customers a",
        f"SELECT {', '.join(['segment'] * 700)} FROM {', '.join(f'orders a{n}' for n in range(500))}, customers",
    ],
    ids=["doubled", "doubled without end", "stars", "names times tables"],
)
def test_more_columns_than_postgresql_knows_and_more_names_than_can_be_looked_up_are_too_complex(sql: str) -> None:
    assert [refusal.code for refusal in judged(sql).refusals] == [RefusalCode.TOO_COMPLEX]


def test_a_query_may_give_as_many_columns_as_postgresql_allows() -> None:
    width = len(next(table for table in SCHEMA.tables if table.name == "customers").columns)
    stars = ", ".join(["*"] * (MAX_COLUMNS // width))

    assert judged(f"SELECT {stars} FROM customers").allowed


@pytest.mark.parametrize("kind", NESTED)
def test_no_nesting_in_ddl_takes_long_to_read(kind: str) -> None:
    def outcome(ddl: str) -> str:
        with little_effort():
            try:
                check_ddl(ddl)
            except DdlUnreadable as error:
                return str(error)
            return "read"

    before, _ = NESTED[kind]
    forms: list[Callable[[str], str]] = [
        lambda text: f"CREATE VIEW v AS SELECT {text}",
        lambda text: f"CREATE TABLE t (a int DEFAULT {text})",
        lambda text: f"CREATE TABLE t (a {text})",
        lambda text: f"ALTER TABLE t ADD CONSTRAINT c CHECK ({text})",
    ]
    for form in forms:
        for text in (nested(kind, 34), before * 34, before * 100):
            told = outcome(form(text))
            assert told == "read" or told.startswith(("ddl", "statement 1 of ddl"))


@pytest.mark.parametrize("text", ["1" * 19_000, " " * 19_000, ":" * 19_000], ids=["digits", "blanks", "colons"])
def test_a_long_text_of_an_interval_is_read_at_once(text: str) -> None:
    # A pattern that goes back over it would take a quarter of a minute, in which nothing else runs.
    check_ddl(f"CREATE VIEW v AS SELECT INTERVAL '{text}' AS a")

    assert judged(f"SELECT INTERVAL '{text}'").allowed


def test_a_long_chain_of_subscripts_is_read_at_once() -> None:
    with little_effort():
        check_ddl(f"CREATE VIEW v AS SELECT a{'[1]' * 50} AS b FROM c")
        with pytest.raises(DdlUnreadable):
            check_ddl(f"CREATE VIEW v AS SELECT a{'[1]' * 2_000} AS b FROM c")


def test_ddl_of_more_words_than_people_write_is_refused() -> None:
    with pytest.raises(DdlUnreadable, match="8000 words and signs"):
        check_ddl("CREATE VIEW v AS SELECT 1" + ",1" * 5_000)


LONG = f"SELECT 1 FROM customers WHERE customer_id IN ({', '.join(['1'] * MAX_CHARACTERS_AT_ONCE)})"
SHORT = "SELECT name FROM customers"


async def test_a_long_text_is_judged_aside_and_one_after_the_other_while_others_are_answered() -> None:
    schema = WatchedSchema()
    judging = [asyncio.create_task(GUARD.judge(LONG, schema)) for _ in range(3)]
    await asyncio.sleep(0)  # They have begun.

    short = await GUARD.judge(SHORT, WatchedSchema())
    assert not all(task.done() for task in judging)
    verdicts = await asyncio.gather(*judging)

    assert short == GUARD.check(SHORT, SCHEMA)
    assert verdicts == [GUARD.check(LONG, SCHEMA)] * 3
    assert len(set(schema.threads)) == 1
    assert current_thread() not in schema.threads


async def test_what_people_write_is_judged_at_once() -> None:
    schema = WatchedSchema()

    verdict = await GUARD.judge(SHORT, schema)

    assert (await GUARD.judge_again(verdict.sql, schema)).sql == verdict.sql
    assert set(schema.threads) == {current_thread()}


async def test_a_long_text_that_a_guard_wrote_is_judged_again_aside() -> None:
    written = GUARD.check(LONG, SCHEMA).sql
    schema = WatchedSchema()

    assert (await GUARD.judge_again(written, schema)).sql == written
    assert current_thread() not in schema.threads
