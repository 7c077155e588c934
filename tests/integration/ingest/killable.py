"""Processes of the ingest service that kill themselves right after a given call of a given port.

Run as a module, it forks one for each line of JSON it reads, and tells how that ended. The process is the service as it
is wired, on its real adapters; only their calls are watched, so that no part of the product knows of any of this.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import json
import os
import shutil
import signal
import sys
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

# A fork must not find gRPC's own threads; nothing of it is started here before the fork.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

from protos.ingest.v1 import ingest_service_pb2 as messages
from services.ingest import wiring
from services.ingest.adapters.parsing.choosing import ReadingHelp, parse_by_choice
from services.ingest.adapters.wordpiece_tokens import WordPieceTokens
from services.ingest.errors import IndexRefused
from services.ingest.models import FoundImage, ParsedDocument
from services.ingest.service import IngestServicer
from services.ingest.settings import IngestSettings
from services.transport.identity import Caller, acting_as
from services.transport.settings import TransportSettings

# What only looks, and what comes by the clock.
_UNWATCHED = ("get", "find", "list", "count", "is_", "load", "read", "heartbeat", "keep_deletion", "images", "limits")
_LONG_ENOUGH_SECONDS = 60.0
# What the service imports when it needs it: once before all forks instead of in each.
_NEEDED = (
    "psycopg_pool",
    "pypdfium2",
    "services.ingest.adapters.local_files",
    "services.ingest.adapters.local_uploads",
    "services.ingest.adapters.parsing.markdown",
    "services.ingest.adapters.parsing.pdf",
    "services.ingest.adapters.postgres_documents",
    "services.ingest.adapters.postgres_jobs",
    "services.storage.postgres",
    "tokenizers",
)


class Watch:
    """Counts the calls of ports once it is armed, writes them down, and kills the process after one of them."""

    def __init__(self, point: str | None, log: str | None) -> None:
        self.armed = False
        self.index_refuses = False
        self._point = point
        self._log = Path(log) if log else None
        self._counts: Counter[str] = Counter()
        self._states: set[str] = set()

    def is_new(self, state: str) -> bool:
        """Whether the process enters a state for the first time."""
        is_new = state not in self._states
        self._states.add(state)
        return is_new

    def did(self, call: str) -> None:
        """A call has had its effect, and nobody has heard of it yet."""
        if not self.armed:
            return
        self._counts[call] += 1
        place = f"{call}:{self._counts[call]}"
        if self._log is not None:
            with self._log.open("a") as file:
                file.write(place + "\n")
        if place == self._point:
            os.kill(os.getpid(), signal.SIGKILL)


class Watched:
    """A part of the service whose calls are watched."""

    def __init__(self, part: Any, name: str, watch: Watch) -> None:
        self._part, self._name, self._watch = part, name, watch

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._part, method)
        if not asyncio.iscoroutinefunction(found) or method.startswith(_UNWATCHED):
            return found

        async def watched(*arguments: Any, **options: Any) -> Any:
            if self._name == "indexer" and self._watch.index_refuses and method == "index":
                raise IndexRefused("refused for a while", index_reason="TEST")
            progress = options.get("progress")
            if callable(progress):
                options["progress"] = self._told(progress)
            result = await found(*arguments, **options)
            if method != "advance":
                self._watch.did(f"{self._name}.{method}")
            elif self._watch.is_new(arguments[1]):  # counts are told by the clock, states are not
                self._watch.did(f"{self._name}.{method}.{arguments[1]}")
            return result

        return watched

    def _told(self, progress: Callable[[int], Awaitable[None]]) -> Callable[[int], Awaitable[None]]:
        async def tell(done: int) -> None:
            self._watch.did("indexer.batch")
            await progress(done)

        return tell


@functools.cache
def _tokens() -> WordPieceTokens:
    return WordPieceTokens()


class _HereParser:
    """Parses in this process: a process for each file costs more than all the rest."""

    async def parse(
        self, path: Path, extension: str, *, on_page: Callable[[int, int], None] | None = None
    ) -> ParsedDocument:
        return parse_by_choice(await asyncio.to_thread(path.read_bytes), extension, ReadingHelp(), on_page)


class _TwoImages:
    """Two images in every PDF."""

    async def images(self, path: Path) -> AsyncIterator[FoundImage]:
        for page in (1, 2):
            yield FoundImage(page, 20, 10, "image/png", b"image %d" % page)


@contextmanager
def _watched_disk(watch: Watch) -> Any:
    replace, rmtree = Path.replace, shutil.rmtree

    def slow_replace(path: Path, target: Path) -> Path:
        watch.did("disk.written")  # and not renamed
        return replace(path, target)

    def slow_rmtree(*arguments: Any, **options: Any) -> None:
        watch.did("disk.unlinked")  # the original alone
        rmtree(*arguments, **options)

    disk: Any = shutil
    path: Any = Path
    path.replace, disk.rmtree = slow_replace, slow_rmtree
    yield
    path.replace, disk.rmtree = replace, rmtree


def _wire(watch: Watch) -> list[IngestServicer]:
    """Have the service wired with watched parts; the list gets its servicer."""
    made: list[IngestServicer] = []
    parts: Any = wiring
    open_stores, open_files, rag_indexer = parts._open_stores, parts._open_files, parts.RagChunkIndexer

    @asynccontextmanager
    async def stores(settings: IngestSettings) -> Any:
        async with open_stores(settings) as (jobs, registry):
            yield Watched(jobs, "jobs", watch), Watched(registry, "registry", watch)

    @contextmanager
    def files(*arguments: Any) -> Any:
        with open_files(*arguments) as (store, uploads):
            yield Watched(store, "files", watch), uploads

    class Servicer(IngestServicer):
        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            made.append(self)

    parts._open_stores, parts._open_files = stores, files
    parts.RagChunkIndexer = lambda *given, **options: Watched(rag_indexer(*given, **options), "indexer", watch)
    parts.ParsingProcess = lambda **_: Watched(_HereParser(), "parser", watch)
    parts.ImagesProcess = lambda **_: _TwoImages()
    parts.IngestServicer = Servicer
    parts.WordPieceTokens = _tokens
    parts._STORING_IMAGES_SECONDS = 0
    return made


class Actions:
    """What callers of a tenant do, by name; what a scenario needs beforehand, and what is broken off."""

    def __init__(self, servicer: IngestServicer, watch: Watch, files: dict[str, str]) -> None:
        self._servicer, self._watch = servicer, watch
        self._files = {name: Path(path).read_bytes() for name, path in files.items()}

    async def do(self, steps: list[list[str]]) -> None:
        """Steps are `[kind, file, name it comes under]`; a job is the newest one of the tenant."""
        for kind, *given in steps:
            await getattr(self, f"_{kind}")(*given)

    async def _upload(self, file: str, filename: str) -> None:
        request = messages.IngestDocumentRequest(filename=filename, content=self._files[file], tags=["t"])
        await self._servicer.IngestDocument(request, None)

    async def _start(self, file: str, filename: str) -> None:
        request = messages.StartIngestRequest(filename=filename, content=self._files[file], tags=["t"])
        await self._servicer.StartIngest(request, None)

    async def _fail(self, file: str, filename: str) -> None:
        self._watch.index_refuses = True
        try:
            await self._upload(file, filename)
        except IndexRefused:
            return
        finally:
            self._watch.index_refuses = False

    async def _delete(self) -> None:
        listed = await self._servicer.ListDocuments(messages.ListDocumentsRequest(), None)
        for document in listed.documents:
            await self._servicer.DeleteDocument(messages.DeleteDocumentRequest(name=document.name), None)

    async def _cancel(self) -> None:
        await self._servicer.CancelJob(messages.CancelJobRequest(name=await self._newest_job()), None)

    async def _retry(self) -> None:
        await self._servicer.RetryJob(messages.RetryJobRequest(name=await self._newest_job()), None)

    async def _newest_job(self) -> str:
        jobs = (await self._servicer.ListJobs(messages.ListJobsRequest(), None)).jobs
        return str(jobs[0].name)


async def serve(command: dict[str, Any]) -> None:
    """Do what a command says, for each of its tenants; without any, work in the background until told to end."""
    watch = Watch(command.get("point"), command.get("log"))
    made = _wire(watch)
    settings = IngestSettings(
        transport=TransportSettings(internal_key=command["key"]),
        rag_target=command["rag_target"],
        DIGLOT_STORE_URL=command["store_url"],
        DIGLOT_DATA_DIR=Path(command["data_dir"]),
        lease_seconds=2,
        worker_poll_seconds=0.1,
        retry_pause_seconds=0.1,
        index_batch_chunks=4,
        parsing_timeout_seconds=4,  # after so long images are taken for broken off
        background_work=not command["tenants"],
    )
    with _watched_disk(watch):
        async with wiring.open_ingest(settings), asyncio.timeout(_LONG_ENOUGH_SECONDS):
            actions = Actions(made[0], watch, command["files"])
            for tenant in command["tenants"]:
                with acting_as(Caller(tenant, "ann", frozenset({"user"}))):
                    watch.armed = False
                    await actions.do(command["before"])
                    watch.armed = True
                    await actions.do(command["steps"])
            if not command["tenants"]:
                while not Path(command["until"]).exists():  # noqa: ASYNC110, ASYNC240 -- another process makes it
                    await asyncio.sleep(0.05)


def main() -> None:
    """Fork a process for each line, one after the other, and tell its end."""
    for module in _NEEDED:
        importlib.import_module(module)
    _tokens()
    for line in sys.stdin:
        command = json.loads(line)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                asyncio.run(serve(command))
                status = 0
            except Exception:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        _, ended = os.waitpid(child, 0)
        print(json.dumps({"killed": os.WIFSIGNALED(ended), "status": os.waitstatus_to_exitcode(ended)}), flush=True)


if __name__ == "__main__":
    main()
