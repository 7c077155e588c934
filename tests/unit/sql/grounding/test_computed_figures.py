"""Figures made of others: shares, differences, growth, choices within groups, sides, profit, stock value."""

import pytest

from tests.unit.sql.grounding.schemas import sql_for


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("What is the cheapest product in each category?", ("PARTITION BY products.category", "WHERE place = 1")),
        ("Which customer in each country spent the most?", ("PARTITION BY customers.country", "SUM(orders.")),
        ("Top 3 products in each category by revenue", ("PARTITION BY products.category", "place BETWEEN 1 AND 3")),
        ("The latest order of each customer", ("ORDER BY orders.order_date DESC", "customers.customer_id")),
        ("Share of revenue by customer segment", ("100.0 * SUM(orders.total_amount)", "OVER ()")),
        ("What percentage of orders are cancelled for each country?", ("FILTER (WHERE orders.status = 'cancelled')",)),
        ("total stock value", ("SUM(products.stock_quantity * products.unit_price)",)),
        ("items sold per category", ("SUM(order_items.quantity)", "GROUP BY products.category")),
        ("Which segment has more customers, Premium or Basic?", ("IN ('Premium', 'Basic')", "DESC LIMIT 1")),
        ("Which segment has fewer customers, Premium or Basic?", ("ORDER BY COUNT(*) LIMIT 1",)),
        ("What is the median unit price of products?", ("PERCENTILE_CONT(0.5) WITHIN GROUP",)),
        ("Standard deviation of the order amount", ("STDDEV(orders.total_amount)",)),
        ("By what percentage did revenue grow from 2024 to 2025?", ("100.0 * (SUM(orders.total_amount)", "2024-01-01")),
        ("Compare revenue in 2024 and 2025", ("EXTRACT(YEAR FROM orders.order_date)", "GROUP BY")),
        ("Lowest and highest order amount", ("MIN(orders.total_amount)", "MAX(orders.total_amount)")),
    ],
)  # fmt: skip
def test_a_computed_figure_is_written_as_it_is_asked(question: str, parts: tuple[str, ...]) -> None:
    sql = sql_for(question)

    assert [part for part in parts if part not in sql] == []


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        ("Orders that are not above 100", "orders.total_amount <= 100"),
        ("Customers who joined before 2024 or live in Paris", " OR "),
        ("Customers with more orders than 3", "> 3"),
        ("Which products are in order 10?", "order_id = 10"),
    ],
)
def test_a_condition_is_read_in_less_usual_wordings(question: str, kept: str) -> None:
    assert kept in sql_for(question)
