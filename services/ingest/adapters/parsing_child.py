"""The child process that parses one file: `… services.ingest.adapters.parsing_child EXTENSION MEMORY CPU [DOCLING …]`.

The file comes on standard input, the outcome goes to standard output as one JSON object. Whatever a damaged or hostile
file does to a parser, it does here: in a process that knows no secret, writes no file, and has limits of its own on
memory (bytes of address space) and CPU (seconds).
"""

import contextlib
import gc
import json
import os
import resource
import sys
from typing import Any

from services.ingest.adapters.parsing.choosing import DoclingUse, parse_by_choice
from services.ingest.errors import FileBroken, FileWithoutText
from services.ingest.models import ParsedDocument

_OPEN_FILES = 64


def main() -> None:
    """Parse what comes in and exit; the outcome says whether it went well."""
    extension, memory_bytes, cpu_seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    docling = DoclingUse.of_arguments(sys.argv[4:])
    limit(memory_bytes=memory_bytes, cpu_seconds=cpu_seconds)
    outcome_file = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not mix with the outcome
    gc.disable()  # the process ends before garbage matters
    data = sys.stdin.buffer.read()
    outcome_file.write(json.dumps(outcome_of(data, extension, docling)).encode("ascii"))
    outcome_file.flush()
    os._exit(0)  # tearing down millions of objects one by one helps nobody


def limit(*, memory_bytes: int, cpu_seconds: int) -> None:
    """Bind this process for the rest of its life. Limits that are lower already stay."""
    for kind, wanted in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        _, hard = resource.getrlimit(kind)
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS knows RLIMIT_AS and does not let it be set
            resource.setrlimit(kind, (allowed, allowed))


def outcome_of(data: bytes, extension: str, docling: DoclingUse | None = None) -> dict[str, Any]:
    """The parsed document, or why there is none, as plain data."""
    try:
        return as_plain_data(parse_by_choice(data, extension, docling))
    except FileBroken as error:
        return {"failure": "FILE_BROKEN", "detail": str(error)}
    except FileWithoutText as error:
        return {"failure": "FILE_WITHOUT_TEXT", "detail": str(error)}
    except MemoryError:
        return {"failure": "FILE_BROKEN", "detail": "the file needs more memory to read than is allowed"}


def as_plain_data(document: ParsedDocument) -> dict[str, Any]:
    """The document for JSON; heading paths and table headers, which most blocks share, are numbered."""
    paths: dict[tuple[str, ...], int] = {}
    headers: dict[tuple[str, ...], int] = {}
    blocks = [
        [
            block.kind.value,
            block.start,
            block.end,
            block.page,
            paths.setdefault(block.headings, len(paths)),
            block.table and [block.table.table, block.table.row, headers.setdefault(block.table.columns, len(headers))],
        ]
        for block in document.blocks
    ]
    return {
        "text": document.text,
        "blocks": blocks,
        "paths": list(paths),
        "headers": list(headers),
        "title": document.title,
        "page_count": document.page_count,
        "page_notes": [[note.page, note.reason.value, note.detail] for note in document.page_notes],
    }


if __name__ == "__main__":
    main()
