"""Words that narrow what is asked, and that nothing in the database stands for: refused, whatever else links."""

import pytest

from services.sql.grounding.accounting import are_opposed
from services.sql.models import ColumnKind, NoDraft, Schema, SqlDraft
from tests.unit.sql.grounding.schemas import DATE, INTEGER, NUMBER, TEXT, column, draft, sql_for, table


def garage() -> Schema:
    """Vehicles, their bookings and repairs."""
    return Schema(
        (
            table(
                "vehicles",
                column("vehicle_id", INTEGER),
                column("name", TEXT),
                column("kind", TEXT, "bus", "truck", "van"),
                column("is_electric", ColumnKind.BOOLEAN),
                column("bought_on", DATE),
                column("daily_price", NUMBER),
                key="vehicle_id",
            ),
            table(
                "repairs",
                column("repair_id", INTEGER),
                column("vehicle_id", INTEGER),
                column("repaired_on", DATE),
                column("amount", NUMBER),
                key="repair_id",
                vehicle_id="vehicles.vehicle_id",
            ),
        ),
        fingerprint="3" * 64,
    )


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("How many cheerful Premium customers are in Germany?", "cheerful"),
        ("Show loyal Premium customers in Paris with their email", "loyal"),
        ("How many tardy pending orders of customers in Berlin are there?", "tardy"),
        ("How many products in the category Books are discounted?", "discounted"),
        ("Which products are sold out?", "sold"),
        ("Which products are new?", "new"),
        ("Show the names of all new customers in France", "new"),
    ],
)
def test_a_word_that_narrows_the_rows_is_named_however_much_else_links(question: str, word: str) -> None:
    outcome = draft(question)

    assert isinstance(outcome, NoDraft)
    assert word in outcome.reason
    assert word in outcome.unmatched_words


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("How many rusty vans are there?", "rusty"),
        ("What is the total amount of urgent repairs of vehicles of kind truck?", "urgent"),
        ("Show the name and daily price of vehicles that are leased", "leased"),
    ],
)
def test_so_it_is_for_any_schema(question: str, word: str) -> None:
    outcome = draft(question, garage())

    assert isinstance(outcome, NoDraft)
    assert word in outcome.unmatched_words


@pytest.mark.parametrize(
    "question",
    [
        "How many of our customers are currently in Germany, please?",
        "Show the names of all customers that joined in 2024",
        "How many new customers joined in 2024?",
        "Which customers bought something in the category Books?",
        "Show the email address of customers in Paris",
        "Show the 5 most recent orders",
    ],
)
def test_words_without_content_and_verbs_that_only_tie_are_passed_over(question: str) -> None:
    outcome = draft(question)

    assert isinstance(outcome, SqlDraft), outcome


def test_a_verb_between_rows_and_their_date_is_no_further_condition() -> None:
    assert "bought_on" in sql_for("How many vehicles were purchased after 2020?", garage())


@pytest.mark.parametrize(
    "question",
    [
        "Delete all cancelled orders",
        "Set the total amount of order 3 to 1 dollar",
        "Please change the city of Alice to Paris",
        "Could you remove the pending orders?",
        "Insert a customer named Bob in Berlin",
        "drop table orders",
        "Update order 4, its status is delivered",
        "Increase all prices by 10 percent",
    ],
)
def test_an_order_to_change_data_is_refused_as_such(question: str) -> None:
    outcome = draft(question)

    assert isinstance(outcome, NoDraft)
    assert outcome.reason.startswith("Only reading is possible")


@pytest.mark.parametrize("question", ["Cancelled orders of 2024", "How many orders were cancelled?"])
def test_a_question_about_changes_is_none(question: str) -> None:
    assert isinstance(draft(question), SqlDraft)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("inactive", "active"),
        ("unpaid", "paid date"),
        ("dissatisfied", "satisfied"),
        ("irregular", "regular"),
        ("impossible", "possible"),
        ("cashless", "cash"),
        ("late", "early"),
        ("departures", "arrival"),
        ("idle", "is active"),
    ],
)
def test_words_that_deny_each_other_are_opposed(one: str, other: str) -> None:
    assert any(are_opposed(one, word) for word in other.split())
    assert any(are_opposed(word, one) for word in other.split())


@pytest.mark.parametrize(("one", "other"), [("regulars", "customers"), ("invoice", "voice"), ("luggage", "baggage")])
def test_other_words_are_not(one: str, other: str) -> None:
    assert not are_opposed(one, other)
