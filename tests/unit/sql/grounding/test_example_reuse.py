"""Approved examples: which are reused for a new question, how they are adapted, and which must be left alone."""

from datetime import UTC, datetime

import pytest

from services.sql.grounding.generator import GroundedGenerator
from services.sql.guidance import Guidance, Objection, SimilarExample
from services.sql.models import NoDraft, SqlDraft
from services.sql.query_guard import QueryGuard
from tests.unit.sql.grounding.schemas import shop

GUARD = QueryGuard(max_rows=1_000)
# What nobody could read out of the schema: whoever gets it back reused the example.
MARK = "customers.email <> 'test@example.org'"


def asked(question: str, *examples: tuple[str, str]) -> SqlDraft | NoDraft:
    known = tuple(SimilarExample(text, sql, 0.9) for text, sql in examples)
    return GroundedGenerator().draft(question, shop(), Guidance(examples=known))


def sql_of(draft: SqlDraft | NoDraft) -> str:
    assert isinstance(draft, SqlDraft), draft
    verdict = GUARD.check(draft.sql, shop())
    assert verdict.allowed, verdict.refusals
    return verdict.sql


IN_BERLIN = (
    "How many customers are in Berlin?",
    f"SELECT count(*) FROM customers WHERE city = 'Berlin' AND {MARK}",
)
TOP_FIVE = (
    "Top 5 customers by revenue",
    "SELECT c.name, sum(o.total_amount) AS revenue FROM customers c JOIN orders o USING (customer_id) "
    "WHERE o.status <> 'cancelled' AND c.email <> 'test@example.org' GROUP BY c.name ORDER BY revenue DESC LIMIT 5",
)
IN_2024 = (
    "Total revenue in 2024",
    "SELECT sum(total_amount) FROM orders WHERE order_date >= DATE '2024-01-01' AND order_date < DATE '2025-01-01' "
    "AND status <> 'cancelled' AND order_id > 0",
)
YEAR_PART = (
    "How many orders in 2024?",
    "SELECT count(*) FROM orders WHERE extract(year FROM order_date) = 2024 AND status <> 'cancelled'",
)
RECENT = (
    "Orders of the last 30 days",
    "SELECT order_id FROM orders WHERE order_date >= CURRENT_DATE - INTERVAL '30 days' AND status <> 'cancelled'",
)
CHEAP = (
    "Products with a price above 20",
    "SELECT name FROM products WHERE unit_price > 20 AND stock_quantity > 0",
)
AVERAGE = (
    "Average unit price per category",
    "SELECT category, avg(unit_price) AS avg_unit_price FROM products WHERE name <> 'Sample' GROUP BY category",
)
DEAREST = (
    "The 3 most expensive products",
    "SELECT name FROM products WHERE name <> 'Sample' ORDER BY unit_price DESC LIMIT 3",
)
MARCH = (
    "How many orders were placed in March 2024?",
    "SELECT count(*) FROM orders WHERE order_date BETWEEN '2024-03-01' AND '2024-03-31' AND status <> 'cancelled'",
)


@pytest.mark.parametrize(
    "question",
    ["How many customers are in Berlin?", "how many customers are in berlin", "How many customers are in Berlin ?"],
)
def test_the_same_question_gets_the_approved_query_as_it_is(question: str) -> None:
    draft = asked(question, IN_BERLIN)

    assert isinstance(draft, SqlDraft)
    assert draft.sql == IN_BERLIN[1]
    assert "as approved for the same question" in draft.explanation
    assert draft.confidence > 0.95
    assert draft.tables == ("public.customers",)


