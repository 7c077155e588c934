"""Settings of rag: read from the environment, refused by name."""

import pytest

from services.rag.settings import RagSettings
from services.transport.errors import SettingsRefused
from services.transport.settings import read_settings

KEY = "k" * 40


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGLOT_INTERNAL_KEY", KEY)
    for name in ("DIGLOT_STORE_URL", "RAG_LISTEN", "RAG_MIN_CERTAINTY"):
        monkeypatch.delenv(name, raising=False)


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGLOT_STORE_URL", "postgresql://diglot@host/store")
    monkeypatch.setenv("RAG_LISTEN", "unix:/tmp/rag.sock")
    monkeypatch.setenv("RAG_MIN_CERTAINTY", "0.7")

    settings = RagSettings()

    assert settings.store_url.get_secret_value() == "postgresql://diglot@host/store"
    assert (settings.listen, settings.min_certainty) == ("unix:/tmp/rag.sock", 0.7)


@pytest.mark.parametrize("address", [None, "", "mysql://host/store", "host:5432"])
def test_a_store_that_is_no_postgresql_address_is_refused_with_an_example(
    address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if address is not None:
        monkeypatch.setenv("DIGLOT_STORE_URL", address)

    with pytest.raises(SettingsRefused, match=r"^DIGLOT_STORE_URL: .*DIGLOT_STORE_URL=postgresql://"):
        read_settings(RagSettings)


def test_a_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGLOT_STORE_URL", "postgres:diglot:hunter2@host")

    with pytest.raises(SettingsRefused) as caught:
        read_settings(RagSettings)

    assert "hunter2" not in str(caught.value)


def test_a_certainty_outside_its_bounds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGLOT_STORE_URL", "postgresql://diglot@host/store")
    monkeypatch.setenv("RAG_MIN_CERTAINTY", "1.5")

    with pytest.raises(SettingsRefused, match=r"^RAG_MIN_CERTAINTY: "):
        read_settings(RagSettings)
