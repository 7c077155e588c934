"""The cluster of docker-compose.yml, apart from any other on this machine, and what a test may do to it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from deploy.local.settings import REPOSITORY
from tests.deploy.docker import docker, inspect, run_docker
from tests.e2e.running_system import free_port

PROJECT = "diglot-test"
_RISE_SECONDS = 400
_HEAL_SECONDS = 120


class Cluster:
    """Everything in containers, with data, secrets and a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": PROJECT,
            "ENV_FILE": str(folder / "env"),
            "DIGLOT_PUBLISH": self.url.removeprefix("http://"),
        }
        self.client = httpx.Client(base_url=self.url, timeout=90, trust_env=False)

    def up(self) -> str:
        """`make up`. Returns what the person at the console reads. Raises AssertionError: not all is well."""
        return self._run("up")

    def down(self) -> None:
        """`make down VOLUMES=1`."""
        self.client.close()
        self._run("down", "--volumes")

    def kill(self, service: str) -> None:
        """`kill -9` for everything in a service's container; it stays down."""
        docker("kill", "--signal", "KILL", self.container(service))

    def start(self, service: str) -> None:
        """Start a container that was killed."""
        docker("start", self.container(service))

    @contextmanager
    def without(self, service: str) -> Iterator[None]:
        """The cluster while a service is dead. On leaving, all is well again."""
        self.kill(service)
        try:
            yield
        finally:
            self.start(service)
            self.wait_healthy()

    def wait_healthy(self) -> None:
        """Wait until every part says that it is well."""
        give_up = time.monotonic() + _HEAL_SECONDS
        while not self._is_healthy():
            assert time.monotonic() < give_up, self.logs()
            time.sleep(0.25)

    def logs(self) -> str:
        """The end of each service's log."""
        names = ("gateway", "router", "rag", "sql", "ingest", "postgres", "aws")
        ends = {name: run_docker("logs", "--tail", "8", self.container(name)) for name in names}
        return "\n".join(f"--- {name}\n{end.stdout}{end.stderr}" for name, end in ends.items())

    def container(self, service: str) -> str:
        return f"{PROJECT}-{service}-1"

    def restarts(self, service: str) -> int:
        """How often docker has started the container again by itself."""
        return int(inspect(self.container(service), "container")["RestartCount"])

    def _is_healthy(self) -> bool:
        try:
            reply = self.client.get("/health", timeout=5)
        except httpx.HTTPError:
            return False
        return reply.status_code == 200 and reply.json()["status"] == "healthy"

    def _run(self, *arguments: str) -> str:
        outcome = subprocess.run(
            [sys.executable, "-m", "deploy.compose", *arguments],
            cwd=REPOSITORY, env=self._environment, capture_output=True, text=True, timeout=_RISE_SECONDS, check=False,
        )  # fmt: skip
        assert outcome.returncode == 0, f"{outcome.stdout}\n{outcome.stderr}\n{self.logs()}"
        return outcome.stdout
