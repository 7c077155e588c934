"""What every reranker does."""

import math

import pytest

from services.rag.ports import Reranker


class RerankerContract:
    @pytest.fixture
    def reranker(self) -> Reranker:
        """One that reads; overridden per adapter."""
        raise AssertionError("a subclass gives the reranker")

    async def test_scores_come_in_the_order_of_the_texts(self, reranker: Reranker) -> None:
        texts = ["The moss grows.", "When does the ferry sail today", "A ferry."]

        moss, sailing, ferry = await reranker.score("when does the ferry sail", texts)

        assert sailing > ferry > moss or sailing > moss >= ferry

    async def test_every_text_has_a_finite_score_also_when_all_are_alike(self, reranker: Reranker) -> None:
        scores = await reranker.score("ferry", ["same words"] * 7)

        assert len(scores) == 7
        assert all(math.isfinite(score) for score in scores)
        assert len(set(scores)) == 1

    async def test_any_text_may_be_asked_about(self, reranker: Reranker) -> None:
        texts = ['"quoted" \\ {"index": 1}', "Fähre 🛳 フェリー", "x" * 20_000, "line\nbreak\ttab"]

        assert len(await reranker.score("Was kostet die Fähre?", texts)) == 4

    async def test_it_has_a_name(self, reranker: Reranker) -> None:
        assert reranker.name
