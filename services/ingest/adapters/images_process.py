"""The ImageReader that reads each PDF in a process of its own, within limits."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from services.ingest.adapters.parsing.pdf_images import MAX_IMAGE_BYTES, MAX_IMAGES
from services.ingest.adapters.parsing_process import child_environment
from services.ingest.errors import FileBroken, ParsingTimeout
from services.ingest.models import IMAGE_EXTENSIONS, FoundImage

logger = logging.getLogger(__name__)

_CHILD_MODULE = "services.ingest.adapters.images_child"
_DAMAGED = "the file is damaged, or needs more memory or time to read than is allowed"


class ImagesProcess:
    """Reads by `images_child`, one image in memory at a time, whoever takes them taking as long as they like.

    A process that leaves us waiting for `timeout_seconds` in all is killed (ParsingTimeout); one that dies, or says
    what it should not, means FileBroken.
    """

    def __init__(self, *, timeout_seconds: float, memory_bytes: int, max_parallel: int = 1) -> None:
        self._timeout_seconds = timeout_seconds
        self._memory_bytes = memory_bytes
        self._turns = asyncio.Semaphore(max_parallel)

    async def images(self, path: Path) -> AsyncGenerator[FoundImage]:
        async with self._turns:
            with path.open("rb") as file:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    _CHILD_MODULE,
                    str(self._memory_bytes),
                    str(int(self._timeout_seconds) + 1),
                    stdin=file,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,
                    env=child_environment(),
                    start_new_session=True,
                )
            try:
                if process.stdout is None:
                    raise FileBroken(_DAMAGED)
                waiting = _Waiting(process.stdout, self._timeout_seconds)
                for _ in range(MAX_IMAGES + 1):
                    image = await waiting.next_image()
                    if image is None:
                        return
                    yield image
                raise FileBroken(_DAMAGED)
            finally:
                await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Kill the process if it still runs, and see it gone even if this is cancelled: it takes no time that counts."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    gone = asyncio.ensure_future(process.wait())
    cancelled: asyncio.CancelledError | None = None
    while not gone.done():
        try:
            await asyncio.shield(gone)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


class _Waiting:
    """What the child sends, and the time left to wait for it. What others take for an image does not count."""

    def __init__(self, stream: asyncio.StreamReader, seconds: float) -> None:
        self._stream = stream
        self._allowed_seconds = self._left_seconds = seconds

    async def next_image(self) -> FoundImage | None:
        """None at the end. Raises FileBroken, ParsingTimeout."""
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        try:
            async with asyncio.timeout(self._left_seconds):
                return await self._read()
        except TimeoutError as error:
            raise ParsingTimeout(f"the file could not be read within {self._allowed_seconds:g} seconds") from error
        except (ValueError, KeyError, TypeError, asyncio.IncompleteReadError) as error:
            # ValueError: a line that is no JSON, or endless. The child died, or something else took over in it.
            logger.warning("images.died", extra={"error_kind": type(error).__name__})
            raise FileBroken(_DAMAGED) from error
        finally:
            self._left_seconds -= loop.time() - began_at

    async def _read(self) -> FoundImage | None:
        said: dict[str, Any] = json.loads(await self._stream.readline())
        if "end" in said:
            if said["end"]:
                raise FileBroken(str(said["end"]))
            return None
        size_bytes = said["size_bytes"]
        if not 0 < size_bytes <= MAX_IMAGE_BYTES or said["content_type"] not in IMAGE_EXTENSIONS:
            raise ValueError("no image of ours")
        content = await self._stream.readexactly(size_bytes)
        return FoundImage(int(said["page"]), int(said["width"]), int(said["height"]), said["content_type"], content)
