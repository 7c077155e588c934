"""What the generator does not answer, and what it says then."""

import pytest

from services.sql.models import NoDraft, SqlDraft
from tests.unit.sql.grounding.schemas import draft


@pytest.mark.parametrize(
    "question",
    [
        "What are the remote work hours?",
        "Explain our vacation policy",
        "What is the return policy for electronics?",
        "Which employees manage the Berlin office?",
        "What is the phone number of Alice Hansen?",
        "Why did sales drop last month?",
        "Which suppliers deliver late?",
        "Which products were returned?",
        "How many days do I have to return a product?",
        "hello",
        "?",
    ],
)
def test_what_the_schema_does_not_hold_is_refused(question: str) -> None:
    assert isinstance(draft(question), NoDraft)


def test_a_refusal_names_the_words_that_nothing_stands_for() -> None:
    outcome = draft("How many drivers and trucks are there?")

    assert isinstance(outcome, NoDraft)
    assert outcome.unmatched_words == ("drivers", "trucks")
    assert 0 < len(outcome.reason) <= 500


def test_a_number_without_a_place_is_refused_rather_than_dropped() -> None:
    outcome = draft("Show the names of customers 17 please")

    assert isinstance(outcome, NoDraft)
    assert "17" in outcome.reason


def test_a_comparison_without_an_operand_is_refused() -> None:
    assert isinstance(draft("Which customers are older than Alice?"), NoDraft)


def test_a_text_too_long_for_a_question_is_refused() -> None:
    assert isinstance(draft("customers " * 200), NoDraft)


def test_more_unlinked_words_make_it_less_sure() -> None:
    plain, vague = draft("How many customers are in Paris?"), draft("How many rather gloomy customers are in Paris?")

    assert isinstance(plain, SqlDraft)
    assert isinstance(vague, NoDraft) or vague.confidence < plain.confidence


@pytest.mark.parametrize("question", ["Return all products", "List the products and return their names"])
def test_a_verb_said_to_the_one_who_answers_is_no_condition(question: str) -> None:
    assert isinstance(draft(question), SqlDraft)


@pytest.mark.parametrize(
    "question",
    [
        "The top 3 products per category",
        "The top 5 products",
        "How long do customers have to return something?",
        "How many orders am I entitled to?",
        "Which customer complaint was the latest?",
        "How much did revenue grow?",
    ],
)
def test_what_is_not_said_or_not_about_rows_is_refused(question: str) -> None:
    assert isinstance(draft(question), NoDraft)


@pytest.mark.parametrize(
    "question",
    [
        "How much did Enterprise customers spend compared to Consumer customers?",
        "How many orders did Germany make compared with last year?",
        "How many orders in 2025 versus 2024?",
    ],
)
def test_a_contrast_of_which_one_side_is_not_told_is_refused(question: str) -> None:
    assert isinstance(draft(question), NoDraft)
