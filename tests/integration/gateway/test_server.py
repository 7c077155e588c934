"""The gateway as a process of its own, reached over HTTP."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.contract.gateway.house import problem
from tests.fakes.ingest_servicer import FakeIngest
from tests.fakes.servicers import INTERNAL_KEY, served

ROOT = Path(__file__).parents[3]
LIMIT = 50 * 1024 * 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Running:
    """A gateway process and how to reach it."""

    process: asyncio.subprocess.Process
    url: str
    port: int


@pytest.fixture
async def gateway() -> AsyncIterator[Running]:
    port = free_port()
    async with served(FakeIngest(max_bytes=LIMIT)) as ingest:
        environment = {
            **os.environ,
            "DIGLOT_INTERNAL_KEY": INTERNAL_KEY,
            "GATEWAY_LISTEN": f"127.0.0.1:{port}",
            "GATEWAY_INGEST_TARGET": ingest,
            "GATEWAY_BODY_TIMEOUT_SECONDS": "1",
            **{f"GATEWAY_{name}_TARGET": "127.0.0.1:1" for name in ("ROUTER", "RAG", "SQL")},
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.server", cwd=ROOT, env=environment, stderr=asyncio.subprocess.DEVNULL
        )
        url = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(30):
            await _until_it_listens(port)
        yield Running(process, url, port)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _until_it_listens(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            await writer.wait_closed()
            return


async def test_it_serves_while_services_are_down_and_stops_on_sigterm(gateway: Running) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        health = await client.get("/health")

    assert health.json()["status"] == "degraded"
    assert health.json()["services"]["ingest_service"] == "healthy"
    gateway.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        await gateway.process.wait()
    assert gateway.process.returncode in (0, -signal.SIGTERM)


async def test_a_60_megabyte_file_is_refused_and_the_client_can_read_why(gateway: Running) -> None:
    async with httpx.AsyncClient(base_url=gateway.url, timeout=60) as client:
        response = await client.post("/upload", files={"file": ("big.txt", b"x" * 60_000_000)})

    problem(response, 413, "FILE_TOO_LARGE", "file")


async def test_a_client_that_asks_first_is_refused_before_it_sends(gateway: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        b"Content-Length: 60000000\r\nExpect: 100-continue\r\n\r\n"
    )

    async with asyncio.timeout(10):
        status_line = await reader.readline()

    writer.close()
    await writer.wait_closed()
    assert b" 413 " in status_line


async def test_a_file_of_40_megabytes_is_taken(gateway: Running) -> None:
    async with httpx.AsyncClient(base_url=gateway.url, timeout=60) as client:
        waited_for = await client.post(
            "/upload", params={"mode": "wait"}, files={"file": ("big.txt", b"x y " * 10_000_000)}
        )
        large = await client.post("/upload", files={"file": ("other.txt", b"y z " * 10_000_000)})

    assert waited_for.status_code == 201
    assert waited_for.json()["file_size_bytes"] == 40_000_000
    assert large.status_code == 202
    assert large.headers["Location"] == f"/jobs/{large.json()['job_id']}"


async def test_a_request_cut_off_by_its_client_harms_nobody(gateway: Running) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        b"Content-Length: 5000\r\n\r\n--b\r\nhalf"
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    async with httpx.AsyncClient(base_url=gateway.url) as client:
        assert (await client.get("/health")).status_code == 200


async def test_a_body_that_never_ends_is_given_up_and_its_connection_closed(gateway: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        b"POST /query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"que\r\n'
    )

    async with asyncio.timeout(10):
        answer = await reader.read()

    writer.close()
    await writer.wait_closed()
    assert b" 408 " in answer.partition(b"\r\n")[0]
    assert b"BODY_TIMEOUT" in answer


async def test_a_name_that_somebody_made_point_here_is_refused(gateway: Running) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        rebound = await client.get("/documents", headers={"Host": f"evil.example:{gateway.port}"})
        own = await client.get("/documents", headers={"Host": f"localhost:{gateway.port}"})

    problem(rebound, 403, "HOST_NOT_ALLOWED")
    assert own.status_code == 200
