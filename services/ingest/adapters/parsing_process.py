"""The Parser that reads each file in a process of its own, within limits."""

import asyncio
import contextlib
import io
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.ingest.adapters.parsing.choosing import NO_HELP, ReadingHelp
from services.ingest.adapters.parsing.formats import OnPage
from services.ingest.errors import FileBroken, FileWithoutText, ParsingTimeout
from services.ingest.models import Block, BlockKind, PageNote, PageProblem, ParsedDocument, TablePlace

logger = logging.getLogger(__name__)

_CHILD_MODULE = "services.ingest.adapters.parsing_child"
_KEPT_STDERR_BYTES = 2_000
_READ_BYTES = 256 * 1024
_LAST_WORDS_SECONDS = 1.0
_DAMAGED = "the file is damaged, or needs more memory or time to read than is allowed"


@dataclass(frozen=True)
class Bounds:
    """What a parsing process may take: in all, without a word of a page, of memory, of processors."""

    timeout_seconds: float
    quiet_seconds: float
    memory_bytes: int
    cpu_seconds: int


class ParsingProcess:
    """Parses by `parsing_child`, one new process a file: 0.1 s buys that nothing a file does outlives its parsing.

    A process that outstays `timeout_seconds` is killed (ParsingTimeout); so is one that says for `quiet_seconds` of no
    page that it is done. Files that helpers may read have bounds of their own, without the latter. A process that uses
    more CPU or memory than it may, says more than `max_output_bytes`, or dies in any other way, means FileBroken.
    """

    def __init__(
        self,
        *,
        timeout_seconds: float,
        memory_bytes: int,
        max_parallel: int,
        reading_help: ReadingHelp = NO_HELP,
        help_memory_bytes: int | None = None,
        help_timeout_seconds: float | None = None,
        quiet_seconds: float | None = None,
        max_output_bytes: int = 256 * 1024 * 1024,
    ) -> None:
        self._bounds = Bounds(
            timeout_seconds,
            min(quiet_seconds or timeout_seconds, timeout_seconds),
            memory_bytes,
            int(timeout_seconds) + 1,
        )
        self._max_output_bytes = max_output_bytes
        self._help = reading_help
        help_seconds = max(help_timeout_seconds or 0, timeout_seconds)
        # Models tell of no page while they are loaded, take their time with each, and keep two processors busy.
        self._help_bounds = Bounds(
            help_seconds, help_seconds, max(help_memory_bytes or 0, memory_bytes), 2 * int(help_seconds) + 1
        )
        self._turns = asyncio.Semaphore(max_parallel)

    async def parse(self, path: Path, extension: str, *, on_page: OnPage | None = None) -> ParsedDocument:
        async with self._turns:
            output = await self._run(path, extension, on_page)
        # A thread, because reading tens of megabytes would hold up everything else.
        return await asyncio.to_thread(_read_outcome, output)

    async def _run(self, path: Path, extension: str, on_page: OnPage | None) -> bytearray:
        async with self._child(path, extension) as (process, progress):
            if process.stdout is None or process.stderr is None:
                raise FileBroken(_DAMAGED)
            reading = asyncio.gather(_read(process.stdout, self._max_output_bytes), _read_end(process.stderr))
            told_all = asyncio.Event()
            telling = asyncio.create_task(_keep_time(progress, self._bounds_of(extension), on_page, told_all))
            try:
                both: list[asyncio.Future[Any]] = [reading, telling]
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    telling.result()  # raises
                output, complaints = await reading
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(told_all.wait(), _LAST_WORDS_SECONDS)
            finally:
                for task in (reading, telling):
                    task.cancel()
                await asyncio.gather(reading, telling, return_exceptions=True)
            if output is None:
                raise FileBroken("the file holds more text than is taken; split it into several")
            await process.wait()
        if process.returncode != 0:
            logger.warning(
                "parsing.died",
                extra={
                    "extension": extension,
                    "exit_status": process.returncode,
                    "complaint_kind": _kind_of(complaints),
                },
            )
            raise FileBroken(_DAMAGED)
        return output

    @asynccontextmanager
    async def _child(
        self, path: Path, extension: str
    ) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.StreamReader]]:
        """The process and what it says of its progress. It has ended when the context is left."""
        read_end, write_end = os.pipe()
        with path.open("rb") as file, os.fdopen(read_end, "rb", buffering=0) as progress_file:
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    _CHILD_MODULE,
                    extension,
                    str(self._bounds_of(extension).memory_bytes),
                    str(self._bounds_of(extension).cpu_seconds),
                    str(write_end),
                    *self._help.arguments,
                    stdin=file,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env=child_environment(),
                    start_new_session=True,  # Ctrl-C in a terminal is for the server, which then ends its children
                    pass_fds=(write_end,),
                )
            finally:
                os.close(write_end)
            loop = asyncio.get_running_loop()
            progress = asyncio.StreamReader(limit=1024)
            transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(progress), progress_file)
            try:
                yield process, progress
            finally:
                transport.close()
                # The whole group: the process may have made copies of itself, which outlive it where it died.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    def _bounds_of(self, extension: str) -> Bounds:
        return self._help_bounds if self._help.may_read(extension) else self._bounds


