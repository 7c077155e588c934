"""Parse every file of a folder and print the largest resident size of any parsing process, in bytes.

A process of its own, because the operating system tells the peak over all children a process ever had.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
from pathlib import Path

from services.ingest.adapters.parsing_process import ParsingProcess
from services.ingest.errors import IngestError
from services.ingest.settings import IngestSettings


async def parse_all(paths: list[Path]) -> None:
    memory_bytes = IngestSettings.model_fields["parsing_memory_bytes"].default
    parser = ParsingProcess(timeout_seconds=60, memory_bytes=memory_bytes, max_parallel=1)
    for path in paths:
        with contextlib.suppress(IngestError):
            await parser.parse(path, path.suffix.removeprefix("."))


if __name__ == "__main__":
    asyncio.run(parse_all(sorted(Path(sys.argv[1]).iterdir())))
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
