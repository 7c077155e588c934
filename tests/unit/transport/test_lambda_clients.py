from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.transport.lambda_clients import LambdaClients
from services.transport.lambda_invoke import BotoInvoker


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:9")


def test_threads_that_need_a_client_at_once_get_one_and_the_same() -> None:
    clients, together = LambdaClients(), threading.Barrier(4)

    def ask(_: int) -> object:
        together.wait()
        return clients.client(30)

    with ThreadPoolExecutor(4) as pool:
        given = list(pool.map(ask, range(4)))

    assert len(set(map(id, given))) == 1


def test_a_client_waits_for_longer_than_the_call() -> None:
    clients = LambdaClients()

    configs = [clients.client(seconds).meta.config for seconds in (0.1, 30, 60, 900)]

    assert [config.read_timeout for config in configs] == [35, 35, 125, 905]  # type: ignore[attr-defined]


async def test_clients_live_until_the_last_invoker_closes() -> None:
    clients = LambdaClients()
    first, second = BotoInvoker(clients), BotoInvoker(clients)
    shared = clients.client(30)

    await first.close()
    await first.close()
    assert clients.client(30) is shared

    await second.close()
    assert clients.client(30) is not shared


def test_a_client_made_after_the_last_user_left_looks_at_the_environment_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clients, user = LambdaClients(), object()
    clients.enter(user)
    assert clients.client(30).meta.endpoint_url == "http://127.0.0.1:9"
    clients.leave(user)

    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:10")

    assert clients.client(30).meta.endpoint_url == "http://127.0.0.1:10"


def test_the_region_is_taken_from_the_name_that_all_sdks_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")

    assert LambdaClients().client(30).meta.region_name == "eu-west-1"
    monkeypatch.delenv("AWS_REGION")
    assert LambdaClients().client(30).meta.region_name == "us-east-1"
