"""The harness of text to SQL as a person runs it: real dumps, the real service, a real exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.local.settings import REPOSITORY
from tests.openai_server import OpenAiServer
from tests.quality.sql.__main__ import main
from tests.quality.sql.parts import Question
from tests.quality.sql.run import Options, evaluate
from tests.quality.sql.scoring import Verdict, score
from tests.quality.sql.scratch import ScratchPostgres, scratch_postgres

BAKERY = """
CREATE SCHEMA "Back Office";
CREATE TABLE "Back Office".oven (oven_id int PRIMARY KEY, name text NOT NULL, price numeric(6, 2));
ALTER TABLE "Back Office".oven OWNER TO baker_of_old;
GRANT SELECT ON "Back Office".oven TO "an apprentice";
COPY "Back Office".oven (oven_id, name, price) FROM stdin;
1\tRye\t4.50
2\tSpelt\t5.25
3\tO'Brien’s “soda”\t3.00
\\.
"""
FERRY = """
CREATE TABLE ferries (ferry_id int PRIMARY KEY, name text, deck_count int);
INSERT INTO ferries VALUES (1, 'Aurora', 4), (2, 'Borealis', 6);
"""
QUESTIONS: list[dict[str, Any]] = [
    {"id": "b1", "db": "bakery", "question": "How many ovens are there?", "gold": 'FROM "Back Office".oven'},
    {"id": "f1", "db": "ferry", "question": "How many ferries are there?", "gold": "FROM ferries"},
    {"id": "f2", "db": "ferry", "question": "ferries? " * 600, "gold": "FROM ferries"},
    {"id": "n1", "db": "not_there", "question": "How many?", "gold": "FROM nothing"},
]
UNANSWERABLE: list[dict[str, Any]] = [
    {"id": "u1", "db": "ferry", "question": "What is the capital of France?", "category": "cat_a"},
    {"id": "u2", "db": "ferry", "question": "Which ferry has the oldest captain?", "category": "cat_c"},
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder as the evaluation data has it, of our own."""
    folder = tmp_path / "text2sql_own"
    (folder / "small" / "databases").mkdir(parents=True)
    (folder / "small" / "databases" / "bakery.sql").write_text(BAKERY, encoding="utf-8")
    (folder / "small" / "databases" / "ferry.sql").write_text(FERRY, encoding="utf-8")
    descriptions = {"table_metadata": {"Ferries": [{"column_name": "DECK_COUNT", "column_description": "storeys"}]}}
    (folder / "small" / "databases" / "ferry.metadata.json").write_text(json.dumps(descriptions))
    questions = [
        {**row, "category": "count", "ordered": False, "gold_sql": [f"SELECT count(*) {row['gold']}"]}
        for row in QUESTIONS
    ]
    for name, rows in {"questions": questions, "unanswerable": UNANSWERABLE}.items():
        (folder / "small" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def run(data: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command, run from the root of the repository with a person's environment."""
    command = [sys.executable, "-m", "tests.quality.sql", "--data", data, "--part", "small", *arguments]
    told = {**os.environ, **environment}
    return subprocess.run(list(map(str, command)), cwd=REPOSITORY, env=told, capture_output=True, text=True)


def status_of(data: Path, folder: Path, *arguments: str) -> int:
    """The same within this process; the exit status."""
    fixed = ["--data", str(data), "--part", "small", "--out", str(folder / "p.jsonl")]
    try:
        return main([*fixed, *arguments])
    except SystemExit as left:
        return int(left.code or 0)


def predictions(path: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())}


def test_a_run_writes_predictions_tells_figures_and_ends_with_one_line_of_json(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "predictions.jsonl"

    # A key in the environment is no reason to ask a model.
    done = run(data, "--out", out, OPENAI_API_KEY="sk-of-a-person", DATABASE_URL="postgresql://elsewhere/db")

    assert done.returncode == 0, done.stderr
    told = predictions(out)
    assert set(told) == {"b1", "f1", "f2", "u1", "u2"}
    assert '"Back Office".oven' in told["b1"]["sql"]
    assert told["f2"] == {"id": "f2", "db": "ferry", "sql": None, "refused": True, "why": "QUESTION_INVALID"}
    assert told["u1"]["refused"] is True
    figures = json.loads(done.stdout.splitlines()[-1])
    assert (figures["exact_acc"], figures["subset_acc"]) == (0.5, 0.5)
    assert (figures["refused_a"], figures["refused_b"], figures["refused_c"]) == (1.0, None, 1.0)
    assert figures["p50_ms"] > 0
    assert figures["statuses"] == {"missing": 1, "ok": 2, "refused": 1}
    assert (figures["missing_databases"], figures["commented_columns"], figures["failed_calls"]) == (1, 1, 0)
    assert "database bakery" in done.stdout
    assert "not_there.sql" in done.stderr


async def test_a_recorded_run_is_replayed_to_the_same_predictions_without_the_model(
    data: Path, tmp_path: Path, openai_server: OpenAiServer
) -> None:
    traffic = tmp_path / "traffic.jsonl"
    (data / "small" / "databases" / "bakery.sql").unlink()
    openai_server.answer_by(_write_query)
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    key, url = openai_server.api_key, openai_server.base_url
    model = {"generator": "model", "metadata": False}

    recorded = await evaluate(Options(data, "small", first, record=traffic, key=key, base_url=url, **model))  # type: ignore[arg-type]
    asked = len(openai_server.asked("/chat/completions"))
    replayed = await evaluate(Options(data, "small", second, replay=traffic, **model))  # type: ignore[arg-type]

    assert len(openai_server.asked("/chat/completions")) == asked
    told = predictions(first)
    assert told["f1"]["sql"] == "SELECT COUNT(*) AS n FROM public.ferries LIMIT 1001"
    assert told["u1"]["refused"] is True
    assert second.read_text() == first.read_text()
    assert (recorded.further["model_failures"], replayed.further["prompts_not_recorded"]) == (0, 0)
    # A question that is too long for the service never becomes a prompt.
    assert recorded.further["prompt_table_coverage"] == replayed.further["prompt_table_coverage"] == 0.5
    assert key not in traffic.read_text()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--part", "other"], "parts of it: small"),
        (["--limit", "0"], "no number of questions"),
        (["--record", "r.jsonl"], "--record and --replay go with --generator model"),
        (["--generator", "model"], "set OPENAI_API_KEY"),
        (["--generator", "model", "--replay", "nowhere.jsonl"], "--replay nowhere.jsonl: cannot be read"),
        (["--out", "/proc/none/p.jsonl"], "--out /proc/none/p.jsonl: cannot be written"),
    ],
)
def test_bad_arguments_end_with_status_2_and_one_clear_line(
    data: Path,
    tmp_path: Path,
    arguments: list[str],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    assert status_of(data, tmp_path, *arguments) == 2

    assert complaint in capsys.readouterr().err.splitlines()[-1]


def test_a_record_that_holds_replies_is_not_written_over(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-a-person")
    record = tmp_path / "traffic.jsonl"
    record.write_text('{"key": "k", "reply": {}}\n')

    assert status_of(data, tmp_path, "--generator", "model", "--record", str(record)) == 2

    assert record.read_text() == '{"key": "k", "reply": {}}\n'


def test_a_service_that_cannot_start_ends_with_status_1_and_the_end_of_its_log(data: Path, tmp_path: Path) -> None:
    done = run(data, "--out", tmp_path / "p.jsonl", DIGLOT_CALL_TIMEOUT_SECONDS="soon")

    assert done.returncode == 1
    assert "the rag service failed" in done.stderr
    assert "DIGLOT_CALL_TIMEOUT_SECONDS" in done.stderr


@pytest.fixture(scope="module")
def postgres() -> Iterator[ScratchPostgres]:
    """One server for several tests."""
    with scratch_postgres() as server:
        yield server


def test_a_dump_that_cannot_be_loaded_is_told_with_its_line(postgres: ScratchPostgres, tmp_path: Path) -> None:
    dump = tmp_path / "broken.sql"
    dump.write_text("CREATE TABLE a (b int);\nCREATE TABEL c (d int);\n")

    with pytest.raises(Exception, match=r"broken\.sql: cannot be loaded: line 2: ERROR:  syntax error"):
        postgres.load("broken", dump)
    with pytest.raises(Exception, match="which the server needs itself"):
        postgres.load("template1", dump)


def test_the_reader_reads_every_schema_and_writes_nothing(postgres: ScratchPostgres, tmp_path: Path) -> None:
    dump = tmp_path / "bakery.sql"
    dump.write_text(BAKERY, encoding="utf-8")
    postgres.load("bakery", dump)

    assert _verdict(postgres, 'SELECT count(*) FROM "Back Office".oven') == Verdict(True, True, "ok")
    for attack in ("SET transaction_read_only = off; CREATE TABLE public.t (a int)", "SELECT lo_create(7)"):
        assert _verdict(postgres, attack).status in {"exec_error", "wrong"}
    assert _verdict(postgres, 'SELECT 3 FROM "Back Office".oven HAVING count(*) = 3') == Verdict(True, True, "ok")


def test_predictions_are_missing_wrong_or_failing(postgres: ScratchPostgres, tmp_path: Path) -> None:
    dump = tmp_path / "ferry.sql"
    dump.write_text(FERRY)
    postgres.load("ferry", dump)
    gold = "SELECT name, deck_count FROM ferries ORDER BY deck_count"

    verdicts = {
        told: _verdict(postgres, told, gold=gold, db="ferry")
        for told in (gold, f"{gold} DESC", "SELECT * FROM ferries ORDER BY 3", "SELECT 1", "SELECT 1/0", "")
    }

    assert [verdict.status for verdict in verdicts.values()] == [
        "ok",
        "wrong",
        "ok",
        "wrong",
        "exec_error",
        "exec_error",
    ]
    assert [verdict.exact for verdict in verdicts.values()] == [True, False, False, False, False, False]
    assert _verdict(postgres, None, gold=gold, db="ferry").status == "missing"
    assert _verdict(postgres, gold, gold="SELECT nothing", db="ferry").status == "gold_failed"


def _verdict(
    postgres: ScratchPostgres,
    told: str | None,
    *,
    gold: str = 'SELECT count(*) FROM "Back Office".oven',
    db: str = "bakery",
) -> Verdict:
    question = Question("q", db, "?", "c", (gold,), ordered=True)
    return score(postgres, [question], {} if told is None else {"q": told})["q"]


def _write_query(request: dict[str, Any]) -> Mapping[str, Any]:
    """A model that knows one query, and that it does not know any other."""
    sql = (
        "SELECT count(*) AS n FROM public.ferries" if "How many ferries" in request["messages"][-1]["content"] else None
    )
    return {"sql": sql, "explanation": "Counts.", "refusal": None if sql else "Unknown.", "confidence": 0.9}
