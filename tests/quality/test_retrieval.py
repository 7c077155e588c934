"""Retrieval on evaluation data: reported, with floors well below what was measured so that only a real fall fails."""

from pathlib import Path

import pytest

from tests.quality.document_library import open_library
from tests.quality.evaluation_data import EVALUATION, needs_evaluation_data, read_lines, score, write_lines
from tests.quality.reporting import report

pytestmark = [pytest.mark.quality, needs_evaluation_data(), pytest.mark.timeout(1_200)]

MOST = 100


@pytest.mark.parametrize(("collection", "least_ndcg"), [("qa_xquad", 0.90), ("retrieval_cranfield", 0.33)])
async def test_documents_that_bear_on_a_question_are_found_first(
    collection: str, least_ndcg: float, store_url: str, tmp_path: Path
) -> None:
    folder = EVALUATION / collection / "public"
    async with open_library(store_url) as library:
        for document in read_lines(folder / "corpus.jsonl"):
            await library.add(document["_id"], document["text"], heading=document.get("title", ""))
        predictions = [
            {"query_id": query["_id"], "ranking": await library.ranking(query["text"], most=MOST)}
            for query in read_lines(folder / "queries.jsonl")
        ]

    predicted = write_lines(tmp_path / "predictions.jsonl", predictions)
    scores = score("score_retrieval", qrels=folder / "qrels" / "test.tsv", predictions=predicted)
    told = {name: value for name, value in scores.items() if name.split("@")[0] in {"ndcg", "recall", "mrr"}}
    report(f"retrieval {collection}", told)
    assert scores["ndcg@10"] >= least_ndcg
