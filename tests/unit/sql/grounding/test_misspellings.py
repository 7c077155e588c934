"""Misspelled words: which are read as a word of the schema, and which are left as they are."""

import pytest

from services.sql.grounding.generator import GroundedGenerator
from services.sql.models import NoDraft, SqlDraft
from tests.unit.sql.grounding.schemas import draft, sql_for


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("How many custmers are in Paris?", "How many customers are in Paris?"),
        ("How many cusotmers are in Paris?", "How many customers are in Paris?"),
        ("How many custommers are in Paris?", "How many customers are in Paris?"),
        ("How many clinets are in Paris?", "How many clients are in Paris?"),
        ("How many customers are in Berln?", "How many customers are in Berlin?"),
        ("Averge unit price per category", "Average unit price per category"),
        ("Average unit price per catgory", "Average unit price per category"),
        ("How many orders are canceled or deliverd?", "How many orders are cancelled or delivered?"),
        ("Which prodcuts have the highst unit price?", "Which products have the highest unit price?"),
    ],
)
def test_a_word_one_slip_from_a_known_one_is_read_as_that(written: str, meant: str) -> None:
    assert sql_for(written) == sql_for(meant)


def test_the_explanation_says_what_was_read_and_the_confidence_is_lower() -> None:
    exact, slip = draft("How many customers are in Paris?"), draft("How many custmers are in Paris?")

    assert isinstance(exact, SqlDraft)
    assert isinstance(slip, SqlDraft)
    assert "“custmers” was read as “customers”." in slip.explanation
    assert slip.confidence < exact.confidence


@pytest.mark.parametrize(
    "question",
    [
        "How many costumers are in Paris?",  # two slips, and a word of its own
        "How many bustomers are in Paris?",  # the first letter is hardly ever wrong
        "How many cstmers are in Paris?",  # two letters are missing
        "How many officers are there?",
        "How many payers do we have?",
        "Which planets do we have?",
        "What is the average commute?",
        "How many customers are in Burlington?",
        "How many customers are in Perlis?",
    ],
)
def test_other_words_are_left_as_they_are(question: str) -> None:
    outcome = draft(question)

    assert isinstance(outcome, NoDraft) or "was read as" not in outcome.explanation


def test_numbers_and_short_words_are_never_corrected() -> None:
    outcome = draft("How many toyz cost 20x5?")

    assert isinstance(outcome, NoDraft) or "was read as" not in outcome.explanation


def test_a_text_of_nothing_but_slips_is_refused_within_bounds() -> None:
    generator = GroundedGenerator()

    outcome = draft(" ".join(["custmers prodcts ordrs categry quantty segmnt"] * 20))

    assert isinstance(outcome, NoDraft)
    assert generator.name == "grounded"
