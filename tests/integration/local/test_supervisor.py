"""The supervisor with real processes: it keeps them up, ends them in order, and none outlives it."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from deploy.local import supervisor as supervisor_module
from deploy.local.embedded_postgres import EmbeddedPostgres
from deploy.local.errors import ServiceFailed, SettingsRefused
from deploy.local.logs import LogFolder
from deploy.local.plan import ServiceProcess
from deploy.local.settings import REPOSITORY
from deploy.local.supervisor import Supervisor, end_left_overs
from tests.integration.local.processes import lives

MODULE = "tests.integration.local.stand_in"


def stand_in(name: str, folder: Path, **environment: str) -> ServiceProcess:
    values = {"NAME": name, "PIDS": str(folder / "started"), "PATH": os.environ["PATH"], **environment}
    return ServiceProcess(name, MODULE, values)


def started(folder: Path) -> list[int]:
    path = folder / "started"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (what is waited for happens in other processes)
            await asyncio.sleep(0.02)


class Machine:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "s").mkdir(mode=0o700)
        self.postgres = EmbeddedPostgres(folder / "pg", folder / "s")
        self.said: list[str] = []

    @asynccontextmanager
    async def supervising(self, *plans: ServiceProcess) -> AsyncIterator[tuple[Supervisor, "asyncio.Task[None]"]]:
        self.postgres.start()
        logs = LogFolder(self.folder / "logs")
        supervisor = Supervisor(self.postgres, plans, logs, self.folder / "pids", self.said.append)
        supervisor.start()
        watching = asyncio.create_task(supervisor.watch())
        try:
            yield supervisor, watching
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError, ServiceFailed, SettingsRefused):
                await watching
            supervisor.kill()


@pytest.fixture
def machine(make_folder: Callable[[], Path]) -> Machine:
    return Machine(make_folder())


async def test_a_service_that_is_killed_comes_back(machine: Machine) -> None:
    async with machine.supervising(stand_in("rag", machine.folder)):
        await until(lambda: len(started(machine.folder)) == 2)
        first, grandchild = started(machine.folder)

        os.kill(first, signal.SIGKILL)
        await until(lambda: len(started(machine.folder)) == 4)

        assert machine.said == ["rag ended (signal SIGKILL); starting it again in 0.25 s"]
        assert not lives(grandchild)
        assert (machine.folder / "logs" / "rag.log").read_text() == "up rag\nup rag\n"


async def test_postgresql_comes_back_when_it_is_killed(machine: Machine) -> None:
    async with machine.supervising():
        first = machine.postgres.pid
        assert first is not None

        os.kill(first, signal.SIGKILL)
        await until(lambda: machine.postgres.pid not in (None, first))

        await asyncio.to_thread(machine.postgres.wait)
        assert machine.said == ["PostgreSQL ended; starting it again"]


async def test_a_service_that_cannot_start_is_given_up_with_the_end_of_its_log(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "_LONGEST_PAUSE_SECONDS", 0.25)
    async with machine.supervising(stand_in("sql", machine.folder, FAIL="1")) as (_, watching):
        with pytest.raises(ServiceFailed, match=r"(?s)sql does not start.*up sql"):
            await asyncio.wait_for(watching, 20)


async def test_settings_that_a_service_refuses_end_the_start_at_once_in_its_words_of_now(machine: Machine) -> None:
    log = machine.folder / "logs" / "rag.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("settings refused: OLD: is not set\n")
    said = "settings refused: PINECONE_API_KEY: is not set (for example PINECONE_API_KEY=pcsk_...)"
    async with machine.supervising(stand_in("rag", machine.folder, SAY=said)) as (_, watching):
        with pytest.raises(SettingsRefused) as caught:
            await asyncio.wait_for(watching, 20)

    assert str(caught.value) == said.removeprefix("settings refused: ")
    assert caught.value.exit_code == 2
    assert log.read_text().count("PINECONE") == 2
    assert machine.said == []


async def test_what_a_service_tells_whoever_starts_it_is_told_instead_of_its_log(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "_LONGEST_PAUSE_SECONDS", 0.25)
    said = '{"event": "server.start_failed", "told": "There is no index: make it."}'
    async with machine.supervising(stand_in("rag", machine.folder, SAY=said)) as (_, watching):
        with pytest.raises(ServiceFailed, match=r"rag does not start \(.*rag.log\): There is no index: make it\.$"):
            await asyncio.wait_for(watching, 20)


async def test_a_stop_ends_the_gateway_first_then_callers_then_callees(machine: Machine) -> None:
    names = ("rag", "router", "gateway")
    async with machine.supervising(*(stand_in(name, machine.folder) for name in names)) as (supervisor, watching):
        await until(lambda: len(started(machine.folder)) == 6)
        watching.cancel()

        await supervisor.stop()

        assert (machine.folder / "started.ends").read_text().split() == ["gateway", "router", "rag"]
        assert not any(map(lives, started(machine.folder)))
        assert machine.postgres.pid is None
        assert not (machine.folder / "pids").exists()


async def test_a_service_that_ignores_the_stop_is_ended_by_force(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "_STOP_SECONDS", 0.3)
    async with machine.supervising(stand_in("rag", machine.folder, STUBBORN="1")) as (supervisor, watching):
        await until(lambda: len(started(machine.folder)) == 2)
        watching.cancel()

        await supervisor.stop()

        assert not any(map(lives, started(machine.folder)))


SUPERVISED = """
import asyncio, sys
from pathlib import Path
from tests.integration.local.test_supervisor import Machine, stand_in
import deploy.local.child_processes as child_processes
if sys.argv[2] == "portable":
    child_processes._LIBC = None
async def main():
    machine = Machine(Path(sys.argv[1]))
    async with machine.supervising(stand_in("rag", machine.folder)):
        print(machine.postgres.pid, flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.mark.parametrize("system", ["linux", "portable"])
async def test_nothing_outlives_a_supervisor_that_was_killed(make_folder: Callable[[], Path], system: str) -> None:
    folder = make_folder()
    command = [sys.executable, "-c", SUPERVISED, str(folder), system]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, cwd=REPOSITORY)
    assert process.stdout is not None
    postgres = int(await process.stdout.readline())
    await until(lambda: len(started(folder)) == 2)

    process.kill()
    await process.communicate()

    await until(lambda: not any(map(lives, [postgres, *started(folder)])))


async def test_services_left_over_from_a_killed_run_are_ended_and_strangers_are_not(tmp_path: Path) -> None:
    left_over = subprocess.Popen(  # noqa: ASYNC220 (it has to outlive this call)
        [sys.executable, "-m", MODULE],
        env=dict(stand_in("rag", tmp_path).environment),
        cwd=REPOSITORY,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)  # noqa: ASYNC220 (as above)
    pids = tmp_path / "pids"
    pids.write_text(f"{left_over.pid} {MODULE}\n{stranger.pid} {MODULE}\n")
    await until(lambda: len(started(tmp_path)) == 2)

    end_left_overs(pids)

    assert left_over.wait(5) == -signal.SIGKILL
    await asyncio.sleep(0.05)
    assert stranger.poll() is None
    assert not pids.exists()
    stranger.kill()
    stranger.wait()
