"""Settings of a process: read from the environment, and refused by the names of the variables."""

from __future__ import annotations

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.transport.addresses import PostgresUrl, Target
from services.transport.errors import SettingsRefused
from services.transport.settings import TransportSettings, read_settings, settings_or_exit

KEY = "k" * 32


class EchoSettings(BaseSettings):
    """Settings of a service that exists in tests alone."""

    model_config = SettingsConfigDict(env_prefix="ECHO_", frozen=True)

    transport: TransportSettings = Field(default_factory=TransportSettings)
    peer_target: Target
    store_url: PostgresUrl = Field(validation_alias="DIGLOT_STORE_URL")
    repeats: int = Field(default=3, ge=1)
    background_work: bool = True


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ECHO_REPEATS", raising=False)
    monkeypatch.setenv("DIGLOT_INTERNAL_KEY", KEY)
    monkeypatch.setenv("ECHO_PEER_TARGET", "dns:///peer:50051")
    monkeypatch.setenv("DIGLOT_STORE_URL", " postgresql://echo:hunter2@db/store ")


def test_settings_are_read_with_those_that_all_processes_share() -> None:
    settings = read_settings(EchoSettings, background_work=False)

    assert settings.transport.internal_key.get_secret_value() == KEY
    assert settings.store_url.get_secret_value() == "postgresql://echo:hunter2@db/store"
    assert settings.repeats == 3
    assert not settings.background_work


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("DIGLOT_INTERNAL_KEY", None, "is not set (for example DIGLOT_INTERNAL_KEY=$(openssl rand -hex 32))"),
        ("DIGLOT_INTERNAL_KEY", "hunter2", "has fewer than 32 characters (for example DIGLOT_INTERNAL_KEY=$("),
        ("DIGLOT_CLAIM_CHECK_TTL_SECONDS", "0", "Input should be greater than 0 (for example DIGLOT_CLAIM_CHECK_TTL"),
        ("DIGLOT_CLAIM_CHECK_BUCKET", "No_Bucket", "String should match pattern"),
        ("DIGLOT_METRICS", "statsd", "Input should be 'none' or 'emf' (for example DIGLOT_METRICS=none)"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "is no http or https address without user, query and frag"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:hunter2@c", "is no http or https address without user, query and f"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "Input should be 'http/protobuf' (for example OTEL_EXPORTER_OTLP_PROT"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2", "is no list of name=value, parted by commas (for example OTEL_EXPOR"),
        (
            "OPIK_URL_OVERRIDE",
            "opik",
            "is no http or https address without user, query and fragment (for example OPIK_U",
        ),
        ("OPIK_API_KEY", "hunter2\n", "holds characters that no header of HTTP carries (for example OPIK_API_KEY="),
        ("OPIK_WORKSPACE", "株", "holds characters that no header of HTTP carries (for example OPIK_WORKSPACE=def"),
        ("ECHO_PEER_TARGET", None, "is not set (for example ECHO_PEER_TARGET=dns:///host:50051)"),
        ("ECHO_PEER_TARGET", "nowhere", "'nowhere' is no target; use "),
        ("ECHO_REPEATS", "0", "Input should be greater than or equal to 1 (for example ECHO_REPEATS=3)"),
        ("DIGLOT_STORE_URL", None, "is not set (for example DIGLOT_STORE_URL=postgresql://"),
        ("DIGLOT_STORE_URL", "", "is not set (for example DIGLOT_STORE_URL=postgresql://"),
        ("DIGLOT_STORE_URL", "mysql://hunter2@db", "is no PostgreSQL address (for example DIGLOT_STORE_URL=postgres"),
    ],
)
def test_a_refused_variable_is_named_with_an_example_and_without_its_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None, told: str
) -> None:
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsRefused) as caught:
        read_settings(EchoSettings)

    assert str(caught.value).startswith(f"{variable}: {told}")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None  # a traceback would print the values that pydantic quotes


def test_a_folder_and_a_bucket_for_large_bodies_exclude_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGLOT_CLAIM_CHECK_DIR", "/tmp/claims")
    monkeypatch.setenv("DIGLOT_CLAIM_CHECK_BUCKET", "rag-cache-123456789012-us-east-1")

    with pytest.raises(SettingsRefused, match="DIGLOT_CLAIM_CHECK_DIR and DIGLOT_CLAIM_CHECK_BUCKET are both set"):
        read_settings(EchoSettings)


def test_a_variable_handed_on_empty_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    optional = (
        "DIGLOT_CLAIM_CHECK_DIR",
        "DIGLOT_CLAIM_CHECK_BUCKET",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OPIK_API_KEY",
        "OPIK_WORKSPACE",
        "OPIK_PROJECT_NAME",
        "OPIK_URL_OVERRIDE",
    )
    for variable in optional:
        monkeypatch.setenv(variable, "")

    assert read_settings(EchoSettings).transport == TransportSettings.model_construct(internal_key=SecretStr(KEY))


def test_a_server_process_ends_with_one_line_that_tells_all_faults_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("DIGLOT_INTERNAL_KEY", "ECHO_PEER_TARGET", "DIGLOT_STORE_URL"):
        monkeypatch.delenv(variable)

    with pytest.raises(SystemExit) as caught:
        settings_or_exit(EchoSettings)

    # What SystemExit holds, the interpreter prints to stderr before it exits with status 1.
    line = str(caught.value.code)
    assert "\n" not in line
    assert [part.partition(":")[0] for part in line.removeprefix("settings refused: ").split("; ")] == [
        "DIGLOT_INTERNAL_KEY",
        "ECHO_PEER_TARGET",
        "DIGLOT_STORE_URL",
    ]
    assert capsys.readouterr() == ("", "")


def test_a_key_that_is_too_short_does_not_show_in_any_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGLOT_INTERNAL_KEY", "hunter2")

    with pytest.raises(ValueError, match="internal_key") as caught:
        TransportSettings()

    assert "hunter2" not in str(caught.value)
