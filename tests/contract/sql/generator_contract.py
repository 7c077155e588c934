"""What every SQL generator must do, however it writes SQL."""

import pytest

from services.sql.models import NoDraft, SqlDraft
from services.sql.ports import SqlGenerator
from services.sql.query_guard import QueryGuard
from tests.fakes.sql import shop_schema


class SqlGeneratorContract:
    """Subclasses give a `generator` fixture."""

    @pytest.fixture
    def generator(self) -> SqlGenerator:
        raise AssertionError("a subclass gives the generator")

    async def test_a_plain_question_gives_a_draft_that_passes_the_guard(self, generator: SqlGenerator) -> None:
        schema = shop_schema()

        draft = await generator.generate("How many customers do we have?", schema)

        assert isinstance(draft, SqlDraft)
        assert 0 <= draft.confidence <= 1
        assert draft.explanation
        verdict = QueryGuard(max_rows=1_000).check(draft.sql, schema)
        assert verdict.allowed
        assert verdict.tables == draft.tables == ("public.customers",)

    @pytest.mark.parametrize("question", ["?", "x" * 4_000, "'; DROP TABLE customers; --", "¿Qué?", "\U0001f600" * 9])
    async def test_odd_questions_give_a_draft_or_a_reason(self, generator: SqlGenerator, question: str) -> None:
        outcome = await generator.generate(question, shop_schema())

        assert isinstance(outcome, SqlDraft | NoDraft)
        if isinstance(outcome, NoDraft):
            assert 0 < len(outcome.reason) <= 500

    async def test_each_text_is_assessed_in_order(self, generator: SqlGenerator) -> None:
        texts = ["How many customers do we have?", "orders by status", "Why is the sky blue?"]

        assessments = await generator.assess(texts, shop_schema())

        assert len(assessments) == len(texts)
        assert all(0 <= assessment.score <= 1 for assessment in assessments)
        assert all(0 < len(assessment.reason) <= 300 for assessment in assessments)
        assert all(list(assessment.tables) == sorted(assessment.tables) for assessment in assessments)

    async def test_its_name_is_one_lower_case_word(self, generator: SqlGenerator) -> None:
        assert generator.name.isidentifier()
        assert generator.name.islower()
