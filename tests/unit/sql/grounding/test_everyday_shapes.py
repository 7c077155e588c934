"""Everyday shapes of questions: two times set against each other, only one thing, rates, rows by number and by kind."""

import pytest

from services.sql.models import NoDraft
from tests.unit.sql.grounding.schemas import draft, sql_for


def test_of_two_years_the_one_with_more_is_told() -> None:
    sql = sql_for("Did we have more orders in 2024 or in 2025?")

    assert "GROUP BY EXTRACT(YEAR FROM orders.order_date)" in sql
    assert "ORDER BY COUNT(*) DESC LIMIT 1" in sql


def test_of_two_months_the_one_with_less_is_told() -> None:
    sql = sql_for("Were there fewer orders in March 2025 or in April 2025?")

    assert "DATE_TRUNC('month', orders.order_date)" in sql
    assert "ORDER BY COUNT(*) LIMIT 1" in sql


def test_times_that_are_compared_are_no_range() -> None:
    sql = sql_for("Revenue in 2024 compared to 2025")

    assert "SUM(orders.total_amount)" in sql
    assert "GROUP BY EXTRACT(YEAR FROM orders.order_date)" in sql


def test_times_of_unlike_length_are_not_set_against_each_other() -> None:
    assert isinstance(draft("Did we have more orders in 2024 or in March 2025?"), NoDraft)


def test_some_rows_of_one_time_and_none_of_another() -> None:
    sql = sql_for("Customers with orders in 2024 but not in 2025")

    assert sql.count("NOT EXISTS") == 1
    assert sql.count("EXISTS") == 2


def test_only_one_thing_leaves_every_other_out() -> None:
    sql = sql_for("Which customers only bought Books?")

    assert "products.category <> 'Books'" in sql
    assert "NOT EXISTS" in sql


def test_a_row_named_by_its_number_behind_one_of_its_columns() -> None:
    assert "WHERE orders.order_id = 14" in sql_for("What is the status of order 14?")


def test_the_lines_of_a_row_are_what_is_in_it() -> None:
    sql = sql_for("What is in order 21?")

    assert sql.startswith("SELECT products.name, order_items.quantity")
    assert "orders.order_id = 21" in sql


def test_a_number_of_rows_is_a_limit() -> None:
    sql = sql_for("Show 10 customers with their city and country")

    assert sql == "SELECT customers.name, customers.city, customers.country FROM public.customers LIMIT 10"


@pytest.mark.parametrize("question", ["Orders per status", "Orders by status", "Orders in 2025 by status"])
def test_rows_by_kind_are_counted(question: str) -> None:
    sql = sql_for(question)

    assert "COUNT(*)" in sql
    assert "GROUP BY orders.status" in sql


def test_the_rate_of_a_state_is_the_share_of_rows_in_it() -> None:
    assert "FILTER (WHERE orders.status = 'cancelled')" in sql_for("What is the cancellation rate?")


def test_the_rate_of_a_state_by_group_is_taken_over_the_rows_in_the_state() -> None:
    sql = sql_for("Cancellation rate by segment")

    assert "FROM public.orders JOIN public.customers" in sql
    assert "GROUP BY customers.segment" in sql


def test_what_sells_best_is_told_by_the_measure_that_is_named() -> None:
    sql = sql_for("Top 3 best-selling products by revenue")

    assert "ORDER BY SUM(order_items.unit_price * order_items.quantity) DESC NULLS LAST LIMIT 3" in sql


def test_orders_from_a_time_are_those_of_it() -> None:
    assert "orders.order_date < DATE '2025-01-01'" in sql_for("Orders from 2024")
    assert "<" not in sql_for("Orders from 2024 onwards")
