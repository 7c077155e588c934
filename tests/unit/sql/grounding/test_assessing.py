"""Scores by which a router tells questions to the database from questions to documents."""

import pytest

from services.sql.grounding.generator import GroundedGenerator
from services.sql.models import Assessment
from tests.unit.sql.grounding.schemas import shop


async def assess(text: str) -> Assessment:
    return (await GroundedGenerator().assess([text], shop()))[0]


@pytest.mark.parametrize(
    "text",
    [
        "How many customers do we have?",
        "Show me total sales",
        "Which products are low on stock?",
        "average order value by customer segment",
        "top 5 customers by total spent last year",
        "orders by status",
    ],
)
async def test_what_the_database_answers_scores_high(text: str) -> None:
    assert (await assess(text)).score >= 0.7


@pytest.mark.parametrize(
    "text",
    [
        "What are the remote work hours?",
        "Explain our vacation policy",
        "Who is eligible for parental leave?",
        "How do we define an active customer?",
        "What does premium customer mean?",
        "What is the procedure for refunding orders?",
        "Why did sales drop?",
    ],
)
async def test_what_documents_explain_scores_low(text: str) -> None:
    assert (await assess(text)).score <= 0.3


async def test_the_reason_names_tables_columns_or_values() -> None:
    assessment = await assess("How many premium customers are there?")

    assert assessment.tables == ("public.customers",)
    assert "public.customers" in assessment.reason
    assert "premium" in assessment.reason
    assert len(assessment.reason) <= 300


async def test_texts_are_assessed_in_the_order_given() -> None:
    texts = ["Why is the sky blue?", "How many orders are there?"]

    first, second = await GroundedGenerator().assess(texts, shop())

    assert first.score < 0.1 < second.score