async def _keep_time(
    progress: asyncio.StreamReader, bounds: Bounds, on_page: OnPage | None, told_all: asyncio.Event
) -> None:
    """Tell of pages until the time is up. Raises ParsingTimeout; returns never."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + bounds.timeout_seconds
    quiet_until = loop.time() + bounds.quiet_seconds
    while True:
        try:
            async with asyncio.timeout_at(min(ends_at, quiet_until)):
                line = await _line(progress, told_all)
        except TimeoutError as error:
            seconds = bounds.timeout_seconds if loop.time() >= ends_at else bounds.quiet_seconds
            raise ParsingTimeout(f"the file could not be read within {seconds:g} seconds") from error
        if (place := _page_of(line)) is not None:
            quiet_until = loop.time() + bounds.quiet_seconds
            if on_page is not None:
                on_page(*place)


async def _line(stream: asyncio.StreamReader, told_all: asyncio.Event) -> bytes:
    """The next line; after the last, waits for ever: whoever falls silent gets no more time than others."""
    try:
        line = await stream.readline()
    except ValueError:  # longer than any of ours
        return b""
    if not line:
        told_all.set()
        await asyncio.Event().wait()
    return line


def _page_of(line: bytes) -> tuple[int, int] | None:
    """The page that is done and the number of pages. A child in foreign hands may say anything."""
    try:
        said = json.loads(line)
        page, page_count = int(said["page"]), int(said["of"])
    except (ValueError, KeyError, TypeError):
        return None
    return (page, page_count) if 1 <= page <= page_count <= 1_000_000 else None


async def _read(stream: asyncio.StreamReader, most: int) -> bytearray | None:
    """All of it; None when that is too much."""
    read = bytearray()
    while part := await stream.read(_READ_BYTES):
        read += part
        if len(read) > most:
            return None
    return read


async def _read_end(stream: asyncio.StreamReader) -> bytes:
    """The end of it, however much there is."""
    kept = b""
    while part := await stream.read(_READ_BYTES):
        kept = (kept + part)[-_KEPT_STDERR_BYTES:]
    return kept


def child_environment() -> dict[str, str]:
    """What Python needs to find its modules and nothing else: no key, no address, no password."""
    return {
        "PYTHONPATH": os.pathsep.join(part for part in sys.path if part),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
        "PATH": os.defpath,
    }


def _kind_of(complaints: bytes) -> str:
    """The class of a Python error, without its text, which may quote the file."""
    last_line = complaints.decode("utf-8", "replace").strip().rpartition("\n")[2]
    name = last_line.split(":", 1)[0]
    return name if name.replace(".", "").isidentifier() else ""


def _read_outcome(output: bytearray) -> ParsedDocument:
    try:
        return _read_parts(memoryview(output))
    except (ValueError, KeyError, TypeError, IndexError) as error:  # said by something other than our parsers
        raise FileBroken("the file is damaged") from error


def _read_parts(output: memoryview) -> ParsedDocument:
    end = bytes(output[:_READ_BYTES]).find(b"\n")
    end = end if end >= 0 else bytes(output).index(b"\n")
    outcome: dict[str, Any] = json.loads(bytes(output[:end]))
    match outcome.get("failure"):
        case "FILE_WITHOUT_TEXT":
            raise FileWithoutText(outcome["detail"])
        case "FILE_BROKEN":
            raise FileBroken(outcome["detail"])
    text_ends = end + 1 + outcome["text_bytes"]
    text = str(output[end + 1 : text_ends], "utf-8")
    paths = [tuple(path) for path in outcome["paths"]]
    headers = [tuple(header) for header in outcome["headers"]]
    blocks = tuple(
        Block(
            BlockKind(kind), start, end, page, paths[path], table and TablePlace(table[0], table[1], headers[table[2]])
        )
        for kind, start, end, page, path, table in map(
            json.loads, io.BytesIO(output[text_ends : text_ends + outcome["blocks_bytes"]])
        )
    )
    notes = tuple(PageNote(page, PageProblem(reason), detail) for page, reason, detail in outcome["page_notes"])
    return ParsedDocument(text, blocks, outcome["title"], outcome["page_count"], notes)
