"""Settings name the variable at fault and give an example, and keep passwords out of it."""

import pytest

from services.sql.answering import AutoApprovePolicy
from services.sql.settings import SqlSettings
from services.transport.errors import SettingsRefused
from services.transport.settings import read_settings

TARGET = "postgresql://reader:target-secret@db:5432/shop"
STORE = "postgresql://diglot:store-secret@db:5432/diglot_store"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENVIRONMENT", "SQL_AUTO_APPROVE", "SQL_LISTEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DIGLOT_INTERNAL_KEY", "k" * 32)
    monkeypatch.setenv("DATABASE_URL", TARGET)
    monkeypatch.setenv("DIGLOT_STORE_URL", STORE)


def test_shared_names_are_read_and_policy_is_never_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SqlSettings()

    assert settings.database_url.get_secret_value() == TARGET
    assert settings.store_url.get_secret_value() == STORE
    assert settings.auto_approve is AutoApprovePolicy.NEVER
    assert not settings.is_production
    monkeypatch.setenv("SQL_AUTO_APPROVE", "allowed")
    monkeypatch.setenv("ENVIRONMENT", "production")
    assert SqlSettings().auto_approve is AutoApprovePolicy.ALLOWED
    assert SqlSettings().is_production


@pytest.mark.parametrize("name", ["DATABASE_URL", "DIGLOT_STORE_URL"])
@pytest.mark.parametrize("value", [None, "", "  ", "mysql://root:target-secret@db/shop"])
def test_a_missing_or_foreign_address_refuses_the_start_with_an_example(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsRefused) as caught:
        read_settings(SqlSettings)

    assert f"{name}=postgresql://" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_passwords_do_not_show() -> None:
    assert "secret" not in repr(SqlSettings())
