"""What the harness of parsing reads, refuses and counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.quality.ingest.__main__ import main
from tests.quality.ingest.parts import Expected, read_part
from tests.quality.ingest.scoring import score
from tests.quality.sql.errors import BadInput

NOTE = {"file": "note.txt", "must_contain": ["The ferry sails"], "order": [["sails", "nine"]]}
EMPTY = {"file": "empty.txt", "expect": "reject"}


def write_part(folder: Path, *rows: object, files: Mapping[str, str] | None = None) -> Path:
    part = folder / "public"
    (part / "files").mkdir(parents=True)
    for name, text in (files or {"note.txt": "The ferry sails at nine.", "empty.txt": " "}).items():
        (part / "files" / name).write_text(text)
    (part / "expect.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


def expected(**fields: Any) -> Expected:
    return Expected("a.pdf", Path("a.pdf"), **fields)


def read(text: str) -> dict[str, Any]:
    return {"file": "a.pdf", "status": "ok", "text": text}


def test_files_are_read_and_the_last_line_is_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_part(
        tmp_path,
        NOTE,
        EMPTY,
        {**NOTE, "file": "scan.txt", "needs": "ocr"},
        files={
            "note.txt": "The ferry sails at nine.",
            "empty.txt": " ",
            "scan.txt": "nothing of the kind",
        },
    )

    status = main(["--data", str(folder), "--part", "public", "--out", str(tmp_path / "out" / "predictions.jsonl")])

    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert status == 0
    assert (figures["no_ocr"], figures["ocr_alone"], figures["files"]) == (1.0, 0.0, 3)
    assert figures["all"] == pytest.approx(2 / 3, abs=1e-4)
    lines = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["ok", "rejected", "ok"]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"file": "absent.txt"}, "names no file"),
        ({"file": "../note.txt"}, "names no file"),
        ({"file": "note.txt", "expect": "maybe"}, "expect"),
        ({"file": "note.txt", "must_contain": "text"}, "must_contain"),
        ({"file": "note.txt", "order": [["alone"]]}, "order"),
        ([1], "no JSON object"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, row: object, told: str) -> None:
    with pytest.raises(BadInput, match=told) as refused:
        read_part(write_part(tmp_path, NOTE, row), "public")

    assert "expect.jsonl:2" in str(refused.value)


@pytest.mark.parametrize("arguments", [("absent", "public"), (".", "private"), (".", "public")])
def test_a_folder_that_is_no_part_is_refused(tmp_path: Path, arguments: tuple[str, str]) -> None:
    (tmp_path / "public").mkdir()

    with pytest.raises(BadInput):
        read_part(tmp_path / arguments[0], arguments[1])


def test_helpers_that_are_wanted_and_absent_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INGEST_OCR_ENGINE", "docling")
    folder = write_part(tmp_path, NOTE)

    assert main(["--data", str(folder), "--part", "public", "--out", str(tmp_path / "out.jsonl")]) == 2
    assert "INGEST_OCR_ENGINE" in capsys.readouterr().err


def test_the_share_of_checks_that_hold_is_the_score() -> None:
    checks = expected(
        phrases=("Ferry tickets", "Freight rates"),
        rows=(("Adults", "41"), ("Dogs", "12")),
        order=(("tickets", "dogs"),),
        unwanted=("crew only",),
    )

    assert score(checks, read("Ferry\ntickets. Name: Adults; 2025: 41. Dogs: none of 12. Crew only.")) == 4 / 6
    assert score(checks, read("")) == 0
    assert score(checks, {"file": "a.pdf", "status": "rejected", "error": "why"}) == 0


def test_a_word_broken_at_a_line_and_marks_of_markup_make_no_difference() -> None:
    assert score(expected(phrases=("harbour office",)), read("the **har-\nbour** `office`")) == 1


def test_a_refusal_counts_where_it_is_expected_and_tells_why() -> None:
    refused = {"file": "a.pdf", "status": "rejected", "error": "the PDF is encrypted"}

    assert score(expected(outcome="reject"), refused) == 1
    assert score(expected(outcome="reject"), {**refused, "error": ""}) == 0
    assert score(expected(outcome="reject"), read("text")) == 0
    assert score(expected(outcome="ok_or_reject"), refused) == 1
    assert score(expected(outcome="ok_or_reject", phrases=("text",)), read("text")) == 1
