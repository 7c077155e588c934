"""Starting, finding and stopping a gRPC server."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.transport.channels import open_channel
from services.transport.errors import AddressInUse, AddressInvalid
from services.transport.identity import acting_as
from services.transport.serving import serving
from tests.contract.transport.transport_contract import CALLER, KEY, SETTINGS, failure_of
from tests.echo import echo_service_pb2_grpc
from tests.echo.echo_service_pb2 import EchoRequest
from tests.echo.servicer import SECRET_TEXT, EchoServicer, define_echo

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _caller() -> Iterator[None]:
    with acting_as(CALLER):
        yield


async def _echo(target: str) -> str:
    async with open_channel(target, SETTINGS) as channel:
        response = await echo_service_pb2_grpc.EchoServiceStub(channel).Echo(EchoRequest(text="hello"))
        return str(response.text)


async def test_a_unix_socket_serves_and_is_removed_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "run" / "echo.sock"

    async with serving(define_echo(EchoServicer()), listen=f"unix:{path}", settings=SETTINGS) as target:
        assert await _echo(target) == "hello"

    assert not path.exists()


async def test_a_socket_left_behind_by_a_killed_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "echo.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async with serving(define_echo(EchoServicer()), listen=f"unix:{path}", settings=SETTINGS) as target:
        assert await _echo(target) == "hello"


async def test_the_socket_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    listen = f"unix:{tmp_path / 'echo.sock'}"

    async with serving(define_echo(EchoServicer()), listen=listen, settings=SETTINGS) as target:
        with pytest.raises(AddressInUse):
            async with serving(define_echo(EchoServicer()), listen=listen, settings=SETTINGS):
                pass
        assert await _echo(target) == "hello"


async def test_a_file_that_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "precious.txt"
    path.write_text("keep me")

    with pytest.raises(AddressInvalid, match="is no socket"):
        async with serving(define_echo(EchoServicer()), listen=f"unix:{path}", settings=SETTINGS):
            pass

    assert path.read_text() == "keep me"


async def test_a_port_in_use_is_told() -> None:
    async with serving(define_echo(EchoServicer()), listen="127.0.0.1:0", settings=SETTINGS) as target:
        with pytest.raises(AddressInUse):
            async with serving(define_echo(EchoServicer()), listen=target, settings=SETTINGS):
                pass


async def test_running_calls_may_end_when_the_server_stops() -> None:
    async with serving(define_echo(EchoServicer()), listen="127.0.0.1:0", settings=SETTINGS) as target:
        channel = open_channel(target, SETTINGS)
        call = echo_service_pb2_grpc.EchoServiceStub(channel).Echo(EchoRequest(text="late", delay_ms=300))
        await asyncio.sleep(0.1)

    assert (await call).text == "late"
    await channel.close()


async def test_a_server_that_is_gone_is_unavailable_and_found_again_when_it_returns() -> None:
    async with serving(define_echo(EchoServicer()), listen="127.0.0.1:0", settings=SETTINGS) as target:
        channel = open_channel(target, SETTINGS)
        stub = echo_service_pb2_grpc.EchoServiceStub(channel)
        await stub.Echo(EchoRequest())
    failure = await failure_of(stub.EchoOnce(EchoRequest()))
    async with serving(define_echo(EchoServicer()), listen=target, settings=SETTINGS):
        for _ in range(40):
            try:
                response = await stub.EchoOnce(EchoRequest(text="back"))
                break
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.1)
    await channel.close()

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVICE_UNREACHABLE")
    assert failure.domain == "transport.diglot"
    assert "127.0.0.1" not in failure.message
    assert response.text == "back"


async def test_reflection_lists_the_service() -> None:
    async with (
        serving(define_echo(EchoServicer()), listen="127.0.0.1:0", settings=SETTINGS) as target,
        grpc.aio.insecure_channel(target) as channel,
    ):
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        reply = await call.read()
        call.cancel()

    names = {service.name for service in reply.list_services_response.service}
    assert {"diglot.echo.v1.EchoService", "grpc.health.v1.Health"} <= names


async def test_health_can_be_watched() -> None:
    async with (
        serving(define_echo(EchoServicer()), listen="127.0.0.1:0", settings=SETTINGS) as target,
        open_channel(target, SETTINGS) as channel,
    ):
        call = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=5)
        first = await call.read()
        call.cancel()

    assert first.status == health_pb2.HealthCheckResponse.SERVING


def _start(listen: str, *how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.echo.server", listen, *how],
        cwd=ROOT,
        env={**os.environ, "DIGLOT_INTERNAL_KEY": KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def test_a_process_serves_until_sigterm_and_then_closes_what_it_opened(tmp_path: Path) -> None:
    listen = f"unix:{tmp_path / 'echo.sock'}"
    with _start(listen) as process:
        for _ in range(100):
            if (tmp_path / "echo.sock").exists():
                break
            await asyncio.sleep(0.1)
        answered = await _echo(listen)

        process.send_signal(signal.SIGTERM)
        output, logs = process.communicate(timeout=20)

    assert answered == "hello"
    assert process.returncode == 0
    assert output == "closed\n"
    assert '"event": "server.stopped"' in logs
    assert '"event": "rpc.served"' in logs


def test_a_process_that_cannot_open_its_service_says_so_and_exits_with_1(tmp_path: Path) -> None:
    with _start(f"unix:{tmp_path / 'echo.sock'}", "fail") as process:
        _, logs = process.communicate(timeout=20)

    assert process.returncode == 1
    assert '"event": "server.failed"' in logs
    assert '"error": "ConnectionError"' in logs
    assert SECRET_TEXT not in logs


def test_a_process_that_is_still_opening_stops_at_once(tmp_path: Path) -> None:
    with _start(f"unix:{tmp_path / 'echo.sock'}", "hang") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "opening\n"

        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)

    assert process.returncode == 0
