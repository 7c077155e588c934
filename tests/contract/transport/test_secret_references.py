"""Settings that lie in Secrets Manager and Systems Manager, read through boto3 from the local AWS API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any

import boto3
import pytest
from pydantic import AliasChoices, BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from services.transport import secret_references
from services.transport.errors import SettingsRefused
from services.transport.secret_references import resolve_references
from services.transport.settings import TransportSettings, read_settings
from tests.aws_server import AwsAccount
from tests.lambda_runtime import REPOSITORY, QuietHandler, QuietServer

KEY = "k" * 40
HUNTER = "hunter2-is-secret"


class Person(BaseModel):
    name: str


class EchoSettings(BaseSettings):
    """Settings of a service that exists in tests alone."""

    model_config = SettingsConfigDict(env_prefix="ECHO_", frozen=True, extra="ignore", hide_input_in_errors=True)

    transport: TransportSettings = Field(default_factory=TransportSettings)
    api_key: SecretStr = Field(default=SecretStr(""), validation_alias="OPENAI_API_KEY")
    database_url: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("DATABASE_URL", "ECHO_DATABASE_URL")
    )
    repeats: int = 3
    people: dict[str, Person] = Field(default_factory=dict)
    names: Annotated[str, NoDecode] = ""
    background_work: bool = True


class Stored:
    """What lies in the account."""

    def __init__(self) -> None:
        self.secrets = boto3.client("secretsmanager")
        self.parameters = boto3.client("ssm")

    def secret(self, name: str, text: str) -> str:
        arn: str = self.secrets.create_secret(Name=name, SecretString=text)["ARN"]
        return arn

    def parameter(self, name: str, text: str) -> None:
        self.parameters.put_parameter(Name=name, Value=text, Type="SecureString")


@pytest.fixture
def stored(aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stored]:
    monkeypatch.setenv("DIGLOT_INTERNAL_KEY", KEY)
    for name in ("OPENAI_API_KEY", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    stored = Stored()
    yield stored
    stored.secrets.close()
    stored.parameters.close()


def refusal() -> str:
    with pytest.raises(SettingsRefused) as caught:
        read_settings(EchoSettings)
    assert caught.value.__context__ is None
    return str(caught.value)


def test_every_kind_of_reference_is_resolved_for_own_and_for_shared_settings(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = stored.secret("diglot/internal", json.dumps({"key": KEY}))
    stored.secret("diglot/openai", "sk-plain")
    stored.secret("diglot/settings", json.dumps({"repeats": 7, "people": {"ada": {"name": "Ada"}}}))
    stored.parameter("/diglot/database-url", "postgresql://reader@db/shop")
    monkeypatch.setenv("DIGLOT_INTERNAL_KEY", f"secretsmanager:{arn}#key")
    monkeypatch.setenv("OPENAI_API_KEY", "secretsmanager:diglot/openai")
    monkeypatch.setenv("ECHO_DATABASE_URL", "ssm:/diglot/database-url")
    monkeypatch.setenv("ECHO_REPEATS", "secretsmanager:diglot/settings#repeats")
    monkeypatch.setenv("ECHO_PEOPLE", "secretsmanager:diglot/settings#people")

    settings = read_settings(EchoSettings, background_work=False)

    assert settings.transport.internal_key.get_secret_value() == KEY
    assert settings.api_key.get_secret_value() == "sk-plain"
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://reader@db/shop"
    assert (settings.repeats, settings.people, settings.background_work) == (7, {"ada": Person(name="Ada")}, False)


def test_the_line_break_at_the_end_of_a_secret_made_of_a_file_is_left_out(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.secret("diglot/openai", "sk-plain \r\n")
    monkeypatch.setenv("OPENAI_API_KEY", "secretsmanager:diglot/openai")

    assert read_settings(EchoSettings).api_key.get_secret_value() == "sk-plain "


def test_what_was_resolved_does_not_enter_the_environment(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    stored.secret("diglot/openai", HUNTER)
    monkeypatch.setenv("OPENAI_API_KEY", "secretsmanager:diglot/openai")

    read_settings(EchoSettings)

    assert HUNTER not in "".join(os.environ.values())


def test_variables_that_no_setting_reads_are_left_alone(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMEBODY_ELSES", "secretsmanager:diglot/unknown")

    assert read_settings(EchoSettings).repeats == 3


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("secretsmanager:diglot/nothing", "there is no such secret in this account and region"),
        ("secretsmanager:diglot/plain#key", "the secret is no JSON object: leave #key out"),
        ("secretsmanager:diglot/json#other", "the secret has no key other: add it"),
        ("secretsmanager:diglot/bytes", "the secret holds bytes"),
        ("ssm:/diglot/nothing", "there is no such parameter in this account and region"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused_with_what_to_do(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, reference: str, told: str
) -> None:
    stored.secret("diglot/plain", HUNTER)
    stored.secret("diglot/json", json.dumps({"key": HUNTER}))
    stored.secrets.create_secret(Name="diglot/bytes", SecretBinary=HUNTER.encode())
    monkeypatch.setenv("OPENAI_API_KEY", reference)

    text = refusal()

    assert text.startswith(f"OPENAI_API_KEY: {reference} cannot be resolved: {told}")
    assert HUNTER not in text


@pytest.mark.parametrize("reference", ["secretsmanager:", "secretsmanager:name#", "ssm:", "ssm:/a b", "ssm:/a#key"])
def test_a_malformed_reference_is_refused_with_an_example(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", reference)

    assert refusal().startswith(f"OPENAI_API_KEY: {reference} is no reference; write it as in OPENAI_API_KEY=")


def test_all_faults_are_told_at_once_and_each_variable_once(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGLOT_INTERNAL_KEY", "ssm:/diglot/key")  # shorter than a key may be, too
    monkeypatch.setenv("OPENAI_API_KEY", "secretsmanager:diglot/openai")
    monkeypatch.setenv("ECHO_PEOPLE", "ssm:/diglot/people")
    monkeypatch.setenv("ECHO_REPEATS", "many")

    assert [part.partition(":")[0] for part in refusal().split("; ")] == [
        "DIGLOT_INTERNAL_KEY",
        "OPENAI_API_KEY",
        "ECHO_PEOPLE",
        "ECHO_REPEATS",
    ]


def test_what_a_secret_holds_is_checked_and_not_told(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    stored.secret("diglot/repeats", HUNTER)
    monkeypatch.setenv("ECHO_REPEATS", "secretsmanager:diglot/repeats")

    text = refusal()

    assert text.startswith("ECHO_REPEATS: Input should be a valid integer")
    assert HUNTER not in text


class Api:
    """Counts what is asked of the two services, and refuses as it is told to."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.sizes: list[int] = []
        self.refusal: tuple[int, str] | None = None
        self.answers = threading.Event()
        self.answers.set()
        api = self

        class Answers(QuietHandler):
            def do_POST(self) -> None:
                target = self.headers["X-Amz-Target"].partition(".")[2]
                request = json.loads(self.body())
                api.answers.wait(20)
                api.asked[f"{target} {request.get('SecretId', '')}".strip()] += 1
                if api.refusal is not None:
                    status, code = api.refusal
                    self.reply(status, json.dumps({"__type": code, "message": HUNTER}).encode())
                elif target == "GetParameters":
                    api.sizes.append(len(request["Names"]))
                    found = [{"Name": name, "Value": f"value of {name}", "ARN": name} for name in request["Names"]]
                    self.reply(200, json.dumps({"Parameters": found, "InvalidParameters": []}).encode())
                else:
                    self.reply(200, json.dumps({"SecretString": json.dumps({"a": "1", "b": "2"})}).encode())

        self.server = QuietServer(Answers)


