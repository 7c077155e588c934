from dataclasses import replace

import pytest

from services.router.fusing import documents_sentences, fused_answer, spoken_value, sql_sentence
from services.router.models import DocumentAnswer, JsonValue, SqlAnswer
from tests.fakes.router import document_answer, sql_answer


def test_a_single_value_is_said_with_its_name_and_the_query() -> None:
    assert sql_sentence(sql_answer([100])) == "Customer count: 100 [query q1]."


def test_a_single_row_names_every_column() -> None:
    answer = sql_answer(["Ada", 12.5, None], columns=("name", "total_spent", "city"))

    assert sql_sentence(answer) == "Name: Ada; total spent: 12.5; city: empty [query q1]."


def test_several_rows_are_counted_and_the_first_are_shown() -> None:
    answer = sql_answer(*[[f"p{number}", number] for number in range(7)], columns=("product", "sold"))

    assert sql_sentence(answer) == "7 rows (product, sold): p0, 0; p1, 1; p2, 2; p3, 3; p4, 4; and 2 more [query q1]."


def test_a_cut_result_says_that_there_are_more_rows() -> None:
    answer = replace(sql_answer([1], [2]), truncated=True)

    assert sql_sentence(answer) == "More than 2 rows (customer count): 1; 2; and more [query q1]."


def test_no_rows_are_said_to_be_none() -> None:
    assert sql_sentence(sql_answer()) == "The database has no matching rows [query q1]."


def test_a_pending_query_gives_no_value() -> None:
    assert sql_sentence(sql_answer(pending=True)) == "A query on the database waits for approval [query q1]."


def test_no_query_is_explained() -> None:
    assert sql_sentence(SqlAnswer(answered=False, explanation="No table holds salaries")) == "No table holds salaries."


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (100, "100"),
        (1234567.0, "1234567"),
        (0.1, "0.1"),
        (-12.34, "-12.34"),
        (123456789012345.0, "123456789012345"),
        ("12345678901234567890.12", "12345678901234567890.12"),
        (True, "yes"),
        (None, "empty"),
        (["a", 1], '["a", 1]'),
        ("two\nlines", "two lines"),
    ],
)
def test_values_are_copied_exactly(value: JsonValue, words: str) -> None:
    assert spoken_value(value) == words


def test_a_long_text_is_cut_visibly() -> None:
    assert spoken_value("x" * 500) == "x" * 119 + "…"


def test_documents_are_named_with_their_page_once() -> None:
    answer = document_answer("Vacation is 15 days.", "handbook.pdf", page=3)
    twice = replace(answer, citations=answer.citations * 2)

    assert documents_sentences(twice) == "Vacation is 15 days. [handbook.pdf, p. 3]"


def test_a_fused_answer_holds_both_and_what_failed() -> None:
    fused = fused_answer(sql_answer([100]), document_answer("Vacation is 15 days."), ["The x is down"])

    assert fused == "Customer count: 100 [query q1].\n\nVacation is 15 days. [handbook.md]\n\nThe x is down."


def test_documents_without_an_answer_get_no_marker() -> None:
    assert documents_sentences(DocumentAnswer("Not in the documents", answered=False)) == "Not in the documents."
