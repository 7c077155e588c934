"""Confidence falls with every mark against a reading, and what is surest is no surer than was measured."""

from services.sql.models import SqlDraft
from tests.unit.sql.grounding.schemas import draft


def confidence(question: str) -> float:
    outcome = draft(question)
    assert isinstance(outcome, SqlDraft), question
    return outcome.confidence


def test_a_plain_question_is_as_sure_as_answers_of_its_kind_were_right() -> None:
    assert 0.8 <= confidence("How many customers are in Paris?") <= 0.9


def test_an_assumption_makes_less_sure() -> None:
    assert confidence("Which products are low on stock?") < 0.8


def test_tables_that_no_word_names_make_less_sure() -> None:
    assert confidence("Customers with Toys") < 0.7 < confidence("Customers who bought Toys")
