"""Settings of rag: read from the environment, refused by name."""

import os

import pytest

from services.rag.settings import RagSettings
from services.transport.errors import SettingsRefused
from services.transport.settings import read_settings

KEY = "k" * 40


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGLOT_INTERNAL_KEY", KEY)
    for name in list(os.environ):
        if name.startswith(("RAG_", "OPENAI_", "PINECONE_")) or name == "DIGLOT_STORE_URL":
            monkeypatch.delenv(name)


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGLOT_STORE_URL", "postgresql://diglot@host/store")
    monkeypatch.setenv("RAG_LISTEN", "unix:/tmp/rag.sock")
    monkeypatch.setenv("RAG_MIN_CERTAINTY", "0.7")

    settings = RagSettings()

    assert settings.store_url is not None
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


def read_with(monkeypatch: pytest.MonkeyPatch, **environment: str) -> RagSettings:
    monkeypatch.setenv("DIGLOT_STORE_URL", "postgresql://diglot@host/store")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return read_settings(RagSettings)


@pytest.mark.parametrize(
    ("environment", "embedder", "writer"),
    [
        ({}, "minilm", "extractive"),
        ({"OPENAI_API_KEY": ""}, "minilm", "extractive"),
        ({"OPENAI_API_KEY": "sk-one"}, "openai", "openai"),
        ({"OPENAI_API_KEY": "sk-one", "RAG_EMBEDDER": "", "RAG_ANSWER_WRITER": " "}, "openai", "openai"),
        ({"OPENAI_API_KEY": "sk-one", "RAG_EMBEDDER": "minilm"}, "minilm", "openai"),
        ({"OPENAI_API_KEY": "sk-one", "RAG_ANSWER_WRITER": "extractive"}, "openai", "extractive"),
    ],
)
def test_parts_follow_from_the_keys_unless_they_are_named(
    environment: dict[str, str], embedder: str, writer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_with(monkeypatch, **environment)

    assert (settings.chosen_embedder, settings.chosen_answer_writer) == (embedder, writer)


@pytest.mark.parametrize("part", ["RAG_EMBEDDER", "RAG_ANSWER_WRITER"])
def test_a_part_that_needs_a_key_is_refused_without_one(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsRefused, match=rf"^OPENAI_API_KEY: .*{part}=openai.*OPENAI_API_KEY=sk-"):
        read_with(monkeypatch, **{part: "openai"})


@pytest.mark.parametrize("key", ["sk one", "sk-\x07", "sk-ключ"])
def test_a_key_that_no_header_takes_is_refused_and_not_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsRefused, match=r"^OPENAI_API_KEY: .*OPENAI_API_KEY=sk-\.\.\.") as caught:
        read_with(monkeypatch, OPENAI_API_KEY=key)

    assert key not in str(caught.value)


def test_a_key_stays_out_of_what_is_shown_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_with(monkeypatch, OPENAI_API_KEY=" sk-secret\n")

    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "sk-secret"
    assert "sk-secret" not in repr(settings)


@pytest.mark.parametrize("address", ["api.openai.com/v1", "ftp://host/v1", "http://", "https://host:port/v1"])
def test_an_address_of_models_that_is_none_is_refused_with_an_example(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsRefused, match=r"^OPENAI_BASE_URL: .*OPENAI_BASE_URL=https://api\.openai\.com/v1"):
        read_with(monkeypatch, OPENAI_API_KEY="sk-one", OPENAI_BASE_URL=address)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("RAG_EMBEDDER", "word2vec"), ("RAG_EMBEDDING_DIMENSIONS", "0"), ("RAG_ANSWER_TIMEOUT_SECONDS", "0")],
)
def test_malformed_settings_of_models_are_refused_by_name(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsRefused, match=rf"^{variable}: .*{variable}="):
        read_with(monkeypatch, **{variable: value})


def test_nothing_reranks_unless_an_address_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    blank = read_with(monkeypatch, RAG_RERANK_URL="", RAG_RERANK_API_KEY=" ", RAG_RERANK_MODEL="")
    settings = read_with(monkeypatch, RAG_RERANK_URL="https://api.cohere.com/v2/rerank", RAG_RERANK_API_KEY="co-one")

    assert (blank.rerank_url, blank.rerank_api_key) == (None, None)
    assert str(settings.rerank_url) == "https://api.cohere.com/v2/rerank"
    assert "co-one" not in repr(settings)


@pytest.mark.parametrize(
    ("variables", "variable"),
    [
        ({"RAG_RERANK_API_KEY": "co-one"}, "RAG_RERANK_URL"),
        ({"RAG_RERANK_MODEL": "rerank-v3.5"}, "RAG_RERANK_URL"),
        ({"RAG_RERANK_URL": "api.cohere.com/v2/rerank"}, "RAG_RERANK_URL"),
        ({"RAG_RERANK_URL": "https://host/rerank?key=co-one"}, "RAG_RERANK_URL"),
        ({"RAG_RERANK_CANDIDATES": "1"}, "RAG_RERANK_CANDIDATES"),
        ({"RAG_RERANK_WAIT_SECONDS": "0"}, "RAG_RERANK_WAIT_SECONDS"),
    ],
    ids=str,
)
def test_malformed_settings_of_a_reranker_are_refused_by_name(
    variables: dict[str, str], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsRefused, match=rf"^{variable}: .*{variable}="):
        read_with(monkeypatch, **variables)
