"""Every function is given what its settings read, nothing else, and starts with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from pydantic_settings import BaseSettings

from deploy.aws.stack_template import ACCOUNT, REGION, TEMPLATES, Template
from gateway.settings import GatewaySettings
from services.ingest.settings import IngestSettings
from services.rag.settings import RagSettings
from services.router.settings import RouterSettings
from services.sql.settings import SqlSettings
from services.transport.settings import TransportSettings, read_settings
from tests.aws_server import AwsAccount
from tests.contract.deploy.test_roles import CONFIGURATIONS

TEMPLATE = Template.read(TEMPLATES / "template.yaml")
SETTINGS: Mapping[str, type[BaseSettings]] = {
    "gateway": GatewaySettings,
    "router": RouterSettings,
    "rag": RagSettings,
    "sql": SqlSettings,
    "ingest": IngestSettings,
    "images": IngestSettings,
}
# What each secret holds, as deploy/README.md tells operators to fill it.
SECRETS: Mapping[str, Mapping[str, object]] = {
    "shared": {
        "DIGLOT_INTERNAL_KEY": "k" * 64,
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=secret",
        "OPIK_API_KEY": "opik-secret",
    },
    "gateway": {
        "GATEWAY_API_KEYS": {"0" * 64: {"tenant": "acme", "subject": "ada", "roles": ["user"]}},
        "JWT_SECRET_KEY": "j" * 64,
    },
    "models": {
        "OPENAI_API_KEY": "sk-secret",
        "PINECONE_API_KEY": "pc-secret",
        "REDIS_URL": "rediss://user:secret@cache.example.com:6379",
        "UPSTASH_REDIS_URL": "https://cache.upstash.io",
        "UPSTASH_REDIS_TOKEN": "upstash-secret",
    },
    "store": {"DIGLOT_STORE_URL": "postgresql://diglot:secret@store.example.com:5432/diglot_store"},
    "database": {"DATABASE_URL": "postgresql://reader:secret@db.example.com:5432/shop"},
}
# Read by the extension in a gateway's image that streams, see deploy/aws/streaming.Dockerfile.
ADAPTER_VARIABLES = {"AWS_LWA_PORT", "AWS_LWA_INVOKE_MODE", "AWS_LWA_READINESS_CHECK_PROTOCOL", "AWS_LWA_ASYNC_INIT"}

# Read by nobody: it makes a new version of a function whose secrets have changed.
CHANGE_MARKS = {"DIGLOT_SECRETS_AS_OF"}


def environment_of(function: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """What Lambda would set, with the names of things that the stack makes."""
    prefix = parameters.get("Prefix", "diglot")
    made = {
        "${CacheBucket}": f"rag-cache-{prefix}-{ACCOUNT}-{REGION}",
        "${IngestQueue}": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{prefix}-ingest",
    }
    properties = TEMPLATE.resolve(parameters)[f"{function.capitalize()}Function"]
    variables = properties["Properties"]["Environment"]["Variables"]
    return {name: made.get(str(value), str(value)) for name, value in variables.items()}


def variables_of(kind: type[BaseSettings]) -> Iterator[str]:
    """The names of the variables a settings class reads, those of the transport included."""
    for settings in (kind, TransportSettings):
        for name, field in settings.model_fields.items():
            alias: Any = field.validation_alias
            yield from getattr(alias, "choices", [alias or f"{settings.model_config['env_prefix']}{name}".upper()])
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseSettings):
                yield from variables_of(field.annotation) if settings is kind and name != "transport" else ()


@pytest.mark.parametrize("parameters", CONFIGURATIONS.values(), ids=list(CONFIGURATIONS))
@pytest.mark.parametrize("function", SETTINGS)
def test_a_function_is_given_nothing_it_does_not_read(function: str, parameters: Mapping[str, str]) -> None:
    given = set(environment_of(function, parameters))

    assert given - set(variables_of(SETTINGS[function])) - ADAPTER_VARIABLES - CHANGE_MARKS == set()


@pytest.mark.parametrize("parameters", CONFIGURATIONS.values(), ids=list(CONFIGURATIONS))
@pytest.mark.parametrize("function", SETTINGS)
def test_a_function_starts_with_what_it_is_given(
    function: str, parameters: Mapping[str, str], aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put_secrets(parameters.get("Prefix", "diglot"))
    for name, value in environment_of(function, parameters).items():
        monkeypatch.setenv(name, value)

    settings = read_settings(SETTINGS[function])

    assert settings.transport.internal_key.get_secret_value() == "k" * 64  # type: ignore[attr-defined]
    assert settings.transport.claim_check_bucket.startswith("rag-cache-")  # type: ignore[attr-defined]


def test_secrets_are_referred_to_and_never_written_down() -> None:
    words = ("KEY", "TOKEN", "PASSWORD", "SECRET", "DATABASE_URL", "REDIS_URL", "HEADERS")
    for parameters in CONFIGURATIONS.values():
        for function in SETTINGS:
            for name, value in environment_of(function, parameters).items():
                if any(word in name for word in words):
                    assert value.startswith("secretsmanager:"), (function, name, value)


def test_the_guide_fills_the_secrets_that_functions_read() -> None:
    read = {
        value.removeprefix("secretsmanager:").partition("/")[2]
        for parameters in CONFIGURATIONS.values()
        for function in SETTINGS
        for value in environment_of(function, parameters).values()
        if value.startswith("secretsmanager:")
    }

    assert read == {f"{secret}#{key}" for secret, keys in SECRETS.items() for key in keys}
    resources = Template.read(TEMPLATES / "repositories.yaml").resolve()
    made = {r["Properties"]["Name"] for r in resources.values() if r["Type"] == "AWS::SecretsManager::Secret"}
    assert made == {f"diglot/{secret}" for secret in SECRETS}


def _put_secrets(prefix: str) -> None:
    client = boto3.client("secretsmanager")
    for name, keys in SECRETS.items():
        client.create_secret(Name=f"{prefix}/{name}", SecretString=json.dumps(keys))
