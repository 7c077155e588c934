"""A service's process: its log, whether it lives, when it is ready."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.local.child_processes import start_child
from deploy.local.plan import ServiceProcess
from deploy.local.settings import REPOSITORY
from tests.quality.sql.errors import RunFailed

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_LOG_END_CHARACTERS = 2_000


@dataclass(frozen=True)
class Child:
    """A service that was started."""

    name: str
    address: str
    process: subprocess.Popen[bytes]
    log: Path

    def failed(self, why: str) -> RunFailed:
        """What to raise about it."""
        end = self.log.read_text(errors="replace")[-_LOG_END_CHARACTERS:]
        return RunFailed(f"the {self.name} service failed: {why}; its log ends with:\n{end}")

    def check(self) -> None:
        """Raise RunFailed when it has ended."""
        code = self.process.poll()
        if code is not None:
            raise self.failed(f"it ended with {code}")

    async def wait_until_healthy(self) -> None:
        """Raises RunFailed: it ends, or does not become healthy in time."""
        give_up = time.monotonic() + _START_SECONDS
        async with grpc.aio.insecure_channel(self.address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while True:
                self.check()
                try:
                    reply = await stub.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=1)
                    told = health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
                except grpc.aio.AioRpcError as error:
                    told = error.code().name
                if told == "SERVING":
                    return
                if time.monotonic() > give_up:
                    raise self.failed(f"it is not healthy after {_START_SECONDS:.0f} s ({told})")
                await asyncio.sleep(0.05)


@asynccontextmanager
async def running(
    planned: ServiceProcess, environment: Mapping[str, str], address: str, folder: Path
) -> AsyncIterator[Child]:
    """A process of a service that comes up; it has ended when the context is left."""
    log = folder / f"{planned.name}.log"
    with log.open("wb") as output:
        process = start_child(
            planned.arguments,
            environment=environment,
            output=output,
            directory=REPOSITORY,
            death_signal=signal.SIGTERM,
        )
    child = Child(planned.name, address, process, log)
    try:
        yield child
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, _STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
