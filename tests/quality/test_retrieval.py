"""Retrieval on evaluation data, searched by the harness in tests/quality/retrieval.

Floors lie below what was measured, so that only a real fall fails.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.quality.evaluation_data import EVALUATION, needs_evaluation_data, score
from tests.quality.reporting import report
from tests.quality.retrieval.run import Options, evaluate

pytestmark = [pytest.mark.quality, needs_evaluation_data(), pytest.mark.timeout(3_000)]


@pytest.mark.parametrize(
    ("collection", "measure", "least"),
    [("qa_xquad", "ndcg@10", 0.90), ("retrieval_cranfield", "ndcg@10", 0.40), ("qa_financebench", "hit@5", 0.55)],
)
async def test_what_bears_on_a_question_is_found_first(
    collection: str, measure: str, least: float, tmp_path: Path
) -> None:
    predictions = tmp_path / "rankings.jsonl"

    measured = await evaluate(Options(EVALUATION / collection, "public", predictions))

    figures = measured.as_figures()
    report(f"retrieval {collection}", figures, measured.as_text())
    assert figures[measure] >= least
    folder = EVALUATION / collection / "public"
    judged = folder / "qrels_pages.tsv" if "hit@5" in figures else folder / "qrels" / "test.tsv"
    theirs = score("score_retrieval", qrels=judged, predictions=predictions)
    for name in ("ndcg@10", "recall@10", "recall@100"):
        assert figures[name] == pytest.approx(theirs[name], abs=1e-4)
