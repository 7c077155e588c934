"""What killed processes leave in the folder for temporary files."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from services.ingest.adapters.temporary_folders import make_folder, sweep_left_behind


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def made_by(pid: int, folder: Path) -> Path:
    made = folder / f"diglot-fetched-{pid}-abc"
    made.mkdir()
    (made / "original.pdf").write_bytes(b"left")
    return made


def test_what_a_process_that_is_gone_left_is_removed(folder: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = [made_by(gone.pid, folder), made_by(os.getpid(), folder)]  # a container's numbers start anew

    assert sweep_left_behind() == 2
    assert not any(path.exists() for path in left)


def test_what_is_in_use_another_s_or_no_folder_of_ours_stays(folder: Path) -> None:
    living = made_by(os.getppid(), folder)
    others = [folder / name for name in ("diglot-1-abc", "diglot-fetched-x-abc", "diglot-fetched-")]
    for path in others:
        path.mkdir()
    (folder / f"diglot-fetched-{os.getpid()}-file").write_text("no folder")
    (folder / f"diglot-fetched-{os.getpid()}-link").symlink_to(living)

    assert sweep_left_behind() == 0
    assert (living / "original.pdf").exists()
    assert all(path.exists() for path in others)


def test_a_number_taken_by_another_process_does_not_save_it_for_ever(folder: Path) -> None:
    left = made_by(os.getppid(), folder)
    os.utime(left, (time.time() - 2 * 86_400,) * 2)

    assert sweep_left_behind() == 1


def test_a_new_folder_is_this_process_s_own(folder: Path) -> None:
    made = make_folder()

    assert sweep_left_behind() == 0
    assert made.parent == folder
    assert made.name.startswith(f"diglot-fetched-{os.getpid()}-")
    assert made.stat().st_mode & 0o077 == 0


def test_a_missing_folder_for_temporary_files_is_no_reason_not_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))

    assert sweep_left_behind() == 0
