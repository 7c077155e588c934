"""Questions whose words link, but whose nearest query would answer something else."""

from dataclasses import replace

import pytest

from services.sql.models import ColumnKind, NoDraft, Schema, SqlDraft
from tests.unit.sql.grounding.schemas import DATE, INTEGER, NUMBER, TEXT, column, draft, shop, sql_for, table


def studio() -> Schema:
    """Clients, their sessions, and rooms that have nothing to do with either."""
    return Schema(
        (
            table(
                "clients",
                column("client_id", INTEGER),
                column("name", TEXT),
                column("town", TEXT, "Ghent", "Lille"),
                column("is_active", ColumnKind.BOOLEAN),
                key="client_id",
            ),
            table(
                "sessions",
                column("session_id", INTEGER),
                column("client_id", INTEGER),
                column("style", TEXT, "jazz", "tango"),
                column("held_on", DATE, comment="The day, also for late ones."),
                column("fee", NUMBER),
                key="session_id",
                client_id="clients.client_id",
            ),
            table("rooms", column("room_id", INTEGER), column("name", TEXT), key="room_id"),
        ),
        fingerprint="4" * 64,
    )


@pytest.mark.parametrize(
    "question",
    [
        "What is the mean rating of each product?",
        "What did the shipping cost in 2024?",
        "How many units are in stock?",
        "Which products are on sale?",
        "Which cities have no Premium customers?",
        "Which categories had no orders in 2024?",
        "Customers with no orders in 2024 but with orders in 2023",
        "Do any customers have the same name?",
        "Show the orders per status",
        "Which customers from Germany bought Toys only?",
        "Sort the customers alphabetically",
    ],
)
def test_what_would_be_answered_wrongly_is_refused(question: str) -> None:
    assert isinstance(draft(question), NoDraft)


@pytest.mark.parametrize(
    "question",
    [
        "Which towns have no active clients?",
        "What is the rating of each session?",
        "Clients with no sessions in 2024 but with sessions in 2023",
        "Which clients share the same town?",
    ],
)
def test_so_it_is_for_any_schema(question: str) -> None:
    assert isinstance(draft(question, studio()), NoDraft)


def test_counts_of_tables_that_have_nothing_in_common_are_taken_apart() -> None:
    sql = sql_for("How many clients do we have and how many rooms?", studio())

    assert sql == (
        "SELECT (SELECT COUNT(*) AS clients_count FROM public.clients) AS clients_count,"
        " (SELECT COUNT(*) AS rooms_count FROM public.rooms) AS rooms_count"
    )


def test_counts_of_linked_tables_are_taken_apart_as_well() -> None:
    sql = sql_for("How many customers and how many products do we have?")

    assert "JOIN" not in sql
    assert sql.count("SELECT COUNT(*)") == 2


def test_nothing_denies_what_stands_behind_it() -> None:
    sql = sql_for("Which customers bought something from Electronics but nothing from Books?")

    denied, asked = sql.split("NOT EXISTS", 1)[1].split("AND EXISTS", 1)
    assert "'Books'" in denied
    assert "'Electronics'" in asked
    assert "'Books'" not in asked


@pytest.mark.parametrize(
    ("question", "direction"),
    [("What is the best-selling product?", " DESC"), ("What is the least sold product?", "")],
)
def test_what_sells_best_is_measured_by_what_was_sold(question: str, direction: str) -> None:
    sql = sql_for(question)

    assert f"ORDER BY SUM(order_items.quantity){direction}" in sql
    assert "stock_quantity" not in sql


def test_where_nothing_was_sold_no_stock_tells_what_sells_best() -> None:
    stock_only = replace(shop(), tables=(shop().tables[3],))

    assert isinstance(draft("What is the best-selling product?", stock_only), NoDraft)


def test_what_is_not_active_is_inactive() -> None:
    assert "is_active = FALSE" in sql_for("How many inactive clients are there?", studio())


@pytest.mark.parametrize(
    ("question", "condition"),
    [
        ("Show the customers outside France", "customers.country <> 'France'"),
        ("How many non-Premium customers are there?", "customers.segment <> 'Premium'"),
        ("How many products are not in the category Books?", "products.category <> 'Books'"),
    ],
)
def test_what_lies_outside_is_denied(question: str, condition: str) -> None:
    assert condition in sql_for(question)


def test_the_first_of_possibly_several_is_said_to_be_that() -> None:
    outcome = draft("Which product has the lowest unit price?")

    assert isinstance(outcome, SqlDraft)
    assert "others may be equal" in outcome.explanation
