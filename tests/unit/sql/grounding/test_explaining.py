"""What is said of a draft: what it shows and by which links."""

from services.sql.grounding.generator import GroundedGenerator
from services.sql.models import SqlDraft
from tests.unit.sql.grounding.schemas import draft, shop


def test_the_explanation_names_the_links() -> None:
    outcome = draft("How many premium customers are there?")

    assert isinstance(outcome, SqlDraft)
    assert "the number of customers" in outcome.explanation
    assert "“customers” → public.customers" in outcome.explanation
    assert "“premium” → customers.segment = 'Premium'" in outcome.explanation


def test_an_assumption_is_told_and_lowers_confidence() -> None:
    outcome = draft("Which products are low on stock?")

    assert isinstance(outcome, SqlDraft)
    assert "no limit is known" in outcome.explanation
    assert outcome.confidence < 0.9


def test_the_same_question_gives_the_same_draft() -> None:
    question = "Total sales by country and month in 2024"

    assert GroundedGenerator().draft(question, shop()) == GroundedGenerator().draft(question, shop())


def test_a_changed_schema_is_indexed_anew() -> None:
    generator = GroundedGenerator()
    generator.draft("How many customers?", shop())
    changed = type(shop())(shop().tables[1:], fingerprint="1" * 64)

    assert not isinstance(generator.draft("How many customers live in Paris?", changed), SqlDraft)
