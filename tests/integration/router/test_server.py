"""The router as a process of its own, on a Unix socket."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from protos.router.v1 import answer_pb2, router_service_pb2, router_service_pb2_grpc
from services.transport.channels import open_channel
from services.transport.identity import acting_as
from tests.fakes.rag_servicer import FakeRag
from tests.fakes.served_sources import CALLER
from tests.fakes.servicers import INTERNAL_KEY, served, transport_settings
from tests.fakes.sql_servicer import FakeSql

ROOT = Path(__file__).parents[3]
HOURS = "Remote work core hours are 10 AM to 3 PM"


async def start(**environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.router.server",
        cwd=ROOT,
        env={**os.environ, "DIGLOT_INTERNAL_KEY": INTERNAL_KEY, **environment},
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.fixture
async def router(tmp_path: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, grpc.aio.Channel]]:
    target = f"unix:{tmp_path / 'router.sock'}"
    async with served(FakeRag({"handbook.md": HOURS})) as rag, served(FakeSql({})) as sql:
        process = await start(ROUTER_LISTEN=target, ROUTER_RAG_TARGET=rag, ROUTER_SQL_TARGET=sql)
        async with open_channel(target, transport_settings()) as channel:
            with acting_as(CALLER):
                yield process, channel
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_it_answers_and_stops_on_sigterm(
    router: tuple[asyncio.subprocess.Process, grpc.aio.Channel],
) -> None:
    process, channel = router
    health = health_pb2_grpc.HealthStub(channel)
    stub = router_service_pb2_grpc.RouterServiceStub(channel)

    state = await health.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=30)
    reply = await stub.AskQuestion(router_service_pb2.AskQuestionRequest(question="What are the remote work hours?"))
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        await process.communicate()

    assert state.status == health_pb2.HealthCheckResponse.SERVING
    assert reply.routing.route == answer_pb2.Routing.DOCUMENTS
    assert process.returncode == 0


async def test_a_malformed_target_stops_the_start_and_is_named() -> None:
    process = await start(ROUTER_RAG_TARGET="nowhere at all", ROUTER_SQL_TARGET="127.0.0.1:1")

    _, told = await process.communicate()

    assert process.returncode != 0
    assert b"ROUTER_RAG_TARGET: " in told
    assert b"dns:///rag:50051" in told
