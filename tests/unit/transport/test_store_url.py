from __future__ import annotations

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from services.transport.addresses import StoreUrl, check_store_url, table_prefix_of
from services.transport.errors import AddressInvalid, SettingsRefused
from services.transport.settings import TransportSettings, read_settings


class _Settings(BaseSettings):
    transport: TransportSettings
    store_url: StoreUrl = Field(validation_alias="DIGLOT_STORE_URL")


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("dynamodb://diglot", "diglot"),
        ("dynamodb://my_Team.diglot-2", "my_Team.diglot-2"),
        ("dynamodb://" + "x" * 200, "x" * 200),
        (" dynamodb://diglot\n", "diglot"),
        ("postgresql://diglot:secret@host:5432/store", None),
        ("postgres://host/store", None),
    ],
)
def test_a_store_is_a_database_or_a_prefix_of_tables(url: str, prefix: str | None) -> None:
    assert table_prefix_of(check_store_url(SecretStr(url)).get_secret_value()) == prefix


@pytest.mark.parametrize(
    "url",
    [
        "dynamodb://",
        "dynamodb://ab",
        "dynamodb://" + "x" * 201,
        "dynamodb://a/b/c",
        "dynamodb://a b c",
        "dynamodb://döner",
        "dynamodb:diglot",
        "mysql://host/store",
        "diglot",
        "",
    ],
)
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(AddressInvalid):
        check_store_url(SecretStr(url))


def test_a_refused_store_is_told_by_its_variable_with_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGLOT_INTERNAL_KEY", "k" * 32)
    monkeypatch.setenv("DIGLOT_STORE_URL", "dynamodb://a/b")

    with pytest.raises(
        SettingsRefused, match=r"DIGLOT_STORE_URL: a table prefix .* DIGLOT_STORE_URL=dynamodb://diglot"
    ):
        read_settings(_Settings)


def test_a_refused_database_does_not_show_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGLOT_INTERNAL_KEY", "k" * 32)
    monkeypatch.setenv("DIGLOT_STORE_URL", "mysql://diglot:hunter2@host/store")

    with pytest.raises(SettingsRefused, match="is neither a PostgreSQL address nor dynamodb://TABLE_PREFIX") as caught:
        read_settings(_Settings)

    assert "hunter2" not in str(caught.value)