@pytest.fixture
def api(aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    api = Api()
    for service in ("SECRETS_MANAGER", "SSM"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", f"http://{api.server.address}")
    monkeypatch.setenv("DIGLOT_INTERNAL_KEY", KEY)
    yield api
    api.answers.set()
    api.server.stop()


def test_each_secret_is_fetched_once_and_parameters_ten_at_a_time(api: Api) -> None:
    references = {f"P{number}": f"ssm:/diglot/{number}" for number in range(23)}
    references |= {"ONE": "secretsmanager:diglot/all#a", "TWO": "secretsmanager:diglot/all#b"}

    values, faults = resolve_references(references)

    assert faults == {}
    assert (values["ONE"], values["TWO"], values["P7"]) == ("1", "2", "value of /diglot/7")
    assert api.asked == {"GetSecretValue diglot/all": 1, "GetParameters": 3}
    assert sorted(api.sizes) == [3, 10, 10]


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (400, "AccessDeniedException", "this process may not read it: allow secretsmanager:GetSecretValue on it"),
        (400, "DecryptionFailure", "this process may not read it: allow secretsmanager:GetSecretValue on it, and kms:"),
        (400, "UnrecognizedClientException", "AWS credentials or a region are missing or not valid"),
        (400, "InvalidRequestException", "the secret is marked for deletion"),
        (500, "InternalServiceError", "Secrets Manager refused with InternalServiceError"),
    ],
)
def test_a_refusal_of_aws_is_told_with_what_to_do_and_not_in_its_words(
    api: Api, monkeypatch: pytest.MonkeyPatch, status: int, code: str, told: str
) -> None:
    api.refusal = (status, code)
    monkeypatch.setenv("OPENAI_API_KEY", "secretsmanager:diglot/openai")

    text = refusal()

    assert f"OPENAI_API_KEY: secretsmanager:diglot/openai cannot be resolved: {told}" in text
    assert HUNTER not in text


def test_a_service_out_of_reach_is_told(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_API_KEY", "ssm:/diglot/openai")

    assert "Systems Manager did not answer in time: check the network" in refusal()


def test_a_service_that_hangs_does_not_outlast_an_initialisation(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_references, "_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setenv("OPENAI_API_KEY", "secretsmanager:diglot/openai")
    api.answers.clear()

    assert "Secrets Manager did not answer in time" in refusal()


def test_a_server_process_is_refused_in_one_line(stored: Stored, aws_account: AwsAccount) -> None:
    environment = os.environ | aws_account.environment() | {"DIGLOT_INTERNAL_KEY": "secretsmanager:diglot/nothing"}
    environment |= {"ROUTER_RAG_TARGET": "127.0.0.1:1", "ROUTER_SQL_TARGET": "127.0.0.1:1"}

    ended = subprocess.run(
        [sys.executable, "-m", "services.router.server"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert line.startswith("settings refused: DIGLOT_INTERNAL_KEY: secretsmanager:diglot/nothing cannot be resolved")


def test_without_a_reference_nothing_of_aws_is_imported() -> None:
    code = (
        "import sys; from services.router.settings import RouterSettings; "
        "from services.transport.settings import read_settings; read_settings(RouterSettings); "
        "print(*({'boto3', 'botocore', 'services.transport.secret_references'} & set(sys.modules)))"
    )
    environment: dict[str, Any] = {
        "PATH": os.environ["PATH"],
        "DIGLOT_INTERNAL_KEY": KEY,
        "ROUTER_RAG_TARGET": "127.0.0.1:1",
        "ROUTER_SQL_TARGET": "127.0.0.1:1",
    }

    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
    )

    assert ended.stdout.strip() == ""