def test_a_reused_query_keeps_its_explanation_and_says_who_approved_it_and_when() -> None:
    example = SimilarExample(
        *IN_BERLIN,
        1.0,
        explanation="Shows the number of customers, only where the city is Berlin.",
        approved_by="tim",
        approve_time=datetime(2026, 11, 20, 23, 30, tzinfo=UTC),
    )
    guidance = Guidance(examples=(example,))

    same, other = [
        GroundedGenerator().draft(question, shop(), guidance)
        for question in (IN_BERLIN[0], "How many customers are in Paris?")
    ]

    assert isinstance(same, SqlDraft)
    assert isinstance(other, SqlDraft)
    assert same.explanation == (
        "Shows the number of customers, only where the city is Berlin. The query is as approved for the same question"
        " by tim on 2026-11-20."
    )
    assert f"as approved for “{IN_BERLIN[0]}” by tim on 2026-11-20, with" in other.explanation
    assert other.explanation.endswith("was said: Shows the number of customers, only where the city is Berlin.")


@pytest.mark.parametrize(
    ("question", "example", "expected"),
    [
        ("How many customers are in Paris?", IN_BERLIN, ("city = 'Paris'", "test@example.org")),
        ("How many clients are in New York?", IN_BERLIN, ("city = 'New York'", "test@example.org")),
        ("Number of customers in Lyon", IN_BERLIN, ("city = 'Lyon'", "test@example.org")),
        (
            "How many customers do we have in Berlin?",
            (
                "How many customers do we have in Paris?",
                f"SELECT count(*) FROM customers WHERE city ILIKE '%paris%' AND {MARK}",
            ),
            ("city ILIKE '%berlin%'", "test@"),
        ),
        (
            "How many customers are in Paris?",
            (
                "How many customers are in Berlin?",
                f"SELECT count(*) FROM customers WHERE lower(city) = 'berlin' AND {MARK}",
            ),
            ("= 'paris'", "test@"),
        ),
        ("Top 10 customers by revenue", TOP_FIVE, ("LIMIT 10", "test@example.org", "DESC")),
        ("Show me the top 12 customers by revenue", TOP_FIVE, ("LIMIT 12", "test@example.org")),
        ("Bottom 5 customers by revenue", TOP_FIVE, ("LIMIT 5", "test@example.org")),
        ("What was the total revenue in 2025?", IN_2024, ("'2025-01-01'", "'2026-01-01'", "order_id > 0")),
        ("How many orders in 2023?", YEAR_PART, ("= 2023", "cancelled")),
        ("Orders of the last 7 days", RECENT, ("INTERVAL '7 ", "cancelled")),
        ("Products with a price above 35.5", CHEAP, ("unit_price > 35.5", "stock_quantity > 0")),
        ("Products with a price more than 35", CHEAP, ("unit_price > 35", "stock_quantity > 0")),
        ("Average stock quantity per category", AVERAGE, ("AVG(stock_quantity) AS avg_stock_quantity", "Sample")),
        ("The 3 cheapest products", DEAREST, ("ORDER BY unit_price ASC LIMIT 3", "Sample")),
        ("The 7 most expensive products", DEAREST, ("DESC LIMIT 7", "Sample")),
        ("How many orders were placed in February 2024?", MARCH, ("'2024-02-01'", "'2024-02-29'", "cancelled")),
    ],
)
def test_a_question_that_differs_in_one_part_gets_the_query_adapted(
    question: str, example: tuple[str, str], expected: tuple[str, ...]
) -> None:
    draft = asked(question, example)

    sql = sql_of(draft)
    assert isinstance(draft, SqlDraft)
    assert f"as approved for “{example[0]}”" in draft.explanation
    for part in expected:
        assert part in sql


