"""What each process of the local system is told, and what it is not."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from deploy.local.plan import Addresses, plan
from deploy.local.run_folder import RunFolder
from deploy.local.settings import LocalSettings

ADDRESSES = Addresses(
    internal_key="k" * 48,
    target_url="postgresql://reader:target-password@db/shop",
    store_urls={name: f"postgresql://{name}:store-password@db/store" for name in ("rag", "sql", "ingest")},
)


def environments(**settings: object) -> dict[str, dict[str, str]]:
    folder = RunFolder(Path("/tmp/run/services"), Path("/tmp/run/postgres"))
    chosen = LocalSettings(data_dir=Path("/data")).model_copy(update=settings)
    return {process.name: dict(process.environment) for process in plan(chosen, folder, ADDRESSES)}


def test_the_questioned_database_is_known_to_sql_alone() -> None:
    knowing = [name for name, values in environments().items() if "target-password" in str(values)]

    assert knowing == ["sql"]


def test_the_store_is_known_to_its_three_owners_each_by_its_own_role() -> None:
    stores = {name: values.get("DIGLOT_STORE_URL") for name, values in environments().items()}

    assert stores == {**ADDRESSES.store_urls, "router": None, "gateway": None}


def test_the_environment_a_person_names_reaches_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")

    assert {values["ENVIRONMENT"] for values in environments().values()} == {"production"}


def test_everybody_is_told_the_key_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENVIRONMENT", raising=False)

    for values in environments().values():
        assert values["DIGLOT_INTERNAL_KEY"] == "k" * 48
        assert values["ENVIRONMENT"] == "local"


def test_callers_dial_where_their_callees_listen() -> None:
    told = environments()

    assert told["router"]["ROUTER_RAG_TARGET"] == told["rag"]["RAG_LISTEN"] == told["ingest"]["INGEST_RAG_TARGET"]
    assert told["sql"]["SQL_RAG_TARGET"] == told["rag"]["RAG_LISTEN"]
    assert told["gateway"]["GATEWAY_INGEST_TARGET"] == told["ingest"]["INGEST_LISTEN"]
    assert told["gateway"]["GATEWAY_LISTEN"] == "127.0.0.1:8000"


def test_only_the_sample_is_queried_without_a_persons_consent() -> None:
    another = SecretStr("postgresql://reader@db.example.com/sales")

    assert environments()["sql"]["SQL_AUTO_APPROVE"] == "allowed"
    assert environments(database_url=another)["sql"]["SQL_AUTO_APPROVE"] == "never"
    assert environments(sample=False)["sql"]["SQL_AUTO_APPROVE"] == "never"


def test_a_service_gets_its_own_settings_from_whoever_starts_it_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQL_AUTO_APPROVE", "never")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not yours")
    monkeypatch.setenv("SQL_LISTEN", "0.0.0.0:1")

    told = environments()

    assert told["sql"]["SQL_AUTO_APPROVE"] == "never"
    assert told["sql"]["SQL_LISTEN"] == "unix:/tmp/run/services/sql.sock"
    assert "SQL_AUTO_APPROVE" not in told["rag"]
    assert "not yours" not in str(told)


def knowing(value: str) -> list[str]:
    return [name for name, values in environments().items() if value in values.values()]


def test_a_key_reaches_who_uses_it_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-model")
    monkeypatch.setenv("PINECONE_API_KEY", "pc-vectors")
    monkeypatch.setenv("UPSTASH_REDIS_TOKEN", "upstash-token")
    monkeypatch.setenv("JWT_SECRET_KEY", "users' tokens")

    assert knowing("sk-model") == knowing("pc-vectors") == ["rag", "sql"]
    assert knowing("upstash-token") == ["rag"]
    assert knowing("users' tokens") == ["gateway"]


def test_credentials_of_aws_reach_who_stores_files_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-secret")

    assert knowing("aws-secret") == []
    monkeypatch.setenv("STORAGE_BACKEND", "s3")
    assert knowing("aws-secret") == ["ingest"]


def test_credentials_of_aws_reach_who_listens_to_a_queue_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-secret")
    monkeypatch.setenv("INGEST_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/diglot-ingest")

    assert knowing("aws-secret") == ["ingest"]


@pytest.mark.parametrize("name", ["DOCLING_ARTIFACTS_PATH", "DOCLING_ALLOW_DOWNLOAD", "INGEST_OCR_ENGINE"])
def test_who_helps_to_read_reaches_ingest(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "/opt/docling")

    assert knowing("/opt/docling") == ["ingest"]


def test_credentials_of_aws_reach_who_has_a_secret_to_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-secret")
    monkeypatch.setenv("JWT_SECRET_KEY", "secretsmanager:diglot#jwt")

    assert knowing("aws-secret") == ["gateway"]
