import pytest

from gateway.settings import GatewaySettings
from services.transport.errors import SettingsRefused
from services.transport.settings import read_settings

TARGETS = {
    "GATEWAY_ROUTER_TARGET": "unix:/tmp/router.sock",
    "GATEWAY_RAG_TARGET": "dns:///rag:50051",
    "GATEWAY_SQL_TARGET": "127.0.0.1:50052",
    "GATEWAY_INGEST_TARGET": "lambda:diglot-ingest",
    "DIGLOT_INTERNAL_KEY": "k" * 32,
}
KEY = '{"' + "0" * 64 + '": {"tenant": "acme", "subject": "ada"}}'


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "ENVIRONMENT",
        "ALLOW_ANONYMOUS",
        "ALLOWED_ORIGINS",
        "GATEWAY_IDENTITY",
        "GATEWAY_API_KEYS",
        "JWT_SECRET_KEY",
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in TARGETS.items():
        monkeypatch.setenv(name, value)


def test_targets_alone_are_enough() -> None:
    settings = GatewaySettings()

    assert settings.listen == "127.0.0.1:8000"
    assert settings.identity == "none"


def test_production_without_identity_is_refused_with_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")

    with pytest.raises(SettingsRefused, match="GATEWAY_API_KEYS='"):
        read_settings(GatewaySettings)


def test_production_may_be_anonymous_when_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("ALLOW_ANONYMOUS", "1")

    assert GatewaySettings().environment == "production"


def test_production_with_keys_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("GATEWAY_IDENTITY", "api_key")
    monkeypatch.setenv("GATEWAY_API_KEYS", KEY)

    (holder,) = GatewaySettings().api_keys.values()

    assert (holder.tenant, holder.subject, holder.roles) == ("acme", "ada", frozenset({"user"}))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("GATEWAY_IDENTITY", "api_key", "GATEWAY_IDENTITY=api_key needs keys.*GATEWAY_API_KEYS='"),
        (
            "GATEWAY_API_KEYS",
            '{"plain-key": {"tenant": "a", "subject": "b"}}',
            "^GATEWAY_API_KEYS: holds hashes of keys",
        ),
        ("GATEWAY_API_KEYS", '{"plain-key": {}}', "^GATEWAY_API_KEYS: Field required.*GATEWAY_API_KEYS='"),
        ("GATEWAY_API_KEYS", "plain-key", "^GATEWAY_API_KEYS: is no JSON object.*GATEWAY_API_KEYS='"),
        ("GATEWAY_IDENTITY", "jwt", "needs JWT_SECRET_KEY, for example JWT_SECRET_KEY="),
        ("JWT_SECRET_KEY", "short", "^JWT_SECRET_KEY: has fewer than 32 characters.*JWT_SECRET_KEY="),
        ("JWT_SECRET_KEY", "k" * 32, "JWT_SECRET_KEY is set and GATEWAY_IDENTITY=none lets everybody in"),
        ("GATEWAY_ALLOWED_HOSTS", "http://gateway", "^GATEWAY_ALLOWED_HOSTS: 'http://gateway' is no host name"),
        ("ALLOWED_ORIGINS", "*", "^ALLOWED_ORIGINS: '\\*' is no origin.*ALLOWED_ORIGINS=https://"),
        ("ALLOWED_ORIGINS", "https://a.example/app", "^ALLOWED_ORIGINS: 'https://a.example/app' is no origin"),
        ("GATEWAY_RAG_TARGET", "not a target", "^GATEWAY_RAG_TARGET: 'not a target' is no target"),
        ("GATEWAY_LISTEN", "unix:/tmp/x.sock", "GATEWAY_LISTEN=127.0.0.1:8000"),
        ("GATEWAY_LISTEN", "nowhere", "^GATEWAY_LISTEN: .*address"),
        ("GATEWAY_MAX_FILE_BYTES", "0", "^GATEWAY_MAX_FILE_BYTES: .*greater than 0"),
        ("GATEWAY_IDENTITY", "magic", "^GATEWAY_IDENTITY: .*api_key"),
    ],
)
def test_a_malformed_setting_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsRefused, match=message) as caught:
        read_settings(GatewaySettings)

    assert "plain-key" not in str(caught.value)


def test_origins_are_given_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://a.example, https://b.example,")

    assert GatewaySettings().allowed_origins == ("https://a.example", "https://b.example")


def test_blanks_around_a_value_open_no_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", " production\n")
    monkeypatch.setenv("JWT_SECRET_KEY", " ")

    with pytest.raises(SettingsRefused, match="ENVIRONMENT=production with GATEWAY_IDENTITY=none"):
        read_settings(GatewaySettings)


def test_an_empty_secret_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET_KEY", "")

    assert GatewaySettings().jwt_secret_key is None
    monkeypatch.setenv("GATEWAY_IDENTITY", "jwt")
    with pytest.raises(SettingsRefused, match="GATEWAY_IDENTITY=jwt needs JWT_SECRET_KEY"):
        read_settings(GatewaySettings)


@pytest.mark.parametrize("field", ["tenant", "subject"])
@pytest.mark.parametrize("name", ["", " acme", "ac\\u0000me", "\\ud800", "x" * 201])
def test_a_key_stands_for_names_alone(monkeypatch: pytest.MonkeyPatch, field: str, name: str) -> None:
    monkeypatch.setenv("GATEWAY_API_KEYS", KEY.replace("acme" if field == "tenant" else "ada", name))

    with pytest.raises(SettingsRefused, match=r"GATEWAY_API_KEYS.*for example"):
        read_settings(GatewaySettings)
