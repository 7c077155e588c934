"""Words of questions and of identifiers."""

from datetime import date

import pytest

from services.sql.grounding.dates import read_period
from services.sql.grounding.words import are_derived, split_identifier, split_question, stem


def test_a_question_is_cut_into_words_numbers_and_quoted_texts() -> None:
    tokens = split_question("Which customers' names don't start with 'A b' before 2024-01-05, over 1,000.5?")

    assert [token.text for token in tokens if token.kind == "word"][:5] == ["Which", "customers", "names", "do", "not"]
    assert [token.text for token in tokens if token.kind == "quoted"] == ["A b"]
    assert [token.text for token in tokens if token.kind in {"date", "number"}] == ["2024-01-05", "1,000.5"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("orderItems", ["order", "items"]),
        ("unit_price", ["unit", "price"]),
        ("DeptID", ["dept", "id"]),
        ("HTTPStatus", ["http", "status"]),
    ],
)
def test_identifiers_are_cut_at_case_and_underscores(name: str, words: list[str]) -> None:
    assert split_identifier(name) == words


def test_irregular_forms_share_a_stem() -> None:
    assert stem("people") == stem("persons")
    assert stem("prescribed") == stem("prescription")
    assert are_derived(stem("attendance"), stem("attend"))
    assert not are_derived("order", "organ")


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("March 2024", "DATE '2024-03-01'", "DATE '2024-04-01'"),
        ("December 2024", "DATE '2024-12-01'", "DATE '2025-01-01'"),
        ("5th of March 2024", "DATE '2024-03-05'", "DATE '2024-03-06'"),
        ("March 5, 2024", "DATE '2024-03-05'", "DATE '2024-03-06'"),
        ("2024-02-29", "DATE '2024-02-29'", "DATE '2024-03-01'"),
        ("Q4 2023", "DATE '2023-10-01'", "DATE '2024-01-01'"),
        ("first quarter of 2025", "DATE '2025-01-01'", "DATE '2025-04-01'"),
        ("last 30 days", "CURRENT_DATE - INTERVAL '30 days'", ""),
        (
            "last year",
            "DATE_TRUNC('year', CURRENT_DATE) - INTERVAL '1 year'",
            "DATE_TRUNC('year', CURRENT_DATE)",
        ),
        ("yesterday", "CURRENT_DATE - INTERVAL '1 day'", "CURRENT_DATE"),
    ],
)
def test_periods_begin_and_end(text: str, begin: str, end: str) -> None:
    found = read_period(split_question(text), 0)

    assert found is not None
    assert (found[0].begin, found[0].end) == (begin, end)
    assert found[1] == len(split_question(text))


@pytest.mark.parametrize("text", ["may contain", "2024-02-31", "march forward", "31 February 2024", "first name"])
def test_what_is_no_period_is_none(text: str) -> None:
    assert read_period(split_question(text), 0) is None


def test_the_calendar_is_the_real_one() -> None:
    found = read_period(split_question("28 February 2023"), 0)

    assert found is not None
    assert found[0].end == f"DATE '{date(2023, 3, 1).isoformat()}'"
