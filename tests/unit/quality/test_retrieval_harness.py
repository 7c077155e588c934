"""What the harness of retrieval reads, refuses and counts."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.quality.retrieval.__main__ import main
from tests.quality.retrieval.figures import figures_of
from tests.quality.retrieval.parts import Query, Text, page_name, read_part
from tests.quality.sql.errors import BadInput

CORPUS = [{"_id": "d1", "title": "Ferries", "text": "The ferry sails at nine."}, {"_id": "d2", "text": "Moss grows."}]
QUERIES = [{"_id": "1", "text": "when does the ferry sail"}, {"_id": "2", "text": "nobody judged this"}]
QRELS = "query-id\tcorpus-id\tscore\n1\td1\t2\n1\td2\t0\n"


def write_texts(
    folder: Path, *, corpus: Sequence[object] = CORPUS, queries: Sequence[object] = QUERIES, qrels: str = QRELS
) -> Path:
    part = folder / "public"
    (part / "qrels").mkdir(parents=True)
    (part / "corpus.jsonl").write_text("\n".join(json.dumps(each) for each in corpus) + "\n\n")
    (part / "queries.jsonl").write_text("\n".join(json.dumps(each) for each in queries))
    (part / "qrels" / "test.tsv").write_text(qrels)
    return folder


def write_pages(folder: Path, qrels: str = "q\td\ts\nf1\tREPORT#p3\t1\n") -> Path:
    part = folder / "public"
    (part / "pdfs").mkdir(parents=True)
    (part / "pdfs" / "REPORT.pdf").write_bytes(b"%PDF-")
    (part / "questions.jsonl").write_text(json.dumps({"id": "f1", "question": "How much?", "answer": "1"}))
    (part / "qrels_pages.tsv").write_text(qrels)
    return folder


def test_texts_are_read_with_the_queries_that_something_bears_on(tmp_path: Path) -> None:
    part = read_part(write_texts(tmp_path), "public")

    assert part.texts == (Text("d1", "Ferries", "The ferry sails at nine."), Text("d2", "", "Moss grows."))
    assert part.queries == (Query("1", "when does the ferry sail"),)
    assert part.relevant == {"1": {"d1": 2}}
    assert not part.ranks_pages


def test_files_are_read_with_the_pages_that_bear_on_questions(tmp_path: Path) -> None:
    part = read_part(write_pages(tmp_path), "public")

    assert [path.name for path in part.files] == ["REPORT.pdf"]
    assert part.relevant == {"f1": {page_name("REPORT", 3): 1}}
    assert part.ranks_pages


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"corpus": []}, "corpus.jsonl is empty"),
        ({"corpus": [["d1"]]}, "corpus.jsonl, line 1: no JSON object"),
        ({"corpus": [{"text": "x"}]}, "line 1: '_id' is missing"),
        ({"corpus": [CORPUS[0], CORPUS[0]]}, "line 2: a document 'd1' came before"),
        ({"queries": [{"_id": "1", "text": " "}]}, "queries.jsonl, line 1: 'text' is missing or blank"),
        ({"qrels": QRELS + "1\td1\n"}, "test.tsv, line 4: not like query-id<TAB>corpus-id<TAB>score"),
        ({"qrels": "h\th\th\n1\td9\t1\n"}, "names 'd9', which is not in the part"),
        ({"qrels": "h\th\th\n7\td1\t1\n"}, "nothing in it bears on a query"),
        ({"qrels": QRELS + "7\td1\t1\n"}, "there is no query '7'"),
        ({"qrels": "h\th\th\n"}, "nothing in it bears on a query"),
    ],
    ids=str,
)
def test_a_broken_folder_of_texts_is_refused_with_its_place(
    tmp_path: Path, broken: dict[str, Sequence[object] | str], told: str
) -> None:
    write_texts(tmp_path, **broken)  # type: ignore[arg-type]

    with pytest.raises(BadInput) as refused:
        read_part(tmp_path, "public")

    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("qrels", "told"),
    [
        ("f1\tREPORT\t1\n", "'REPORT' names no page as DOC#p1 does"),
        ("f1\tREPORT#p0\t1\n", "names no page"),
        ("f1\tOTHER#p1\t1\n", "'OTHER', which is not in the part"),
    ],
)
def test_a_page_that_cannot_be_is_refused(tmp_path: Path, qrels: str, told: str) -> None:
    write_pages(tmp_path, qrels)

    with pytest.raises(BadInput) as refused:
        read_part(tmp_path, "public")

    assert told in str(refused.value)


@pytest.mark.parametrize("missing", ["queries.jsonl", "qrels/test.tsv", "corpus.jsonl"])
def test_a_missing_file_ends_a_run_with_exit_code_2_and_its_name(
    tmp_path: Path, missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_texts(tmp_path)
    (tmp_path / "public" / missing).unlink()

    code = main(["--data", str(tmp_path), "--part", "public", "--out", str(tmp_path / "out.jsonl")])

    told = capsys.readouterr().err
    assert code == 2
    assert missing.partition("/")[0] in told
    assert not (tmp_path / "out.jsonl").exists()


def test_a_part_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    write_texts(tmp_path)

    with pytest.raises(BadInput, match="--part can be public"):
        read_part(tmp_path, "private")


def test_figures_discount_ranks_count_names_once_and_take_a_missing_ranking_for_none() -> None:
    relevant = {"1": {"a": 1, "b": 1}, "2": {"c": 3}}

    figures = figures_of({"1": ["x", "a", "a", "b"]}, relevant, pages=True)

    ideal = 1 + 1 / math.log2(3)
    assert figures["ndcg@10"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(4)) / ideal / 2, abs=1e-4)
    assert (figures["recall@10"], figures["recall@100"], figures["hit@5"]) == (0.5, 0.5, 0.5)


def test_gains_weigh_by_their_size_and_pages_alone_have_hits() -> None:
    figures = figures_of({"1": ["low", "high"]}, {"1": {"low": 1, "high": 3}}, pages=False)

    assert figures["ndcg@10"] == pytest.approx((1 + 3 / math.log2(3)) / (3 + 1 / math.log2(3)), abs=1e-4)
    assert "hit@5" not in figures
