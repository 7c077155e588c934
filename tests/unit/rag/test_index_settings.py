"""Settings of rag's index and caches: read from the environment, refused by name."""

import os

import pytest

from services.rag.regions import read_region
from services.rag.settings import RagSettings
from services.transport.errors import SettingsRefused
from services.transport.settings import read_settings

STORE = {"DIGLOT_STORE_URL": "postgresql://diglot@host/store"}
PINECONE = {"PINECONE_API_KEY": "pcsk_one"}
_READ = ("RAG_", "OPENAI_", "PINECONE_", "REDIS_", "UPSTASH_", "CACHE_", "DIGLOT_")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(_READ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DIGLOT_INTERNAL_KEY", "k" * 40)


def read_with(monkeypatch: pytest.MonkeyPatch, **environment: str) -> RagSettings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return read_settings(RagSettings)


@pytest.mark.parametrize(
    ("environment", "chosen"),
    [
        (STORE, "pgvector"),
        (STORE | {"PINECONE_API_KEY": " "}, "pgvector"),
        (PINECONE, "pinecone"),
        (PINECONE | {"RAG_CHUNK_INDEX": ""}, "pinecone"),
        (PINECONE | {"DIGLOT_STORE_URL": "dynamodb://diglot"}, "pinecone"),
        (PINECONE | STORE | {"RAG_CHUNK_INDEX": "pgvector"}, "pgvector"),
    ],
)
def test_the_index_follows_from_the_key_unless_it_is_named(
    environment: dict[str, str], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_with(monkeypatch, **environment).chosen_chunk_index == chosen


def test_pinecone_without_its_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsRefused, match=r"^PINECONE_API_KEY: is not set.*PINECONE_API_KEY=pcsk_"):
        read_with(monkeypatch, **STORE, RAG_CHUNK_INDEX="pinecone")


def test_pgvector_without_its_store_is_refused_though_there_is_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsRefused, match=r"^DIGLOT_STORE_URL: is not set .*DIGLOT_STORE_URL=postgresql://"):
        read_with(monkeypatch, **PINECONE, RAG_CHUNK_INDEX="pgvector")


def test_variables_that_are_empty_leave_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("PINECONE_INDEX_NAME", "PINECONE_ENVIRONMENT", "PINECONE_METRIC", "PINECONE_CONTROLLER_HOST")

    settings = read_with(monkeypatch, **PINECONE, **dict.fromkeys(names, " "))

    assert (settings.pinecone_index_name, settings.pinecone_environment) == ("rag-documents", "")
    assert (settings.pinecone_metric, settings.pinecone_host) == ("cosine", "https://api.pinecone.io")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PINECONE_INDEX_NAME", "Rag_Documents"),
        ("PINECONE_INDEX_NAME", "x" * 46),
        ("PINECONE_ENVIRONMENT", "somewhere"),
        ("PINECONE_ENVIRONMENT", "gcp-starter"),
        ("PINECONE_METRIC", "euclidean"),
        ("PINECONE_CONTROLLER_HOST", "api.pinecone.io"),
        ("PINECONE_CONTROLLER_HOST", "https://user:hunter2@host"),
        ("PINECONE_API_KEY", "pcsk two"),
        ("OPENAI_BASE_URL", "https://user:hunter2@host/v1"),
        ("RAG_EMBEDDING_MODEL", " "),
        ("RAG_ANSWER_MODEL", " "),
        ("RAG_PINECONE_WAIT_SECONDS", "0"),
        ("RAG_CHUNK_INDEX", "weaviate"),
        ("REDIS_URL", "http://host:6379"),
        ("REDIS_URL", "redis://:hunter2@"),
        ("REDIS_URL", "redis://:hunter2@host:99999"),
        ("REDIS_URL", "redis://:hunter2@host:port"),
        ("REDIS_URL", "redis://:hunter2@host/first"),
        ("REDIS_URL", "redis://[::1"),
        ("REDIS_URL", "rediss://:hunter2@host?socket_timeout=soon"),
        ("REDIS_URL", "redis://:hunter2@host?ssl_cert_reqs=none"),
        ("UPSTASH_REDIS_URL", "https://"),
        ("UPSTASH_REDIS_TOKEN", "hunter2 hunter2"),
        ("UPSTASH_REDIS_URL", "host.upstash.io"),
        ("CACHE_TTL_EMBEDDINGS", "-1"),
        ("CACHE_TTL_RAG", "1h"),
        ("CACHE_TTL_SQL_GEN", "1e99"),
        ("CACHE_TTL_SQL_RESULT", "2592001"),
        ("CACHE_MEMORY_BYTES", "32M"),
    ],
)
def test_a_malformed_setting_is_refused_by_name_with_an_example(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsRefused, match=rf"^{variable}: .*\(for example {variable}=.+\)") as caught:
        read_with(monkeypatch, **(STORE | PINECONE | {variable: value}))

    assert "pcsk" not in str(caught.value).partition("(")[0]


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"UPSTASH_REDIS_URL": "https://name.upstash.io"}, "UPSTASH_REDIS_TOKEN"),
        ({"UPSTASH_REDIS_TOKEN": "hunter2", "UPSTASH_REDIS_URL": ""}, "UPSTASH_REDIS_URL"),
    ],
)
def test_half_an_upstash_is_refused_and_the_other_half_named(
    given: dict[str, str], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsRefused, match=rf"^{missing}: is not set.*{missing}=") as caught:
        read_with(monkeypatch, **STORE, **given)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, "memory"),
        ({"REDIS_URL": " "}, "memory"),
        ({"REDIS_URL": "rediss://:hunter2@host:6379/0"}, "redis"),
        ({"UPSTASH_REDIS_URL": "https://name.upstash.io/", "UPSTASH_REDIS_TOKEN": "hunter2"}, "upstash"),
        (
            {
                "REDIS_URL": "redis://host",
                "UPSTASH_REDIS_URL": "https://name.upstash.io",
                "UPSTASH_REDIS_TOKEN": "hunter2",
            },
            "redis",
        ),
    ],
)
def test_the_cache_follows_from_the_addresses_that_are_there(
    given: dict[str, str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_with(monkeypatch, **STORE, **given)

    assert settings.cache_kind == kind
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ("us-east-1", ("aws", "us-east-1")),
        ("us-east-1-aws", ("aws", "us-east-1")),
        ("us-central1", ("gcp", "us-central1")),
        ("us-west4-gcp-free", ("gcp", "us-west4")),
        ("asia-southeast1-gcp", ("gcp", "asia-southeast1")),
        ("eastus2-azure", ("azure", "eastus2")),
    ],
)
def test_regions_are_read_from_names_new_and_old(environment: str, place: tuple[str, str]) -> None:
    assert read_region(environment) == place
