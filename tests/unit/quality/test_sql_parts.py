"""A part of evaluation data is read whole, or refused with the line at fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.quality.sql.errors import BadInput
from tests.quality.sql.parts import read_part

GOOD = {"id": "q1", "db": "shop", "question": "How many?", "gold_sql": ["SELECT 1"], "category": "count"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "public" / "databases").mkdir(parents=True)
    (tmp_path / "public" / "databases" / "shop.sql").write_text("CREATE TABLE t (a int);")
    return tmp_path


def write(folder: Path, *lines: object, name: str = "questions") -> None:
    texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    (folder / "public" / f"{name}.jsonl").write_text("\n".join(texts) + "\n", encoding="utf-8")


def test_questions_with_and_without_an_answer_are_read(folder: Path) -> None:
    strange = "Wer heißt “O'Brien”?\u2028" + "x" * 10_000
    write(folder, GOOD, "", {**GOOD, "id": 2, "question": strange, "gold_sql": "SELECT 2", "ordered": True})
    write(folder, {"id": "u1", "db": "shop", "question": "Who?", "category": "cat_a"}, name="unanswerable")

    part = read_part(folder, "public")

    assert [question.text for question in part.questions] == ["How many?", strange]
    assert (part.questions[1].gold_sql, part.questions[1].ordered) == (("SELECT 2",), True)
    assert [question.category for question in part.unanswerable] == ["cat_a"]
    assert [question.id for question in part.by_database["shop"]] == ["q1", 2, "u1"]


def test_a_limit_takes_the_first_questions_of_each_file(folder: Path) -> None:
    write(folder, GOOD, {**GOOD, "id": "q2"})
    write(folder, {**GOOD, "id": "u1"}, {**GOOD, "id": "u2"}, name="unanswerable")

    part = read_part(folder, "public", limit=1)

    assert [question.id for question in (*part.questions, *part.unanswerable)] == ["q1", "u1"]


def test_a_database_without_a_dump_is_missing_and_no_error(folder: Path) -> None:
    write(folder, GOOD, {**GOOD, "id": "q2", "db": "elsewhere"})

    part = read_part(folder, "public")

    assert part.missing == ("elsewhere",)
    assert list(part.by_database) == ["shop"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "line 2: no JSON"),
        ("[1]", "line 2: no object"),
        ({**GOOD, "id": None}, 'line 2: "id"'),
        ({**GOOD, "id": "q2", "db": ""}, 'line 2: "db"'),
        ({**GOOD, "id": "q2", "db": "../shop"}, 'line 2: "db" is no name'),
        ({**GOOD, "id": "q2", "question": "  "}, 'line 2: "question"'),
        ('{"id": "q2", "db": "shop", "question": "\\ud800", "gold_sql": ["SELECT 1"]}', "half a character"),
        ({**GOOD, "id": "q2", "gold_sql": []}, 'line 2: "gold_sql"'),
        (GOOD, "'q1' occurs twice"),
    ],
)
def test_a_broken_line_is_refused_by_its_number(folder: Path, line: object, complaint: str) -> None:
    write(folder, GOOD, line)

    with pytest.raises(BadInput, match=complaint.replace("(", r"\(")) as refused:
        read_part(folder, "public")

    assert str(folder / "public") in str(refused.value)


def test_a_missing_folder_part_or_question_is_told(folder: Path) -> None:
    with pytest.raises(BadInput, match="no such folder"):
        read_part(folder / "nowhere", "public")
    with pytest.raises(BadInput, match="parts of it: public"):
        read_part(folder, "private")
    with pytest.raises(BadInput, match="no questions"):
        read_part(folder, "public")


def test_questions_of_databases_without_any_dump_are_refused(folder: Path) -> None:
    write(folder, {**GOOD, "db": "elsewhere"})

    with pytest.raises(BadInput, match="no dump of any database"):
        read_part(folder, "public")


def test_bytes_that_are_no_utf8_are_told(folder: Path) -> None:
    (folder / "public" / "questions.jsonl").write_bytes(b'{"id": "\xff"}\n')

    with pytest.raises(BadInput, match=r"byte 8 is no UTF-8"):
        read_part(folder, "public")


def test_a_file_without_a_question_is_refused(folder: Path) -> None:
    write(folder, "")
    write(folder, {"id": "u1", "db": "shop", "question": "Who?", "category": "cat_a"}, name="unanswerable")

    with pytest.raises(BadInput, match="holds no question"):
        read_part(folder, "public")
