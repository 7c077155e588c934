"""Keeps the service processes running, and ends them in order."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.local.child_processes import command_line, start_child
from deploy.local.data_folder import write_whole
from deploy.local.embedded_postgres import EmbeddedPostgres
from deploy.local.errors import ServiceFailed, SettingsRefused
from deploy.local.logs import LogFolder, refusal_in, told_in
from deploy.local.plan import ServiceProcess
from deploy.local.settings import REPOSITORY

_LOOK_SECONDS = 0.05
_ROTATE_SECONDS = 5.0
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 10.0
_STEADY_SECONDS = 30.0  # Whoever ran this long is started again at once.
_STOP_SECONDS = 8.0
_MOST_ENDS_AT_START = 4
# The gateway first, so that nothing new comes in; then the callers before those they call.
_STOP_ORDER = (("gateway",), ("router", "ingest"), ("rag", "sql"))

Say = Callable[[str], None]


@dataclass
class _Child:
    plan: ServiceProcess
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    start_again_at: float = 0.0
    pause_seconds: float = _FIRST_PAUSE_SECONDS
    ends: int = 0
    log_size: int = 0
    """Bytes of its log when it was started last."""


class Supervisor:
    """The children of the local system: PostgreSQL, the services, and the watchdog that outlives us.

    Args:
        postgres: begun already; started again when it ends.
        plans: the services, in the order of their start.
        pids: file that remembers the process ids, for a next start after a `kill -9`.
        say: tells the person at the console.
    """

    def __init__(
        self, postgres: EmbeddedPostgres, plans: Sequence[ServiceProcess], logs: LogFolder, pids: Path, say: Say
    ) -> None:
        self._postgres = postgres
        self._children = {plan.name: _Child(plan) for plan in plans}
        self._logs = logs
        self._pids = pids
        self._say = say
        self._settled = False
        watchdog = [sys.executable, "-S", str(Path(__file__).with_name("watchdog.py"))]
        # In a session of its own, or the Ctrl-C that is meant for us would reach it.
        self._watchdog = subprocess.Popen(
            watchdog, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            cwd="/", env={}, start_new_session=True, bufsize=0,
        )  # fmt: skip
        self._watched_postgres = 0
        self._watch_postgres()

    def start(self) -> None:
        """Start every service. Called from the main thread, whose end is what children are told of."""
        for child in self._children.values():
            self._start(child)
        self._remember_pids()

    def settle(self) -> None:
        """From now on a service that ends is started again for ever; until now it may end only a few times."""
        self._settled = True

    async def watch(self) -> None:
        """Start again what ended, until cancelled.

        Raises:
            SettingsRefused: before `settle`, a service refused its settings.
            ServiceFailed: before `settle`, a service ended several times.
            PostgresFailed: PostgreSQL ended and cannot be started again.
        """
        rotated = time.monotonic()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for child in self._children.values():
                self._look_after(child)
            if self._postgres.exit_code is not None:
                self._say("PostgreSQL ended; starting it again")
                self._postgres.begin()
                self._watch_postgres()
                await asyncio.to_thread(self._postgres.wait)
            if time.monotonic() - rotated > _ROTATE_SECONDS:
                rotated = time.monotonic()
                self._logs.rotate([*self._children, "postgres"])

    async def stop(self) -> None:
        """End everything in order, each child gently first; PostgreSQL last. May be cancelled to call `kill`."""
        for names in _STOP_ORDER:
            children = [self._children[name] for name in names if name in self._children]
            for child in children:
                _signal(child, signal.SIGTERM)
            await asyncio.gather(*(asyncio.to_thread(_wait, child) for child in children))
            for child in children:
                self._end(child)
        await asyncio.to_thread(self._postgres.stop)
        self._close()

    def kill(self) -> None:
        """End everything at once; what was committed is kept."""
        for child in self._children.values():
            self._end(child)
        self._postgres.stop(timeout_seconds=1)
        self._close()

    def _look_after(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_again_at:
                self._start(child)
                self._remember_pids()
            return
        code = child.process.poll()
        if code is None:
            return
        name = child.plan.name
        self._end(child)
        child.ends += 1
        if not self._settled:
            self._give_up_when_hopeless(child)
        if now - child.started > _STEADY_SECONDS:
            child.pause_seconds = _FIRST_PAUSE_SECONDS
        self._say(f"{name} ended ({_how(code)}); starting it again in {child.pause_seconds:g} s")
        child.start_again_at = now + child.pause_seconds
        child.pause_seconds = min(2 * child.pause_seconds, _LONGEST_PAUSE_SECONDS)

    def _give_up_when_hopeless(self, child: _Child) -> None:
        """Another start does not help against settings that are refused, nor after some others that failed."""
        name = child.plan.name
        said = self._logs.said_since(name, child.log_size)
        refusal = refusal_in(said)
        if refusal is not None:
            raise SettingsRefused(refusal)
        if child.ends >= _MOST_ENDS_AT_START:
            why = told_in(said) or "\n".join(["its log ends with:", *said])
            raise ServiceFailed(f"{name} does not start ({self._logs.path(name)}): {why}")

    def _start(self, child: _Child) -> None:
        child.log_size = self._logs.size(child.plan.name)
        with self._logs.path(child.plan.name).open("ab") as log:
            child.process = start_child(
                child.plan.arguments,
                environment=child.plan.environment,
                output=log,
                directory=REPOSITORY,
                death_signal=signal.SIGTERM,
            )
        child.started = time.monotonic()
        self._tell_watchdog(f"+{child.process.pid} {int(signal.SIGTERM)} {_STOP_SECONDS}")

    def _end(self, child: _Child) -> None:
        """Make sure that a child and its own children are gone, and forget it."""
        if child.process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()
        self._tell_watchdog(f"-{child.process.pid}")
        child.process = None

    def _watch_postgres(self) -> None:
        if self._watched_postgres:
            self._tell_watchdog(f"-{self._watched_postgres}")
        self._watched_postgres = self._postgres.pid or 0
        if self._watched_postgres:
            self._tell_watchdog(f"+{self._watched_postgres} {int(signal.SIGINT)} 20")

    def _tell_watchdog(self, line: str) -> None:
        if self._watchdog.stdin is not None and not self._watchdog.stdin.closed:
            with suppress(BrokenPipeError):
                self._watchdog.stdin.write(f"{line}\n".encode())

    def _remember_pids(self) -> None:
        lines = [f"{child.process.pid} {child.plan.module}" for child in self._children.values() if child.process]
        write_whole(self._pids, "\n".join(lines) + "\n")

    def _close(self) -> None:
        self._tell_watchdog(f"-{self._watched_postgres}")
        if self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
        self._watchdog.wait()
        self._pids.unlink(missing_ok=True)


def end_left_overs(pids: Path) -> None:
    """End services of a run whose supervisor was killed. The caller holds the data folder, so nobody else owns them."""
    if not pids.exists():
        return
    for line in pids.read_text().splitlines():
        pid, _, module = line.partition(" ")
        if module and f"-m {module} " in command_line(int(pid)):  # The id may belong to a stranger by now.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(int(pid), signal.SIGKILL)
    pids.unlink(missing_ok=True)


def _runs(child: _Child) -> bool:
    return child.process is not None and child.process.poll() is None


def _wait(child: _Child) -> None:
    if child.process is not None:
        with suppress(subprocess.TimeoutExpired):
            child.process.wait(_STOP_SECONDS)


def _signal(child: _Child, number: signal.Signals) -> None:
    if child.process is not None and _runs(child):
        child.process.send_signal(number)


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
