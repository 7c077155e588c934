"""One run of the local system, from the lock on its data folder to the last process that ends."""

import asyncio
import signal
import time
from collections.abc import Mapping
from contextlib import suppress

from deploy.local import rest
from deploy.local.data_folder import DoneOnce, generated_secrets, held
from deploy.local.databases import (
    ACCESS_RULES,
    EMPTY_DATABASE,
    READER,
    SAMPLE_FOLDER,
    SHOP_DATABASE,
    STORE_DATABASE,
    STORE_ROLES,
    provision_empty,
    provision_shop,
    provision_store,
)
from deploy.local.embedded_postgres import EmbeddedPostgres
from deploy.local.errors import KeyNeeded, LocalError
from deploy.local.logs import LogFolder, advice_in
from deploy.local.plan import Addresses, plan
from deploy.local.run_folder import RunFolder, run_folder
from deploy.local.seeding import seed
from deploy.local.settings import LocalSettings, check_free
from deploy.local.supervisor import Supervisor, end_left_overs

_HEALTH_PATIENCE_SECONDS = 120.0
_SLOW_SECONDS = 15.0  # after which it is told what is being waited for
_ADVISED_LINES = 2_000
_ADVICE_SECONDS = 2.0


class StopSignals:
    """Ctrl-C, SIGTERM and a closed terminal: the first asks to stop, the second to stop at once."""

    def __init__(self) -> None:
        self.first, self.second = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_IGN and number is signal.SIGHUP:
                continue  # Started with nohup: meant to outlive its terminal.
            asyncio.get_running_loop().add_signal_handler(number, self._received)

    def _received(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


async def run(settings: LocalSettings) -> int:
    """Run everything until a stop signal. Returns: 0. Raises: LocalError: the system cannot start or go on."""
    signals = StopSignals()
    with held(settings.data_dir, settings.local_url):
        end_left_overs(settings.data_dir / "pids")
        check_free(settings)
        with run_folder(settings.data_dir) as folder:
            await _run_in(settings, folder, signals)
    _say("stopped")
    return 0


async def _run_in(settings: LocalSettings, folder: RunFolder, signals: StopSignals) -> None:
    began = time.monotonic()
    secrets = generated_secrets(settings.data_dir)
    logs = LogFolder(settings.data_dir / "logs")
    postgres = EmbeddedPostgres(
        settings.data_dir / "postgres", folder.postgres, access_rules=ACCESS_RULES, log=logs.path("postgres")
    )
    try:
        prepared = DoneOnce(settings.data_dir / "prepared.json")
        if not len(prepared):
            _say("first start: setting up PostgreSQL and the sample data..." if settings.sample else "first start...")
        postgres.begin()
        await _prepare(settings, postgres, secrets, prepared)
        if signals.first.is_set():
            postgres.stop()
            return
        addresses = Addresses(
            internal_key=secrets["internal_key"],
            target_url=_target_url(settings, postgres, secrets),
            store_urls={name: postgres.url(STORE_DATABASE, role, secrets[role]) for name, role in STORE_ROLES.items()},
        )
        plans = plan(settings, folder, addresses)
        supervisor = Supervisor(postgres, plans, logs, settings.data_dir / "pids", _say)
    except BaseException:
        postgres.stop()
        raise
    try:
        advice = Advice(logs, [service.name for service in plans])
        supervisor.start()
        await asyncio.to_thread(postgres.wait)
        await _supervise(settings, supervisor, signals, began, advice)
    finally:
        await _stop(supervisor, signals)


async def _prepare(
    settings: LocalSettings, postgres: EmbeddedPostgres, secrets: Mapping[str, str], prepared: DoneOnce
) -> None:
    """Make the databases and roles that this run needs and no run before it has made."""
    steps = [("store", lambda: provision_store(postgres, secrets))]
    if settings.database_url is None and settings.sample:
        steps.append(("shop", lambda: provision_shop(postgres, secrets[READER])))
    elif settings.database_url is None:
        steps.append(("empty", lambda: provision_empty(postgres, secrets[READER])))
    for name, step in steps:
        if name not in prepared:
            await asyncio.to_thread(postgres.wait)
            await asyncio.to_thread(step)
            prepared.add(name)


def _target_url(settings: LocalSettings, postgres: EmbeddedPostgres, secrets: Mapping[str, str]) -> str:
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return postgres.url(SHOP_DATABASE if settings.sample else EMPTY_DATABASE, READER, secrets[READER])


class Advice:
    """What the services' logs advise since the start, each told once."""

    def __init__(self, logs: LogFolder, names: list[str]) -> None:
        self._logs = logs
        self._sizes = {name: logs.size(name) for name in names}
        self._told: set[str] = set()

    def tell(self) -> None:
        """Tell what has been added since the last time."""
        for name, size in list(self._sizes.items()):
            self._sizes[name] = self._logs.size(name)
            for advice in advice_in(self._logs.said_since(name, size, _ADVISED_LINES)):
                if advice not in self._told:
                    self._told.add(advice)
                    _say(f"{name}: {advice}")


async def _supervise(
    settings: LocalSettings, supervisor: Supervisor, signals: StopSignals, began: float, advice: Advice
) -> None:
    """Watch the children and report when they are up, until a stop signal. Raises what ends either of the two."""
    watching = asyncio.create_task(supervisor.watch())
    rising = asyncio.create_task(_rise(settings, supervisor, began, advice))
    stopped = asyncio.create_task(signals.first.wait())
    # Some things show at the first question only, such as patterns that match nothing in the schema.
    advising = asyncio.create_task(_go_on_telling(advice))
    tasks = {watching, rising, stopped, advising}
    try:
        while not stopped.done():
            done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()
    finally:
        for task in (watching, rising, stopped, advising):
            task.cancel()
            with suppress(asyncio.CancelledError, LocalError):
                await task


async def _go_on_telling(advice: Advice) -> None:
    while True:
        await asyncio.sleep(_ADVICE_SECONDS)
        advice.tell()


async def _rise(settings: LocalSettings, supervisor: Supervisor, began: float, advice: Advice) -> None:
    """Wait for health, load the sample documents, and greet."""
    url = settings.local_url
    unwell = "nobody answers"
    is_told = False
    while time.monotonic() - began < _HEALTH_PATIENCE_SECONDS:
        reply = await asyncio.to_thread(rest.get, f"{url}/health")
        if isinstance(reply.body, dict):
            if reply.body.get("status") == "healthy":
                unwell = ""
                break
            services = reply.body.get("services") or {}
            unwell = ", ".join(sorted(f"{name}: {state}" for name, state in services.items() if state != "healthy"))
        advice.tell()
        if not is_told and time.monotonic() - began > _SLOW_SECONDS:
            is_told = True
            _say(f"still waiting ({unwell})")
        await asyncio.sleep(0.05)
    supervisor.settle()
    advice.tell()
    if unwell:
        _say(f"up at {url}, but not all is well ({unwell}); the logs are in {settings.data_dir / 'logs'}")
        return
    healthy_seconds = time.monotonic() - began
    if settings.sample:
        done = DoneOnce(settings.data_dir / "sample-documents.json")
        documents = sorted((SAMPLE_FOLDER / "documents").iterdir())
        if any(document.name not in done for document in documents):
            _say("loading the sample documents...")
            try:
                await asyncio.to_thread(seed, url, documents, done)
            except KeyNeeded:
                _say("the API asks for a key, so the sample documents are not loaded; upload your own")
    _say(f"Diglot is up at {url} (healthy after {healthy_seconds:.1f} s; Ctrl-C stops it)\n{_things_to_try(settings)}")


async def _stop(supervisor: Supervisor, signals: StopSignals) -> None:
    """Stop in order; at once when a further signal asks for it."""
    _say("stopping...")
    gently = asyncio.create_task(supervisor.stop())
    at_once = asyncio.create_task(signals.second.wait())
    await asyncio.wait({gently, at_once}, return_when=asyncio.FIRST_COMPLETED)
    at_once.cancel()
    if not gently.done():
        gently.cancel()
        with suppress(asyncio.CancelledError):
            await gently
        supervisor.kill()
    else:
        gently.result()


def _things_to_try(settings: LocalSettings) -> str:
    url = settings.local_url

    def post(path: str, body: str) -> str:
        return f"  curl -s {url}{path} -H 'Content-Type: application/json' -d '{body}'"

    upload = f"  curl -s {url}/upload -F file=@README.md      # or any document of your own"
    if settings.sample and settings.database_url is None:
        lines = [
            post("/query", '{"query": "How many customers do we have?", "auto_approve_sql": true}'),
            post("/query/documents", '{"query": "What are the remote work hours?"}'),
            post(
                "/query", '{"query": "Show me total sales and explain our vacation policy", "auto_approve_sql": true}'
            ),
        ]
    elif settings.database_url is not None:
        schema = f"  curl -s {url}/sql/schema      # the tables and columns that questions can reach"
        count = post("/query", '{"query": "How many TABLE are there?"}') + "      # TABLE: the name of one of them"
        lines = [f"  curl -s {url}/info", schema, count]
    else:
        lines = [
            upload,
            post("/query/documents", '{"query": "Which commands start the system?"}'),
            f"  curl -s {url}/stats",
        ]
    return "\n".join(["Three things to try:", *lines, f"All calls: {url}/docs"])


def _say(line: str) -> None:
    with suppress(BrokenPipeError):  # A console that went away is no reason to stop.
        print(f"diglot: {line}", flush=True)
