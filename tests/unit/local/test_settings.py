"""Settings of the local system: defaults that need nothing, and refusals that say what to write instead."""

import re
from pathlib import Path

import pytest

from deploy.local.errors import SettingsRefused
from deploy.local.settings import REPOSITORY, read_settings

NAMES = ("DIGLOT_HOST", "DIGLOT_PORT", "DIGLOT_DATA_DIR", "DIGLOT_SAMPLE", "DATABASE_URL")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_nothing_needs_to_be_set() -> None:
    settings = read_settings()

    assert settings.local_url == "http://127.0.0.1:8000"
    assert settings.data_dir == REPOSITORY / ".diglot"
    assert settings.sample
    assert settings.database_url is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DIGLOT_PORT", "eight"),
        ("DIGLOT_PORT", "0"),
        ("DIGLOT_PORT", "65536"),
        ("DIGLOT_HOST", ""),
        ("DIGLOT_SAMPLE", "perhaps"),
        ("DATABASE_URL", "mysql://user:topsecret@host/db"),
        ("DATABASE_URL", "host=db user=u password=topsecret"),
    ],
)
def test_a_malformed_value_is_refused_by_name_with_an_example(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsRefused, match=rf"^{name}: .*For example: {name}=") as caught:
        read_settings()

    assert caught.value.exit_code == 2
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "listen", "url"),
    [
        ("0.0.0.0", "0.0.0.0:8000", "http://127.0.0.1:8000"),
        ("::", "[::]:8000", "http://[::1]:8000"),
        ("localhost", "localhost:8000", "http://localhost:8000"),
    ],
)
def test_the_url_is_one_this_machine_can_dial(
    monkeypatch: pytest.MonkeyPatch, host: str, listen: str, url: str
) -> None:
    monkeypatch.setenv("DIGLOT_HOST", host)

    settings = read_settings()

    assert (settings.listen, settings.local_url) == (listen, url)


def test_a_relative_data_folder_is_meant_from_where_one_stands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIGLOT_DATA_DIR", "data")

    assert read_settings().data_dir == tmp_path / "data"


def test_an_empty_database_url_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")

    assert read_settings().database_url is None


def test_a_database_url_does_not_show_in_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:topsecret@db.example.com/sales")

    assert not re.search("topsecret", repr(read_settings()))
