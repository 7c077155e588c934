"""The data folder: one holder, secrets made once, steps taken once, logs that stay small."""

from pathlib import Path

import pytest

from deploy.local.data_folder import DoneOnce, generated_secrets, held
from deploy.local.errors import DataFolderInUse, LocalError
from deploy.local.logs import LogFolder, advice_in
from deploy.local.running import Advice


def test_a_held_folder_is_refused_to_a_second_run_which_learns_who_holds_it(tmp_path: Path) -> None:
    holder = r"process \d+, http://127\.0\.0\.1:8000"
    with held(tmp_path, "http://127.0.0.1:8000"), pytest.raises(DataFolderInUse, match=holder), held(tmp_path, "other"):
        pass

    with held(tmp_path, "http://127.0.0.1:8001"):
        pass


def test_a_folder_that_cannot_be_made_is_refused_by_the_settings_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(LocalError, match="DIGLOT_DATA_DIR"), held(tmp_path / "file" / "data", "url"):
        pass


def test_secrets_are_made_once_and_are_their_owners_alone(tmp_path: Path) -> None:
    made = generated_secrets(tmp_path)

    assert generated_secrets(tmp_path) == made
    assert len(set(made.values())) == len(made)
    assert all(len(secret) >= 32 for secret in made.values())
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_what_is_done_is_remembered(tmp_path: Path) -> None:
    DoneOnce(tmp_path / "done.json").add("first")

    again = DoneOnce(tmp_path / "done.json")

    assert "first" in again
    assert "second" not in again


def test_a_log_that_grew_is_moved_aside_while_its_writer_goes_on(tmp_path: Path) -> None:
    logs = LogFolder(tmp_path, max_bytes=10)
    with logs.path("rag").open("ab", buffering=0) as writer:
        writer.write(b"a long first line\n")
        logs.rotate(["rag", "never-started"])
        writer.write(b"second\n")
        logs.rotate(["rag"])

    assert logs.path("rag").read_bytes() == b"second\n"
    assert (tmp_path / "rag.log.1").read_bytes() == b"a long first line\n"
    assert logs.said_since("rag", 0) == ["second"]
    assert logs.said_since("never-started", 0) == []


def test_advice_is_told_once_whatever_else_a_log_holds() -> None:
    lines = [
        '{"advice": "DATABASE_URL: mend it"}',
        "no json",
        '{"advice": 1}',
        "[]",
        '{"advice": "DATABASE_URL: mend it"}',
    ]

    assert advice_in(lines) == ["DATABASE_URL: mend it"]


def test_advice_that_comes_later_is_told_too_and_none_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs = LogFolder(tmp_path)
    path = logs.path("sql")
    path.write_text('{"advice": "of a start before"}\n')
    advice = Advice(logs, ["sql"])
    with path.open("a") as file:
        file.write('{"advice": "mend it"}\n')
    advice.tell()
    with path.open("a") as file:
        file.write('{"advice": "mend it"}\n{"advice": "and this"}\n')
    advice.tell()
    advice.tell()

    assert capsys.readouterr().out.splitlines() == ["diglot: sql: mend it", "diglot: sql: and this"]
