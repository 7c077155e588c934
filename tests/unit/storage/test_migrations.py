"""Which migrations are read, and which of them are still to apply."""

from pathlib import Path

import pytest

from services.storage.errors import MigrationRefused
from services.storage.migrations import outstanding, read_migrations


def folder_of_two(folder: Path) -> Path:
    (folder / "0002_second.sql").write_text("SELECT 2;")
    (folder / "0001_first.sql").write_text("SELECT 1;")
    return folder


def test_migrations_come_lowest_number_first(tmp_path: Path) -> None:
    assert [step.version for step in read_migrations(folder_of_two(tmp_path))] == [1, 2]


def test_only_what_is_not_applied_is_outstanding(tmp_path: Path) -> None:
    first, second = read_migrations(folder_of_two(tmp_path))

    assert outstanding([first, second], {1: first.checksum}) == [second]


def test_a_version_only_the_database_knows_is_left_alone(tmp_path: Path) -> None:
    first, second = read_migrations(folder_of_two(tmp_path))

    assert outstanding([first, second], {1: first.checksum, 2: second.checksum, 3: "of a newer release"}) == []


def test_a_change_after_application_is_refused(tmp_path: Path) -> None:
    steps = read_migrations(folder_of_two(tmp_path))

    with pytest.raises(MigrationRefused, match="0001_first"):
        outstanding(steps, {1: "something else"})


def test_line_ends_do_not_make_a_migration_another_one(tmp_path: Path) -> None:
    (tmp_path / "0001_first.sql").write_bytes(b"SELECT 1;\nSELECT 2;\n")
    before = read_migrations(tmp_path)
    (tmp_path / "0001_first.sql").write_bytes(b"SELECT 1;\r\nSELECT 2;\r\n")

    assert read_migrations(tmp_path)[0].checksum == before[0].checksum


@pytest.mark.parametrize("name", ["1_first.sql", "0001-first.sql", "0001_First.sql", "first.sql"])
def test_a_misnamed_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("SELECT 1;")

    with pytest.raises(MigrationRefused, match="is not named like"):
        read_migrations(tmp_path)


def test_a_number_used_twice_is_refused(tmp_path: Path) -> None:
    folder_of_two(tmp_path)
    (tmp_path / "0001_rival.sql").write_text("SELECT 1;")

    with pytest.raises(MigrationRefused, match="same number"):
        read_migrations(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MigrationRefused, match="no migrations"):
        read_migrations(tmp_path / "missing")