@pytest.mark.parametrize(
    ("question", "example"),
    [
        # a word, negation, comparison, aggregate or preposition more or less
        ("How many customers are not in Paris?", IN_BERLIN),
        ("How many orders are in Paris?", IN_BERLIN),
        ("How many premium customers are in Paris?", IN_BERLIN),
        ("How many happy customers are in Paris?", IN_BERLIN),
        ("Which customers are in Paris?", IN_BERLIN),
        ("How many customers are from Paris?", IN_BERLIN),
        ("How many customers are in Paris and Lyon?", IN_BERLIN),
        ("How many customers joined in Berlin?", IN_BERLIN),
        ("Products with a price below 35", CHEAP),
        ("Products with a price of at least 35", CHEAP),
        ("Lowest unit price per category", AVERAGE),
        ("Total unit price per category", AVERAGE),
        ("Average revenue in 2025", IN_2024),
        ("Total revenue since 2025", IN_2024),
        ("Total revenue before 2025", IN_2024),
        ("Top 10 customers by orders", TOP_FIVE),
        ("Top customers by revenue", TOP_FIVE),
        # a value of another column, or of none
        ("How many customers are in France?", IN_BERLIN),
        ("How many customers are in Hamburg?", IN_BERLIN),
        ("How many customers are in 2024?", IN_BERLIN),
        (
            "Are there customers in Berlin?",
            ("Customers in Berlin", f"SELECT name FROM customers WHERE city = 'Berlin' AND {MARK}"),
        ),
        ("How many customers are in Electronics?", IN_BERLIN),
        # a period of another kind
        ("How many orders were placed in 2024?", MARCH),
        ("How many orders were placed in Q1 2024?", MARCH),
        ("Total revenue in March 2024", IN_2024),
        ("Orders of the last 7 weeks", RECENT),
        ("Orders of the last month", RECENT),
        ("How many orders in 50?", YEAR_PART),
        # a column of another kind or table
        ("Average joined on per category", AVERAGE),
        ("Average total amount per category", AVERAGE),
        ("The 3 latest products", DEAREST),
    ],
)
def test_a_question_that_differs_in_more_is_not_answered_by_the_example(
    question: str, example: tuple[str, str]
) -> None:
    draft = asked(question, example)

    assert not isinstance(draft, SqlDraft) or "approved" not in draft.explanation, draft


@pytest.mark.parametrize(
    ("question", "text", "sql"),
    [
        # the value of the approved question is not what the query looks for
        ("How many customers are in Paris?", "How many customers are in Berlin?", "SELECT count(*) FROM customers"),
        (
            "How many customers are in Paris?",
            "How many customers are in Berlin?",
            "SELECT count(*) FROM customers WHERE city = 'Lyon'",
        ),
        # the country hangs together with the city
        (
            "How many customers are in Paris?",
            "How many customers are in Berlin?",
            "SELECT count(*) FROM customers WHERE city = 'Berlin' AND country = 'Germany'",
        ),
        # one literal for two things, two literals for one thing
        (
            "Top 7 products with a stock quantity above 5",
            "Top 5 products with a stock quantity above 5",
            "SELECT name FROM products WHERE stock_quantity > 5 ORDER BY unit_price DESC LIMIT 5",
        ),
        (
            "Products with a price above 30",
            "Products with a price above 20",
            "SELECT name FROM products WHERE unit_price > 20 AND stock_quantity < 20",
        ),
        # the limit is no price, the price no limit
        (
            "Products with a price above 30",
            "Products with a price above 20",
            "SELECT name FROM products ORDER BY unit_price LIMIT 20",
        ),
        (
            "Top 7 products by price",
            "Top 5 products by price",
            "SELECT name FROM products WHERE stock_quantity > 5 ORDER BY unit_price DESC",
        ),
        # another table altogether
        (
            "Top 7 customers by revenue",
            "Top 5 customers by revenue",
            "SELECT name FROM products ORDER BY unit_price DESC LIMIT 5",
        ),
        # a further year that would have to move along
        (
            "Total revenue in 2025",
            "Total revenue in 2024",
            "SELECT sum(total_amount) FROM orders WHERE order_date >= '2024-01-01' AND order_date < '2024-07-01'",
        ),
        (
            "Total revenue in 2025",
            "Total revenue in 2024",
            "SELECT sum(total_amount) FROM orders WHERE extract(year FROM order_date) = 2024 "
            "AND order_date > '2023-06-30'",
        ),
        # a further number that depends on the first
        (
            "Products with a price above 30",
            "Products with a price above 20",
            "SELECT name FROM products WHERE unit_price > 20 AND unit_price < 40",
        ),
        (
            "Customers with more than 5 orders",
            "Customers with more than 3 orders",
            "SELECT name FROM customers JOIN orders USING (customer_id) GROUP BY name "
            "HAVING count(*) > 3 AND sum(total_amount) > 300",
        ),
        # nothing is ordered that could be turned
        ("The cheapest product", "The most expensive product", "SELECT max(unit_price) FROM products"),
        (
            "The 3 cheapest products",
            "The 3 most expensive products",
            "SELECT name FROM products WHERE unit_price > 100",
        ),
        # a table that is gone, a text that is no query
        (
            "How many customers are in Paris?",
            "How many customers are in Berlin?",
            "SELECT count(*) FROM clients WHERE city = 'Berlin'",
        ),
        (
            "How many customers are in Paris?",
            "How many customers are in Berlin?",
            "DELETE FROM customers WHERE city = 'Berlin'",
        ),
        ("How many customers are in Paris?", "How many customers are in Berlin?", "ask Carol about 'Berlin'"),
    ],
)
def test_a_query_that_does_not_say_what_its_question_says_is_not_adapted(question: str, text: str, sql: str) -> None:
    draft = asked(question, (text, sql))

    assert not isinstance(draft, SqlDraft) or "approved" not in draft.explanation, draft


