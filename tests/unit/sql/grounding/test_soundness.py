"""Queries that would be no answer to the form of their question are refused, and a "not" binds the nearest thing."""

import pytest

from services.sql.models import ColumnKind, NoDraft, Schema
from tests.unit.sql.grounding.schemas import DATE, INTEGER, NUMBER, TEXT, column, draft, sql_for, table


def inn() -> Schema:
    """Guests, rooms and stays; rates that are prices, scores that are none."""
    return Schema(
        (
            table(
                "guests",
                column("guest_id", INTEGER),
                column("full_name", TEXT),
                column("country", TEXT, "Austria", "Italy"),
                column("birth_date", DATE),
                key="guest_id",
            ),
            table(
                "rooms",
                column("room_id", INTEGER),
                column("room_number", TEXT),
                column("room_type", TEXT, "double", "suite"),
                column("nightly_rate", NUMBER),
                column("out_of_service", ColumnKind.BOOLEAN),
                key="room_id",
            ),
            table(
                "stays",
                column("stay_id", INTEGER),
                column("guest_id", INTEGER),
                column("room_id", INTEGER),
                column("booked_on", DATE),
                column("status", TEXT, "cancelled", "completed"),
                column("rating", INTEGER),
                key="stay_id",
                guest_id="guests.guest_id",
                room_id="rooms.room_id",
            ),
        ),
        fingerprint="5" * 64,
    )


@pytest.mark.parametrize(
    "question",
    [
        "Which rooms are available?",
        "How many nights were booked?",
        "How many rooms are in service?",
        "What is the occupancy rate?",
        "What did guests say about the rooms?",
        "Who is in service?",
        "List the stays with the name of the guest",
        "Cancel stay 12",
        "Book a room for Anna Martin",
        "And for Austria?",
        "How many people are in room 12?",
        "Rooms that are below a suite",
    ],
)
def test_what_would_be_no_answer_is_refused(question: str) -> None:
    assert isinstance(draft(question, inn()), NoDraft)


@pytest.mark.parametrize(
    "question",
    [
        "What is the highest total fare?",
        "How many books did we sell?",
        "Revenue share by segment",
        "Average revenue per month",
        "What did Ann order?",
    ],
)
def test_figures_and_trades_are_not_taken_for_others(question: str) -> None:
    assert isinstance(draft(question), NoDraft)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How many suites do we have?", "SELECT COUNT(*) AS rooms_count FROM public.rooms"),
        ("Which room has the highest average rating?", "AVG(stays.rating)"),
        ("Guests older than 70", "guests.birth_date < CURRENT_DATE - INTERVAL '70 years'"),
        ("Rooms not out of service", "rooms.out_of_service = FALSE"),
        ("List all room types", "SELECT"),
    ],
)
def test_what_is_meant_is_read(question: str, expected: str) -> None:
    assert expected in sql_for(question, inn())


@pytest.mark.parametrize(
    ("question", "kept", "denied"),
    [
        ("Customers without orders in Germany", "customers.country = 'Germany'", "NOT EXISTS"),
        ("Customers who are not Premium in Germany", "customers.country = 'Germany'", "segment <> 'Premium'"),
        ("Customers not from Germany who are Premium", "customers.segment = 'Premium'", "country <> 'Germany'"),
        ("How many orders were not cancelled in 2025?", ">= DATE '2025-01-01'", "status <> 'cancelled'"),
    ],
)
def test_a_negation_binds_the_nearest_thing_alone(question: str, kept: str, denied: str) -> None:
    sql = sql_for(question)

    assert kept in sql
    assert denied in sql


def test_a_negation_binds_every_member_of_a_list() -> None:
    assert "NOT IN ('France', 'Germany')" in sql_for("Customers not from France or Germany")
