"""The child process that parses one file.

`… services.ingest.adapters.parsing_child EXTENSION MEMORY CPU PROGRESS [DOCLING …]`: the file comes on standard input,
the outcome goes to standard output: a line of JSON, then as many bytes of text and of JSON as it says. To the
descriptor PROGRESS goes a line `{"page": n, "of": m}` for each page read. Whatever a damaged or hostile file does to a
parser, it does here: in a process that knows no secret, has limits of its own on memory (bytes) and CPU (seconds), and
has given up the network, other processes and writing files.
"""

import contextlib
import gc
import io
import json
import math
import os
import sys
from collections.abc import Callable
from typing import Any

from services.ingest.adapters.confinement import confine, limit
from services.ingest.adapters.parsing.choosing import NO_HELP, ReadingHelp, parse_by_choice
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import Block, ParsedDocument

# Of the CPU time, of which helpers get as much as two processors have within the time that parsing may take.
_HELP_SHARE = 0.4
_OUT_OF_MEMORY = {"failure": "FILE_BROKEN", "detail": "the file needs more memory to read than is allowed"}


def main() -> None:
    """Parse what comes in and exit; the outcome says whether it went well."""
    extension, memory_bytes, cpu_seconds, progress = sys.argv[1], *map(int, sys.argv[2:5])
    reading_help = ReadingHelp.of_arguments(sys.argv[5:])
    limit(memory_bytes=memory_bytes, cpu_seconds=cpu_seconds)
    # What docling stands on locks files and looks around by other programs. PDFs are read by copies of this process,
    # which give up making more.
    confine(network_only=reading_help.docling is not None, may_fork=extension == "pdf")
    outcome_file = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not mix with the outcome
    gc.disable()  # the process ends before garbage matters

    def tell(page: int, page_count: int) -> None:
        with contextlib.suppress(OSError):  # who does not listen misses it
            os.write(progress, b'{"page": %d, "of": %d}\n' % (page, page_count))

    try:
        written = outcome_of(
            sys.stdin.buffer.read(),
            extension,
            reading_help,
            tell,
            isolated=True,
            help_seconds=_HELP_SHARE * cpu_seconds,
        )
    except MemoryError:  # what the file has become is let go of by now
        written = [json.dumps(_OUT_OF_MEMORY).encode("ascii") + b"\n"]
    outcome_file.writelines(written)
    outcome_file.flush()
    os._exit(0)  # tearing down millions of objects one by one helps nobody


def outcome_of(
    data: bytes,
    extension: str,
    reading_help: ReadingHelp = NO_HELP,
    on_page: Callable[[int, int], None] | None = None,
    *,
    isolated: bool = False,
    help_seconds: float = math.inf,
) -> list[bytes]:
    """The parsed document, or why there is none, as it is written. Raises MemoryError."""
    try:
        return as_bytes(
            parse_by_choice(data, extension, reading_help, on_page, isolated=isolated, help_seconds=help_seconds)
        )
    except FileBroken as error:
        failure = {"failure": "FILE_BROKEN", "detail": str(error)}
    except FileWithoutText as error:
        failure = {"failure": "FILE_WITHOUT_TEXT", "detail": str(error)}
    return [json.dumps(failure).encode("ascii") + b"\n"]


def as_bytes(document: ParsedDocument) -> list[bytes]:
    """The document; heading paths and table headers, which most blocks share, are numbered. A block takes a line."""
    paths: dict[tuple[str, ...], int] = {}
    headers: dict[tuple[str, ...], int] = {}
    blocks = io.BytesIO()
    for block in document.blocks:
        blocks.write(json.dumps(_block(block, paths, headers)).encode("ascii") + b"\n")
    facts: dict[str, Any] = {
        "text_bytes": len(text := document.text.encode()),
        "blocks_bytes": len(written := blocks.getvalue()),
        "paths": list(paths),
        "headers": list(headers),
        "title": document.title,
        "page_count": document.page_count,
        "page_notes": [[note.page, note.reason.value, note.detail] for note in document.page_notes],
    }
    return [json.dumps(facts).encode("ascii") + b"\n", text, written]


def _block(block: Block, paths: dict[tuple[str, ...], int], headers: dict[tuple[str, ...], int]) -> list[object]:
    place = block.table and [
        block.table.table,
        block.table.row,
        headers.setdefault(block.table.columns, len(headers)),
    ]
    path = paths.setdefault(block.headings, len(paths))
    return [block.kind.value, block.start, block.end, block.page, path, place]


if __name__ == "__main__":
    main()
