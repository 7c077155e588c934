"""Odd questions and odd names: nothing is raised, and nothing leaves its literal."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.sql.grounding.generator import GroundedGenerator
from services.sql.grounding.quoting import identifier, number_literal, pattern_literal, text_literal
from services.sql.models import NoDraft, Schema, SqlDraft
from services.sql.query_guard import QueryGuard
from tests.unit.sql.grounding.schemas import INTEGER, TEXT, column, shop, sql_for, table

GENERATOR = GroundedGenerator()
WORDS = st.sampled_from(
    (
        "how many customers orders products order total amount average highest most than more less over "
        "under between and "
        "or not no never by per each for top 5 10 2024 in since before after last month year Paris premium "
        "delivered name "
        "price stock sales sorted descending ratio of to percentage both without which whose is the with "
        "at least distinct "
        "'x' \"it's\" ; -- %"
    ).split()
)


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=14).map(" ".join))
def test_any_order_of_telling_words_gives_guarded_sql_or_a_reason(question: str) -> None:
    outcome = GENERATOR.draft(question, shop())

    assert isinstance(outcome, SqlDraft | NoDraft)
    if isinstance(outcome, SqlDraft):
        verdict = QueryGuard(max_rows=1_000).check(outcome.sql, shop())
        assert verdict.allowed, (outcome.sql, verdict.refusals)
        assert 0 < outcome.confidence <= 1
        assert verdict.tables == outcome.tables


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_gives_sql_or_a_reason(question: str) -> None:
    assert isinstance(GENERATOR.draft(question, shop()), SqlDraft | NoDraft)


def test_a_quoted_text_stays_a_literal() -> None:
    statement = sql_for("Show the email of the customer named \"O'Neil'; DROP TABLE x; --\"")

    assert "'o''neil''; drop table x; --'" in statement


def test_wildcards_in_a_text_mean_themselves() -> None:
    assert pattern_literal("50%_\\", "starts") == "'50\\%\\_\\\\%'"


def test_names_are_quoted_where_postgresql_would_fold_or_refuse_them() -> None:
    assert [identifier(name) for name in ("plain", "Mixed", "user", 'has"quote', "with space")] == [
        "plain",
        '"Mixed"',
        '"user"',
        '"has""quote"',
        '"with space"',
    ]
    assert text_literal("it's") == "'it''s'"
    assert number_literal(0.1) == "0.1"
    assert number_literal(1e15) == "1000000000000000"


def test_odd_names_of_tables_and_columns_are_written_as_they_are() -> None:
    odd = Schema(
        (table("Order Lines", column("Line ID", INTEGER), column("group", TEXT, "red", "blue"), key="Line ID"),)
    )

    statement = sql_for("How many order lines are red?", odd)

    assert statement == (
        'SELECT COUNT(*) AS "Order Lines_count" FROM public."Order Lines" WHERE "Order Lines"."group" = \'red\''
    )


def test_an_empty_schema_answers_nothing() -> None:
    assert isinstance(GENERATOR.draft("How many customers?", Schema(())), NoDraft)
