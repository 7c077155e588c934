"""Settings name the variable at fault and give an example, and keep passwords out of it."""

import pytest

from services.sql.answering import AutoApprovePolicy
from services.sql.settings import SqlSettings
from services.sql.visibility import Visibility
from services.sql.wiring_generator import model_client
from services.transport.errors import SettingsRefused
from services.transport.settings import read_settings

TARGET = "postgresql://reader:target-secret@db:5432/shop"
KEYS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "PINECONE_API_KEY", "PINECONE_CONTROLLER_HOST", "VANNA_PINECONE_INDEX")
STORE = "postgresql://diglot:store-secret@db:5432/diglot_store"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "ENVIRONMENT",
        "SQL_AUTO_APPROVE",
        "SQL_AUTO_APPROVE_COST",
        "SQL_LISTEN",
        "SQL_GENERATOR",
        "SQL_RAG_TARGET",
        *KEYS,
    ):
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


def test_a_policy_may_go_by_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQL_AUTO_APPROVE", "cost_below")
    assert (SqlSettings().auto_approve, SqlSettings().auto_approve_cost) == (AutoApprovePolicy.COST_BELOW, 10_000)
    monkeypatch.setenv("SQL_AUTO_APPROVE_COST", "250.5")
    assert SqlSettings().auto_approve_cost == 250.5
    monkeypatch.setenv("SQL_AUTO_APPROVE", " ")
    monkeypatch.setenv("SQL_AUTO_APPROVE_COST", "")
    assert (SqlSettings().auto_approve, SqlSettings().auto_approve_cost) == (AutoApprovePolicy.NEVER, 10_000)


@pytest.mark.parametrize(
    ("name", "value", "example"),
    [
        ("SQL_AUTO_APPROVE", "always", "never"),
        ("SQL_AUTO_APPROVE", "cost_below=5", "never"),
        *(("SQL_AUTO_APPROVE_COST", value, "10000") for value in ("cheap", "0", "-1", "inf", "nan", "1,000")),
    ],
)
def test_a_malformed_policy_refuses_the_start_with_an_example(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, example: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsRefused) as caught:
        read_settings(SqlSettings)

    assert f"{name}={example}" in str(caught.value)


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


def test_a_models_key_chooses_vanna_and_without_one_queries_are_grounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SqlSettings().chosen_generator == "grounded"
    monkeypatch.setenv("OPENAI_API_KEY", " ")
    assert SqlSettings().chosen_generator == "grounded"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert SqlSettings().chosen_generator == "vanna"
    assert "secret" not in repr(SqlSettings())
    monkeypatch.setenv("SQL_GENERATOR", "grounded")
    assert SqlSettings().chosen_generator == "grounded"


def test_documents_are_read_where_there_is_a_rag_service_unless_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not SqlSettings().reads_documents
    monkeypatch.setenv("SQL_RAG_TARGET", "lambda:diglot-rag")
    assert SqlSettings().reads_documents
    monkeypatch.setenv("SQL_DOCUMENT_TERMS", "off")
    assert not SqlSettings().reads_documents


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SQL_GENERATOR", "vanna", "SQL_GENERATOR=vanna needs OPENAI_API_KEY, for example OPENAI_API_KEY=sk-"),
        ("SQL_GENERATOR", "magic", "^SQL_GENERATOR: .*SQL_GENERATOR=grounded"),
        ("OPENAI_BASE_URL", "api.openai.com", "^OPENAI_BASE_URL: .*OPENAI_BASE_URL=https://api.openai.com/v1"),
        ("VANNA_PINECONE_INDEX", "No Such Index!", "^VANNA_PINECONE_INDEX: .*VANNA_PINECONE_INDEX=vanna-sql-training"),
        ("OPENAI_BASE_URL", "https://user:pass@host/v1", "^OPENAI_BASE_URL: .*OPENAI_BASE_URL=https://api.openai.com"),
        ("PINECONE_CONTROLLER_HOST", "https://user:pass@host", "^PINECONE_CONTROLLER_HOST: .*=https://api.pinecone.io"),
        ("OPENAI_API_KEY", "sk-one sk-two", "^OPENAI_API_KEY: .*OPENAI_API_KEY=sk-"),
        ("PINECONE_API_KEY", "pcsk_one\npcsk_two", "^PINECONE_API_KEY: .*PINECONE_API_KEY=pcsk_"),
        ("SQL_APPROVAL_SECONDS", "inf", "^SQL_APPROVAL_SECONDS: .*SQL_APPROVAL_SECONDS=3600"),
        ("SQL_MODEL", " ", "^SQL_MODEL: .*SQL_MODEL=gpt-4o-mini"),
        ("SQL_RAG_TARGET", "not a target", "^SQL_RAG_TARGET: .*SQL_RAG_TARGET=dns:///rag:50051"),
    ],
)
def test_a_malformed_part_is_refused_with_its_name_and_an_example(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsRefused, match=message):
        read_settings(SqlSettings)


def test_blanks_around_a_value_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", " production\n")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret\n")
    monkeypatch.setenv("VANNA_PINECONE_INDEX", " ")

    settings = SqlSettings()

    assert settings.is_production
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "sk-secret"
    assert settings.training_index == "vanna-sql-training"


def test_an_empty_address_of_the_model_means_its_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", "")

    with model_client(SqlSettings()) as client:
        assert str(client.base_url) == "https://api.openai.com/v1/"


def test_tables_and_hidden_columns_are_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SqlSettings().visibility == Visibility()
    monkeypatch.setenv("SQL_TABLES", "")
    monkeypatch.setenv("SQL_HIDDEN_COLUMNS", " ")
    assert SqlSettings().visibility == Visibility()
    monkeypatch.setenv("SQL_TABLES", "public.*, sales.orders")
    monkeypatch.setenv("SQL_HIDDEN_COLUMNS", "*.password_hash")
    assert SqlSettings().visibility == Visibility(("public.*", "sales.orders"), ("*.password_hash",))


@pytest.mark.parametrize(
    ("name", "value", "example"),
    [("SQL_TABLES", "shop.public.orders", "public.*"), ("SQL_HIDDEN_COLUMNS", "users..ssn", "*.password_hash")],
)
def test_a_pattern_that_cannot_be_read_names_its_variable(
    name: str, value: str, example: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsRefused) as caught:
        read_settings(SqlSettings)

    assert name in str(caught.value)
    assert example in str(caught.value)
