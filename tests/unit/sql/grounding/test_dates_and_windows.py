"""Spans between dates, days of the week, first and last dates, running figures, counts with zeros, extreme shares."""

import pytest

from services.sql.models import ColumnKind, NoDraft, Schema
from tests.unit.sql.grounding.schemas import DATE, INTEGER, NUMBER, TEXT, column, draft, sql_for, table

TIMESTAMP = ColumnKind.TIMESTAMP
WORKSHOP = Schema(
    (
        table(
            "bay",
            column("bay_id", INTEGER),
            column("bay_name", TEXT, "East", "North", "South"),
            column("floor_area", NUMBER),
            column("built_on", DATE),
            key="bay_id",
        ),
        table(
            "repair",
            column("repair_id", INTEGER),
            column("bay_id", INTEGER),
            column("started_at", TIMESTAMP),
            column("finished_at", TIMESTAMP),
            column("status", TEXT, "done", "open", "scrapped"),
            key="repair_id",
            bay_id="bay.bay_id",
        ),
        table(
            "bill",
            column("bill_id", INTEGER),
            column("repair_id", INTEGER),
            column("issued_on", DATE),
            column("paid_on", DATE),
            column("amount", NUMBER),
            column("status", TEXT, "open", "paid"),
            key="bill_id",
            repair_id="repair.repair_id",
        ),
    ),
    fingerprint="7" * 64,
)


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        (
            "What is the average length of a repair in minutes?",
            ("AVG(EXTRACT(EPOCH FROM (repair.finished_at - repair.started_at)) / 60)",),
        ),
        ("What is the average repair duration?", ("AVG(repair.finished_at - repair.started_at)",)),
        ("Average number of days between issue and payment of a bill", ("AVG((bill.paid_on - bill.issued_on))",)),
        ("How many weeks does it take on average for a bill to be paid?", ("(bill.paid_on - bill.issued_on) / 7",)),
        ("How many repairs lasted longer than 3 hours?", ("COUNT(*)", "/ 3600 > 3")),
        ("Which bills were paid more than 10 days after they were issued?", ("bill.paid_on - bill.issued_on) > 10",)),
        ("How many bills were paid within 5 days of issue?", ("<= 5", ">= 0")),
        ("How many repairs are there on each day of the week?", ("TO_CHAR(repair.started_at, 'Day')", "ISODOW")),
        ("How many repairs started on Mondays?", ("EXTRACT(ISODOW FROM repair.started_at) IN (1)",)),
        ("When was the last repair of each bay?", ("MAX(repair.started_at)", "GROUP BY bay.bay_id")),
        ("Show the running total of the bill amount by month", ("SUM(SUM(bill.amount)) OVER (ORDER BY DATE_TRUNC",)),
        ("Month over month change of the bill amount", ("LAG(SUM(bill.amount)) OVER",)),
        ("Number of repairs per bay, including bays without repairs", ("FROM public.bay", "(SELECT COUNT(*)")),
        ("Which bay has the highest percentage of scrapped repairs?", ("FILTER (WHERE repair.status = 'scrapped')",)),
        ("What share of the bill amount is still open?", ("SUM(bill.amount) FILTER (WHERE bill.status = 'open')",)),
        ("List the bays with the number of repairs", ("SELECT bay.bay_name, (SELECT COUNT(*)",)),
        ("Number of done and scrapped repairs per bay", ("GROUP BY", "repair.status")),
        (
            "Difference between the first and the last repair of each bay",
            ("MAX(repair.started_at) - MIN(repair.started_at)",),
        ),
        ("Which bays are larger than East?", ("bay.floor_area > (SELECT MAX(", "= 'East')")),
        ("Which bays were built before North?", ("bay.built_on < (SELECT MIN(",)),
        (
            "List the bays by floor area, largest first, then by name",
            ("ORDER BY bay.floor_area DESC NULLS LAST, bay.bay_name",),
        ),
    ],
)
def test_dates_and_figures_over_time_are_written_as_they_are_asked(question: str, parts: tuple[str, ...]) -> None:
    sql = sql_for(question, WORKSHOP)

    assert [part for part in parts if part not in sql] == []


@pytest.mark.parametrize(
    "question",
    [
        "What is the average length of a bay in minutes?",
        "How long does it take on average for a bay to be cleaned?",
        "How many repairs were not on Mondays?",
        "Which repairs came after East?",
        "Show the running total of the bill amount",
        "What percentage of bills vanished, by bay?",
        "Bays whose latest repair is open",
    ],
)
def test_dates_and_figures_that_cannot_be_told_are_refused(question: str) -> None:
    assert isinstance(draft(question, WORKSHOP), NoDraft)


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("How many purchasers do we have?", ("COUNT(DISTINCT orders.customer_id)",)),
        ("List the purchasers from Germany", ("SELECT customers.name", "EXISTS (SELECT 1 FROM public.orders")),
    ],
)
def test_a_noun_for_a_doer_stands_for_people_and_not_for_what_they_did(question: str, parts: tuple[str, ...]) -> None:
    sql = sql_for(question)

    assert [part for part in parts if part not in sql] == []


def test_the_sum_of_all_rows_is_not_sorted_by_one_of_them() -> None:
    outcome = draft("What is the highest ordered sum?")

    assert isinstance(outcome, NoDraft) or "GROUP BY" in outcome.sql or "ORDER BY" not in outcome.sql
