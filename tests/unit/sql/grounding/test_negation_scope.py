"""How far a "not" reaches, and what stands inside what is denied or counted."""

import pytest

from services.sql.models import NoDraft, SqlDraft
from tests.unit.sql.grounding.schemas import draft, sql_for


def conditions(question: str) -> str:
    """What stands behind the first WHERE."""
    return sql_for(question).partition(" WHERE ")[2]


@pytest.mark.parametrize(
    ("question", "denied", "kept"),
    [
        ("Customers who are not Premium in Germany", "segment <> 'Premium'", "country = 'Germany'"),
        ("Non-Premium customers in Germany", "segment <> 'Premium'", "country = 'Germany'"),
        ("Customers in Germany who are not Premium", "segment <> 'Premium'", "country = 'Germany'"),
        ("Customers not from Germany who are Premium", "country <> 'Germany'", "segment = 'Premium'"),
        ("Customers outside Germany in the Premium segment", "country <> 'Germany'", "segment = 'Premium'"),
        ("Customers without orders in Germany", "NOT EXISTS (SELECT 1 FROM public.orders", "country = 'Germany'"),
        ("Orders not cancelled in 2025", "status <> 'cancelled'", "order_date >= DATE '2025-01-01'"),
        ("Orders in 2025 that were not cancelled", "status <> 'cancelled'", "order_date >= DATE '2025-01-01'"),
        ("Revenue without cancelled orders in 2025", "status <> 'cancelled'", "order_date >= DATE '2025-01-01'"),
        ("Products never sold in Electronics", "NOT EXISTS (SELECT 1 FROM public.order_items", "= 'Electronics'"),
    ],
)
def test_a_negation_denies_the_nearest_thing_and_nothing_behind_it(question: str, denied: str, kept: str) -> None:
    found = conditions(question)

    assert denied in found
    assert kept in found
    assert found.count("<>") + found.count("NOT ") == 1


def test_a_list_behind_a_negation_is_denied_whole() -> None:
    assert "NOT IN ('France', 'Germany')" in conditions("Customers not from France or Germany")


@pytest.mark.parametrize(
    "question",
    [
        "Which customers did not buy Books in 2025?",
        "In 2025, which customers did not buy Books?",
        "Customers who did not order in 2025",
        "Products never sold in 2025",
        "Which customers ordered at least twice in 2025?",
        "Customers with exactly two orders in 2025",
        "Customers without orders that were placed in 2025",
    ],
)
def test_the_time_of_what_is_denied_or_counted_stands_inside_it(question: str) -> None:
    found = conditions(question)

    assert found.count("SELECT") == 1
    assert "order_date >= DATE '2025-01-01'" in found


def test_what_is_said_of_denied_rows_stands_inside_the_denial() -> None:
    found = conditions("Customers who never ordered with status pending")

    assert found.startswith("NOT EXISTS")
    assert found.count("SELECT") == 1
    assert "orders.status = 'pending'" in found


def test_a_time_of_an_earlier_clause_stays_outside_what_is_denied() -> None:
    found = conditions("Customers who ordered in 2025 but never bought Books")

    assert found.count("EXISTS") == 2
    assert "category" in found.partition(" AND EXISTS")[0]
    assert "order_date" in found.partition(" AND EXISTS")[2]


@pytest.mark.parametrize(
    ("question", "count"),
    [
        ("Which customers ordered twice?", "= 2"),
        ("Which customers ordered only once?", "= 1"),
        ("Which customers ordered more than once?", "> 1"),
        ("Customers with only one order", "= 1"),
        ("Products sold only once", "= 1"),
    ],
)
def test_adverbs_of_number_count_the_rows_of_the_verb(question: str, count: str) -> None:
    assert conditions(question).endswith(f") {count}")


@pytest.mark.parametrize(
    "question",
    [
        "Customers not from Germany or Premium",
        "Customers who are not German Premium customers",
        "Customers who did not order more than once",
        "Customers who bought Books twice",
        "Not a single Premium customer in Germany?",
    ],
)
def test_what_a_negation_or_a_count_leaves_open_is_refused(question: str) -> None:
    assert isinstance(draft(question), NoDraft)


def test_the_explanation_says_which_rows_a_denial_leaves_out() -> None:
    found = draft("Customers not from Germany")

    assert isinstance(found, SqlDraft)
    assert "rows of which customers.country is not known are left out" in found.explanation


def test_what_has_no_date_was_not_done_at_that_time_either() -> None:
    assert "order_date IS NULL OR NOT" in conditions("Orders not placed in 2025")
