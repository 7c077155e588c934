from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from services.transport.addresses import ListenAddress, Target, check_listen_address, check_target
from services.transport.errors import AddressInvalid
from services.transport.settings import TransportSettings


@pytest.mark.parametrize(
    "target",
    [
        "dns:///rag:50051",
        "dns:rag.internal:50051",
        "rag:50051",
        "127.0.0.1:50051",
        "[::1]:50051",
        "unix:run/rag.sock",
        "unix:/run/rag.sock",
        "unix:///run/rag.sock",
        "lambda:diglot-rag",
        "lambda:diglot-rag:live",
        "lambda:arn:aws:lambda:us-east-1:123456789012:function:diglot-rag",
    ],
)
def test_a_target_is_one_of_the_known_forms(target: str) -> None:
    assert check_target(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "rag",
        "http://rag:50051",
        "rag:port",
        "rag:99999",
        "rag:0",
        "dns:///",
        "unix:",
        "unix:/run/",
        "unix:/" + "x" * 120,
        "lambda:",
        "lambda:a/b",
        "lambda:a b",
    ],
)
def test_a_malformed_target_is_refused_with_an_example(target: str) -> None:
    with pytest.raises(AddressInvalid, match="use "):
        check_target(target)


@pytest.mark.parametrize("address", ["0.0.0.0:50051", "127.0.0.1:0", "[::]:50051", "unix:/run/rag.sock"])
def test_a_server_listens_on_a_port_or_a_socket(address: str) -> None:
    assert check_listen_address(address) == address


@pytest.mark.parametrize("address", ["", "50051", "0.0.0.0", "lambda:rag", "dns:///rag:1", "0.0.0.0:70000", "unix:"])
def test_a_malformed_address_is_refused_with_an_example(address: str) -> None:
    with pytest.raises(AddressInvalid, match="use "):
        check_listen_address(address)


def test_settings_name_the_field_at_fault() -> None:
    class Settings(BaseModel):
        rag_target: Target
        listen: ListenAddress

    with pytest.raises(ValidationError, match=r"rag_target[\s\S]*dns:///rag:50051[\s\S]*listen"):
        Settings(rag_target="nowhere", listen="nowhere")


def test_transport_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGLOT_INTERNAL_KEY", "k" * 32)
    monkeypatch.setenv("DIGLOT_CALL_TIMEOUT_SECONDS", "12.5")

    settings = TransportSettings()

    assert settings.internal_key.get_secret_value() == "k" * 32
    assert settings.call_timeout_seconds == 12.5
    assert "k" * 32 not in repr(settings)


@pytest.mark.parametrize("key", [None, "", "short"])
def test_a_missing_or_short_key_is_refused(monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    if key is None:
        monkeypatch.delenv("DIGLOT_INTERNAL_KEY", raising=False)
    else:
        monkeypatch.setenv("DIGLOT_INTERNAL_KEY", key)

    with pytest.raises(ValidationError, match="internal_key"):
        TransportSettings()
