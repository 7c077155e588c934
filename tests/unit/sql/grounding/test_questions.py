"""Questions and the SQL they become, over the shop."""

import pytest

from tests.unit.sql.grounding.schemas import sql_for

CUSTOMERS_OF_ORDERS = "FROM public.orders JOIN public.customers ON customers.customer_id = orders.customer_id"


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How many customers do we have?", "SELECT COUNT(*) AS customers_count FROM public.customers"),
        ("Show me total sales", "SELECT SUM(orders.total_amount) AS total_amount FROM public.orders"),
        (
            "Average order value by customer segment",
            f"SELECT customers.segment, AVG(orders.total_amount) AS average_total_amount {CUSTOMERS_OF_ORDERS} "
            "GROUP BY customers.segment",
        ),
        (
            "List all premium customers",
            "SELECT customers.name FROM public.customers WHERE customers.segment = 'Premium'",
        ),
        (
            "Which products are out of stock?",
            "SELECT products.name FROM public.products WHERE products.stock_quantity = 0",
        ),
        (
            "What is the highest unit price of a product?",
            "SELECT MAX(products.unit_price) AS highest_unit_price FROM public.products",
        ),
        (
            "What is the most expensive product?",
            "SELECT products.name FROM public.products ORDER BY products.unit_price DESC NULLS LAST LIMIT 1",
        ),
        (
            "List the products priced between 50 and 100",
            "SELECT products.name FROM public.products WHERE products.unit_price >= 50 AND products.unit_price <= 100",
        ),
        (
            "Which products cost more than the average?",
            "SELECT products.name FROM public.products WHERE products.unit_price > "
            "(SELECT AVG(products_2.unit_price) FROM public.products AS products_2)",
        ),
        (
            "What percentage of orders are delivered?",
            "SELECT 100.0 * COUNT(*) FILTER (WHERE orders.status = 'delivered') / NULLIF(COUNT(*), 0) AS percentage "
            "FROM public.orders",
        ),
        (
            "How many orders were placed in March 2025?",
            "SELECT COUNT(*) AS orders_count FROM public.orders WHERE orders.order_date >= DATE '2025-03-01' "
            "AND orders.order_date < DATE '2025-04-01'",
        ),
        (
            "Monthly revenue",
            "SELECT DATE_TRUNC('month', orders.order_date)::date AS month, SUM(orders.total_amount) AS total_amount "
            "FROM public.orders GROUP BY DATE_TRUNC('month', orders.order_date)::date "
            "ORDER BY DATE_TRUNC('month', orders.order_date)::date",
        ),
        (
            "How many customers joined last month?",
            "SELECT COUNT(*) AS customers_count FROM public.customers WHERE "
            "customers.joined_on >= DATE_TRUNC('month', CURRENT_DATE) - INTERVAL '1 month' "
            "AND customers.joined_on < DATE_TRUNC('month', CURRENT_DATE)",
        ),
        (
            "Show the names of customers sorted by join date in descending order",
            "SELECT customers.name FROM public.customers ORDER BY customers.joined_on DESC NULLS LAST",
        ),
    ],
)
def test_a_question_becomes_this_sql(question: str, expected: str) -> None:
    assert sql_for(question) == expected


def test_never_becomes_not_exists() -> None:
    statement = sql_for("Which customers have never placed an order?")

    assert statement == (
        "SELECT customers.name FROM public.customers WHERE NOT EXISTS "
        "(SELECT 1 FROM public.orders WHERE orders.customer_id = customers.customer_id)"
    )


def test_a_count_of_related_rows_is_a_condition_on_each_row() -> None:
    statement = sql_for("Which customers have more than 3 orders?")

    assert statement == (
        "SELECT customers.name FROM public.customers WHERE "
        "(SELECT COUNT(*) FROM public.orders WHERE orders.customer_id = customers.customer_id) > 3"
    )


def test_a_filter_on_many_sided_tables_multiplies_no_rows() -> None:
    statement = sql_for("How many customers bought Electronics products?")

    assert statement.startswith("SELECT COUNT(*) AS customers_count FROM public.customers WHERE EXISTS (SELECT 1 FROM")
    assert "products.category = 'Electronics'" in statement


def test_revenue_by_product_category_is_taken_from_the_items() -> None:
    statement = sql_for("Revenue by product category")

    assert "SUM(order_items.unit_price * order_items.quantity)" in statement
    assert statement.endswith("GROUP BY products.category")


def test_the_top_of_a_measure_shows_name_and_measure() -> None:
    statement = sql_for("Top 5 customers by total spent")

    assert statement == (
        f"SELECT customers.name, SUM(orders.total_amount) AS total_amount {CUSTOMERS_OF_ORDERS} "
        "GROUP BY customers.customer_id, customers.name ORDER BY SUM(orders.total_amount) DESC NULLS LAST LIMIT 5"
    )


def test_both_needs_a_related_row_for_each_value() -> None:
    statement = sql_for("Which customers bought both Books and Toys?")

    assert statement.count("EXISTS") == 2


def test_or_joins_values_of_one_column() -> None:
    assert "customers.city IN ('Paris', 'Berlin')" in sql_for("How many customers are in Paris or Berlin?")


def test_a_ratio_keeps_the_conditions_of_its_sides_apart() -> None:
    statement = sql_for("What is the ratio of delivered orders to cancelled orders?")

    assert "COUNT(*) FILTER (WHERE orders.status = 'delivered')" in statement
    assert "NULLIF(COUNT(*) FILTER (WHERE orders.status = 'cancelled'), 0)" in statement


@pytest.mark.parametrize(
    "question",
    [
        "Compare the revenue of Germany with France",
        "How much did customers from Germany spend compared to France?",
        "Revenue of Germany vs France",
    ],
)
def test_each_side_of_a_contrast_has_a_row(question: str) -> None:
    assert sql_for(question) == (
        f"SELECT customers.country, SUM(orders.total_amount) AS total_amount {CUSTOMERS_OF_ORDERS} "
        "WHERE customers.country IN ('Germany', 'France') GROUP BY customers.country"
    )


def test_a_sum_over_several_values_stays_one_row_without_a_contrast() -> None:
    assert "GROUP BY" not in sql_for("What is the revenue from customers in Germany and France?")


@pytest.mark.parametrize(
    "question",
    [
        "List the 5 most expensive products and the price of each",
        "Show each product with the highest price",
    ],
)
def test_each_beside_a_choice_that_names_no_other_rows_changes_nothing(question: str) -> None:
    assert " LIMIT " in sql_for(question)


@pytest.mark.parametrize(("shown", "column"), [("category", "category"), ("price", "unit_price")])
def test_what_a_superlative_chose_is_named_beside_its_attribute(shown: str, column: str) -> None:
    assert sql_for(f"What is the most expensive product and its {shown}?") == (
        f"SELECT products.name, products.{column} FROM public.products "
        "ORDER BY products.unit_price DESC NULLS LAST LIMIT 1"
    )