def test_an_approved_query_for_a_table_that_is_gone_gives_way_to_a_reading() -> None:
    draft = asked("How many customers are in Berlin?", (IN_BERLIN[0], "SELECT count(*) FROM clients"))

    assert "city" in sql_of(draft)
    assert isinstance(draft, SqlDraft)
    assert "approved" not in draft.explanation


def test_two_values_can_change_places() -> None:
    example = (
        "Customers in Berlin rather than Paris",
        f"SELECT name FROM customers WHERE (city = 'Berlin' OR city = 'Paris') AND {MARK}",
    )

    sql = sql_of(asked("Customers in Paris rather than Berlin", example))

    assert "city = 'Paris' OR city = 'Berlin'" in sql


def test_the_nearest_question_is_adapted() -> None:
    other = ("How many customers are in Paris?", "SELECT count(*) FROM customers WHERE city = 'Paris' AND name <> 'Bo'")

    draft = asked("How many customers are in Paris?", IN_BERLIN, other)

    assert isinstance(draft, SqlDraft)
    assert draft.sql == other[1]


def test_a_query_that_the_database_refused_is_not_reused() -> None:
    example = SimilarExample(*IN_BERLIN, 1.0)
    guidance = Guidance(examples=(example,), objections=(Objection(IN_BERLIN[1], "no such operator"),))

    draft = GroundedGenerator().draft(IN_BERLIN[0], shop(), guidance)

    assert isinstance(draft, SqlDraft)
    assert "approved" not in draft.explanation


def test_a_reading_that_the_database_refused_is_not_offered_again() -> None:
    generator = GroundedGenerator()
    first = generator.draft("How many customers are in Berlin?", shop())
    assert isinstance(first, SqlDraft)

    again = generator.draft(
        "How many customers are in Berlin?", shop(), Guidance(objections=(Objection(first.sql, "no"),))
    )

    assert isinstance(again, NoDraft)


async def test_a_question_with_an_approved_answer_belongs_to_the_database() -> None:
    policy = "What do we mean by churn, in numbers?"
    guidance = Guidance(examples=(SimilarExample(policy, "SELECT count(*) FROM customers", 1.0),))

    generator = GroundedGenerator()
    [plain] = await generator.assess([policy], shop())
    [known] = await generator.assess([policy], shop(), guidance)

    assert plain.score < 0.5 < 0.9 < known.score
    assert known.tables == ("public.customers",)


def test_odd_examples_do_no_harm() -> None:
    odd = [("", ""), ("?", "SELECT 1"), ("a " * 3_000, "SELECT 1"), ("'" * 50, "'" * 50), ("How many", "SELECT (" * 99)]

    draft = asked("How many customers are in Berlin?", *odd)

    assert isinstance(draft, SqlDraft)
    assert "approved" not in draft.explanation
