"""Run a service whose slow parts write down when they work: `python -m tests.performance.timed_service NAME FILE`.

Each line of the file is `part start end` in nanoseconds of the monotonic clock, which all processes share.
"""

import importlib
import inspect
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import wraps
from pathlib import Path
from typing import Any, TextIO

# Service → (module, class, methods, what their time counts as).
_TIMED: dict[str, list[tuple[str, str, tuple[str, ...], str]]] = {
    "rag": [
        ("services.rag.adapters.minilm_embedder", "MiniLmEmbedder", ("embed_queries", "embed_passages"), "embed"),
        ("services.rag.adapters.pgvector_index", "PgvectorIndex", ("search",), "search"),
        ("services.rag.adapters.extractive_writer", "ExtractiveWriter", ("write",), "generate"),
    ],
    "sql": [
        ("services.sql.grounding.generator", "GroundedGenerator", ("generate", "assess"), "generate"),
        ("services.sql.adapters.postgres_target", "PostgresTarget", ("run",), "execute"),
    ],
    "router": [],
}


def main() -> None:
    service, path = sys.argv[1:]
    with Path(path).open("a", buffering=1) as file:
        for module, name, methods, part in _TIMED[service]:
            kind = getattr(importlib.import_module(module), name)
            for method in methods:
                setattr(kind, method, _timed(getattr(kind, method), part, file))
        importlib.import_module(f"services.{service}.server").main()


def _timed(method: Callable[..., Any], part: str, file: TextIO) -> Callable[..., Any]:
    def note(started: int) -> None:
        file.write(f"{part} {started} {time.monotonic_ns()}\n")

    if inspect.isasyncgenfunction(method):

        @wraps(method)
        async def stream(*arguments: Any, **options: Any) -> AsyncIterator[Any]:
            started = time.monotonic_ns()
            async for item in method(*arguments, **options):
                note(started)  # What the consumer does between two items is not the part's time.
                yield item
                started = time.monotonic_ns()
            note(started)

        return stream

    @wraps(method)
    async def call(*arguments: Any, **options: Any) -> Any:
        started = time.monotonic_ns()
        try:
            return await method(*arguments, **options)
        finally:
            note(started)

    return call


if __name__ == "__main__":
    main()
