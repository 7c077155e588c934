"""What the harness for answers reads, and what makes an answer right."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.rag.models import Answer, ChunkId, Citation, WriterUsage
from tests.quality.qa.__main__ import main
from tests.quality.qa.figures import measured
from tests.quality.qa.parts import Evidence, Question, read_part
from tests.quality.qa.run import as_given, prediction
from tests.quality.qa.scoring import Given, contains, names_page, numbers_agree, repeats_fake
from tests.quality.sql.errors import BadInput

GUIDE = "documents/" + "a" * 64


def part_of(folder: Path, **files: list[dict[str, Any]] | str) -> Path:
    """A part folder of JSON-lines files, and of articles given as texts."""
    part = folder / "public"
    part.mkdir()
    for name, content in files.items():
        if isinstance(content, str):
            (part / "articles").mkdir(exist_ok=True)
            (part / "articles" / f"{name}.md").write_text(content, encoding="utf-8")
        else:
            (part / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    return part


def test_articles_tables_and_passages_are_documents_and_questions_know_theirs(tmp_path: Path) -> None:
    part_of(
        tmp_path,
        ferry="# Ferry\n\nIt sails at nine.",
        contexts=[{"id": "c1", "table": [["", "2021"], ["Revenue", "5"]], "paragraphs": ["In <euros>."]}],
        questions=[
            {"id": 1, "question": "When?", "answers": ["nine"], "doc": "ferry#0"},
            {"id": 2, "question": "How much?", "answers": ["5"], "context": "c1"},
            {
                "id": 3,
                "question": "Who?",
                "answer": [["Ann", "A. Berg"]],
                "positive": ["Ann did."],
                "negative": ["No."],
            },
            {"id": 4, "question": "Where?", "answer": "p. 3", "evidence": [{"doc": "ferry", "page": 2}]},
        ],
        unanswerable=[{"id": "u1", "question": "Why?"}],
    )

    part = read_part(tmp_path, "public")

    assert [document.title for document in part.documents] == ["ferry", "c1", "3/positive/0", "3/negative/0"]
    assert "<th>2021</th></tr><tr><td>Revenue</td>" in part.documents[1].text
    assert "In &lt;euros&gt;." in part.documents[1].text
    assert [question.scope for question in part.questions] == [(), ("c1",), ("3/positive/0", "3/negative/0"), ()]
    assert part.questions[2].golds == ("Ann", "A. Berg")
    assert part.questions[3].evidence == (Evidence("ferry", 3),)
    assert [question.id for question in part.unanswerable] == ["u1"]


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"ferry": "text"}, "no questions"),
        ({"questions": [{"id": 1, "question": "When?", "answers": ["nine"]}]}, "no documents"),
        ({"ferry": "text", "questions": [{"id": 1, "question": " ", "answers": ["x"]}]}, '"question" is no text'),
        ({"ferry": "text", "questions": [{"id": 1, "question": "When?"}]}, 'neither "answers" nor "answer"'),
        ({"ferry": "text", "questions": [{"id": None, "question": "When?", "answer": "x"}]}, '"id" is no text'),
        ({"ferry": "text", "questions": [{"id": 1, "question": "When?", "answer": "x"}] * 2}, "occurs twice"),
        (
            {"ferry": "text", "questions": [{"id": 1, "question": "When?", "answer": "x", "context": "c9"}]},
            "is asked of 'c9'",
        ),
        (
            {"contexts": [{"id": "c", "table": ["row"]}], "questions": [{"id": 1, "question": "Q?", "answer": "x"}]},
            '"table" is no list',
        ),
        (
            {"ferry": "text", "questions": [{"id": 1, "question": "Q?", "answer": "x", "evidence": "p. 3"}]},
            '"evidence" is no list',
        ),
    ],
)
def test_a_folder_that_cannot_be_used_ends_with_2_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, Any], complaint: str
) -> None:
    part_of(tmp_path, **files)

    status = main(["--data", str(tmp_path), "--part", "public", "--out", str(tmp_path / "out.jsonl")])

    assert status == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("line", ["{", "[1]", "\ud800"], ids=["no JSON", "no object", "no UTF-8"])
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    part = part_of(tmp_path, ferry="text")
    (part / "questions.jsonl").write_bytes(line.encode("utf-8", "surrogatepass"))

    with pytest.raises(BadInput, match=r"questions\.jsonl"):
        read_part(tmp_path, "public")


def test_folders_that_are_not_there_are_named(tmp_path: Path) -> None:
    part_of(tmp_path, ferry="text")

    with pytest.raises(BadInput, match="no such folder"):
        read_part(tmp_path / "absent", "public")
    with pytest.raises(BadInput, match="parts of it: public"):
        read_part(tmp_path, "sealed")


@pytest.mark.parametrize(
    ("answer", "gold", "holds"),
    [
        ("It was built in 1931.", "1931", True),
        ("It was built in 19315.", "1931", False),
        ("The U.S. army came.", "US", False),
        ("An answer: the Pan Lords!", "pan lords", True),
        ("1851–1862", "1862", True),
        ("anything", "the", False),
    ],
)
def test_a_gold_answer_is_held_as_whole_words(answer: str, gold: str, holds: bool) -> None:
    assert contains(answer, gold) is holds


@pytest.mark.parametrize(
    ("answer", "gold", "scale", "agree"),
    [
        ("Revenue was $1,234.5 million.", "1234.5", "million", True),
        ("Revenue was 1.2345 billion.", "1,234.5 million", "", True),
        ("It fell by (3.8%).", "-3.8", "percent", True),
        ("It was 93.8 days.", "93.86", "", True),
        ("It was 95 days.", "93.86", "", False),
        ("The increase from 2021 was 12.", "12 in 2022", "", True),
        ("No number here.", "12", "", False),
        ("Any answer", "no number", "", None),
    ],
)
def test_numbers_agree_within_a_hundredth_across_scales(answer: str, gold: str, scale: str, agree: bool | None) -> None:
    assert numbers_agree(answer, Question(1, "How much?", (gold,), scale=scale)) is agree


def test_a_planted_answer_counts_only_where_the_true_one_is_not_told() -> None:
    question = Question(1, "Where?", ("Lund",), fakes=("Malmö",))

    assert repeats_fake("In Malmö.", question) is True
    assert repeats_fake("Sources disagree: in Malmö. In Lund.", question) is False
    assert repeats_fake("In Malmö.", Question(1, "Where?", ("Lund",))) is None


def test_pages_count_from_1_and_names_of_files_may_have_their_ending() -> None:
    question = Question(1, "Where?", ("x",), evidence=(Evidence("report", 3),))

    assert names_page([Evidence("report.pdf", 3)], question) is True
    assert names_page([Evidence("report", 2)], question) is False
    assert names_page([Evidence("report", 3)], Question(1, "Where?", ("x",), evidence=(Evidence("report"),))) is None


def test_a_citation_of_an_article_is_one_of_the_passage_that_holds_its_words() -> None:
    citation = Citation(ChunkId(GUIDE, 0), "ferry.md", "It sails\nat nine.", 0, 17, 2, 0)
    answer = Answer("It sails at nine.", True, (citation,), (), WriterUsage())

    of_passage = as_given(answer, {GUIDE: "ferry"}, {"ferry#0": "Other.", "ferry#1": "So. It sails at nine. Yes."})
    of_article = as_given(answer, {GUIDE: "ferry"}, {})

    assert of_passage.sources == (Evidence("ferry#1", 2),)
    assert prediction(Question(7, "When?"), of_article) == {
        "id": 7,
        "answer": "It sails at nine.",
        "refused": False,
        "sources": [{"doc": "ferry", "page": 2}],
    }


def test_figures_that_a_set_has_nothing_for_are_null() -> None:
    question = Question(1, "Where?", ("Lund",))

    figures = measured("a run", [question], [], {1: Given("In Lund.", False, ())}).as_figures()

    assert (figures["contains"], figures["refused_answerable"], figures["median_words"]) == (1.0, 0.0, 2)
    assert all(figures[name] is None for name in ("refused_unanswerable", "src_doc", "src_page", "numeric"))
    assert "fake" not in figures
