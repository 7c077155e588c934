"""The Parser that reads each file in a process of its own, within limits."""

import asyncio
import contextlib
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from services.ingest.adapters.parsing.choosing import DoclingUse
from services.ingest.errors import FileBroken, FileWithoutText, ParsingTimeout
from services.ingest.models import Block, BlockKind, PageNote, PageProblem, ParsedDocument, TablePlace

logger = logging.getLogger(__name__)

_CHILD_MODULE = "services.ingest.adapters.parsing_child"
_KEPT_STDERR_BYTES = 2_000


class ParsingProcess:
    """Parses by `parsing_child`, one new process a file: 0.1 s buys that nothing a file does outlives its parsing.

    A process that outstays `timeout_seconds` is killed (ParsingTimeout); one that uses more CPU or memory than it may,
    or dies in any other way, means FileBroken.
    """

    def __init__(
        self, *, timeout_seconds: float, memory_bytes: int, max_parallel: int, docling: DoclingUse | None = None
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._memory_bytes = memory_bytes
        self._docling_arguments = docling.arguments if docling else []
        self._turns = asyncio.Semaphore(max_parallel)

    async def parse(self, path: Path, extension: str) -> ParsedDocument:
        async with self._turns:
            output = await self._run(path, extension)
        # A thread, because reading tens of megabytes of JSON would hold up everything else.
        return await asyncio.to_thread(_read_outcome, output)

    async def _run(self, path: Path, extension: str) -> bytes:
        with path.open("rb") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                _CHILD_MODULE,
                extension,
                str(self._memory_bytes),
                str(int(self._timeout_seconds) + 1),
                *self._docling_arguments,
                stdin=file,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=child_environment(),
                start_new_session=True,  # Ctrl-C in a terminal is for the server, which then ends its children
            )
        try:
            async with asyncio.timeout(self._timeout_seconds):
                output, complaints = await process.communicate()
        except TimeoutError as error:
            raise ParsingTimeout(f"the file could not be read within {self._timeout_seconds:g} seconds") from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0:
            logger.warning(
                "parsing.died",
                extra={
                    "extension": extension,
                    "exit_status": process.returncode,
                    "complaint_kind": _kind_of(complaints[-_KEPT_STDERR_BYTES:]),
                },
            )
            raise FileBroken("the file is damaged, or needs more memory or time to read than is allowed")
        return output


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


def _table_place(place: list[int] | None, headers: list[tuple[str, ...]]) -> TablePlace | None:
    if place is None:
        return None
    table, row, header = place
    return TablePlace(table, row, headers[header])


def _read_outcome(output: bytes) -> ParsedDocument:
    try:
        outcome: dict[str, Any] = json.loads(output)
    except ValueError as error:
        raise FileBroken("the file is damaged") from error
    match outcome.get("failure"):
        case "FILE_WITHOUT_TEXT":
            raise FileWithoutText(outcome["detail"])
        case "FILE_BROKEN":
            raise FileBroken(outcome["detail"])
    paths = [tuple(path) for path in outcome["paths"]]
    headers = [tuple(header) for header in outcome["headers"]]
    blocks = tuple(
        Block(BlockKind(kind), start, end, page, paths[path], _table_place(table, headers))
        for kind, start, end, page, path, table in outcome["blocks"]
    )
    notes = tuple(PageNote(page, PageProblem(reason), detail) for page, reason, detail in outcome["page_notes"])
    return ParsedDocument(outcome["text"], blocks, outcome["title"], outcome["page_count"], notes)
