"""The whole system as a user starts it, in real processes on a free port, and what a test may do to it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from deploy.local.data_folder import generated_secrets
from deploy.local.databases import READER, SHOP_DATABASE, STORE_DATABASE, STORE_ROLES
from deploy.local.embedded_postgres import EmbeddedPostgres
from deploy.local.plan import Addresses, ServiceProcess, plan
from deploy.local.run_folder import RunFolder
from deploy.local.settings import REPOSITORY, LocalSettings
from tests.integration.local.processes import children_of, lives

_START_SECONDS = 110.0
_BASICS = ("PATH", "HOME", "LANG", "TMPDIR")


class RunningSystem:
    """`python -m deploy.local` on a data folder. Starts and stops as often as a test likes."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.environment = {
            **{name: os.environ[name] for name in _BASICS if name in os.environ},
            "DIGLOT_PORT": str(self.port),
            "DIGLOT_DATA_DIR": str(data_dir),
            **environment,
        }
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=90, trust_env=False)
        self.start_seconds = 0.0
        self._console = data_dir.with_name(f"{data_dir.name}.console")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the supervisor."""
        assert self._process is not None, "the system is not running"
        return self._process.pid

    @property
    def console(self) -> str:
        """What the person at the console has read since the last start."""
        return self._console.read_text(errors="replace")

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start without waiting."""
        with self._console.open("wb") as console:
            return subprocess.Popen(
                [sys.executable, "-m", "deploy.local"],
                env=self.environment,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start(self) -> None:
        """Start and wait until /health is healthy and the greeting is out."""
        began = time.monotonic()
        self._process = self.launch()
        healthy = False
        while time.monotonic() - began < _START_SECONDS:
            if self._process.poll() is not None:
                raise AssertionError(f"the system ended at start:\n{self.console}\n{self.logs()}")
            if not healthy and self._is_healthy():
                healthy, self.start_seconds = True, time.monotonic() - began
            if healthy and "Diglot is up" in self.console:
                return
            time.sleep(0.05)
        console, logs = self.console, self.logs()
        self.kill_everything()
        raise AssertionError(f"the system is not up after {_START_SECONDS} s:\n{console}\n{logs}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, as Ctrl-C or a service manager would. Returns the exit code."""
        assert self._process is not None, "the system is not running"
        self._process.send_signal(number)
        return self._process.wait(60)

    def kill_everything(self) -> None:
        """`kill -9` for every process at once."""
        if self._process is None:
            return
        for pid in (self.pid, *self.descendants()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def kill_supervisor(self) -> None:
        """`kill -9` for the process that looks after the others, and for it alone."""
        assert self._process is not None, "the system is not running"
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Stop it however it stands, and make sure of it."""
        self.client.close()
        if self._process is None or self._process.poll() is not None:
            return
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.kill_everything()

    def descendants(self) -> list[int]:
        """Every process it has started, and theirs."""
        found, to_look_at = [], [self.pid]
        while to_look_at:
            children = children_of(to_look_at.pop())
            found += children
            to_look_at += children
        return found

    def pid_of(self, service: str) -> int:
        """Process id of a service."""
        for line in (self.data_dir / "pids").read_text().splitlines():
            pid, _, module = line.partition(" ")
            if module in (f"services.{service}.server", f"{service}.server"):
                return int(pid)
        raise AssertionError(f"{service} does not run")

    @contextmanager
    def without(self, service: str) -> Iterator[None]:
        """The system while a service is dead. The supervisor is held still meanwhile, or it would mend that at once."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            os.kill(self.pid_of(service), signal.SIGKILL)
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)
        self.wait_healthy()

    def wait_healthy(self) -> None:
        """Wait until every part is well again."""
        give_up = time.monotonic() + 60
        while not self._is_healthy():
            assert time.monotonic() < give_up, self.logs()
            time.sleep(0.1)

    def logs(self) -> str:
        """The end of every log."""
        paths = sorted((self.data_dir / "logs").glob("*.log"))
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in paths if path.exists()
        )

    def parts(self) -> Mapping[str, ServiceProcess]:
        """The plan of this run, by service: for starting a further process of one of them."""
        run_folder = Path((self.data_dir / "run-folder").read_text().strip())
        run = RunFolder(run_folder / "services", run_folder / "postgres")
        postgres = EmbeddedPostgres(self.data_dir / "postgres", run.postgres)
        secrets = generated_secrets(self.data_dir)
        addresses = Addresses(
            internal_key=secrets["internal_key"],
            target_url=postgres.url(SHOP_DATABASE, READER, secrets[READER]),
            store_urls={name: postgres.url(STORE_DATABASE, role, secrets[role]) for name, role in STORE_ROLES.items()},
        )
        settings = LocalSettings(host="127.0.0.1", port=self.port, data_dir=self.data_dir)
        return {part.name: part for part in plan(settings, run, addresses)}

    @contextmanager
    def another_gateway(
        self, *, sql: Mapping[str, str] | None = None, gateway: Mapping[str, str] | None = None
    ) -> Iterator[httpx.Client]:
        """A client of a second gateway, which asks a second sql process when settings for one are given."""
        parts, port = self.parts(), free_port()
        overrides = {"GATEWAY_LISTEN": f"127.0.0.1:{port}", **(gateway or {})}
        with contextlib.ExitStack() as stack:
            if sql is not None:
                address = parts["sql"].environment["SQL_LISTEN"].replace("sql.sock", f"sql-{port}.sock")
                overrides["GATEWAY_SQL_TARGET"] = address
                stack.enter_context(self._further(parts["sql"], {"SQL_LISTEN": address, **sql}))
            stack.enter_context(self._further(parts["gateway"], overrides))
            client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=90, trust_env=False)
            stack.enter_context(client)
            give_up = time.monotonic() + 60
            while not _healthy(client):
                assert time.monotonic() < give_up, self.logs()
                time.sleep(0.1)
            yield client

    @contextmanager
    def _further(self, part: ServiceProcess, overrides: Mapping[str, str]) -> Iterator[None]:
        """One more process of a part, with its own log among the others."""
        with (self.data_dir / "logs" / f"further-{part.name}.log").open("ab") as log:
            environment = {**part.environment, **overrides}
            process = subprocess.Popen(part.arguments, env=environment, cwd=REPOSITORY, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)

    def _is_healthy(self) -> bool:
        return _healthy(self.client)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def gone(pids: list[int], within_seconds: float = 20) -> bool:
    """Whether none of the processes runs any more, waiting a while for the last."""
    give_up = time.monotonic() + within_seconds
    while any(map(lives, pids)):
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True


def ask(client: httpx.Client, path: str, **body: object) -> dict[str, Any]:
    """POST a question and return the answer, which has to be a 200."""
    reply = client.post(path, json=body)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


def problem(reply: httpx.Response, status: int) -> dict[str, Any]:
    """The body of a refusal, after checking that it is problem+json of the status expected, in every field."""
    assert reply.status_code == status, f"{reply.status_code}: {reply.text}"
    assert reply.headers["content-type"].startswith("application/problem+json")
    body: dict[str, Any] = reply.json()
    assert body["status"] == status
    assert all(body[name] for name in ("type", "title", "detail", "instance", "reason", "request_id"))
    return body


def _healthy(client: httpx.Client) -> bool:
    try:
        reply = client.get("/health", timeout=5)
    except httpx.HTTPError:
        return False
    return reply.status_code == 200 and reply.json()["status"] == "healthy"
