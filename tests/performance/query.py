"""What our own code adds to a warm question: wall time at the client minus the time in which a part works for it.

The parts are search, embedding, generation (of SQL, of an answer) and execution; they write down when they work, and
times that overlap count once. The rest is ours: gateway, router, hops, guard, approval, fusion.
"""

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from deploy.local.settings import REPOSITORY
from tests.e2e.running_system import RunningSystem

ROUNDS = 40
WARM_UP = 5
QUESTIONS = {
    "sql": ("/query", {"query": "How many customers do we have?", "auto_approve_sql": True}),
    "documents": ("/query/documents", {"query": "What are the remote work hours?"}),
    "routed_documents": ("/query", {"query": "What is our policy on remote work?"}),
    "hybrid": (
        "/query",
        {"query": "Show me total sales and explain our vacation policy", "auto_approve_sql": True},
    ),
}

Span = tuple[int, int]


def measure(system: RunningSystem) -> dict[str, float]:
    """`query_<kind>_ms`, `query_<kind>_ours_ms`, and the share of ours in the wall time, each a median."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, _timed_copy(system, Path(folder) / "spans") as client:
        for kind, (path, body) in QUESTIONS.items():
            windows = []
            for _ in range(WARM_UP + ROUNDS):
                started = time.monotonic_ns()
                reply = client.post(path, json=body)
                windows.append((started, time.monotonic_ns()))
                if reply.status_code != 200 or reply.json()["status"] != "success":
                    raise RuntimeError(f"the question went otherwise than measured: {reply.text}")
            spans = _read_spans(Path(folder) / "spans")
            walls = [(end - start) / 1e6 for start, end in windows[WARM_UP:]]
            ours = [(end - start - covered((start, end), spans)) / 1e6 for start, end in windows[WARM_UP:]]
            figures |= {
                f"query_{kind}_ms": statistics.median(walls),
                f"query_{kind}_ours_ms": statistics.median(ours),
                f"query_{kind}_ours_over_wall": statistics.median(
                    mine / wall for mine, wall in zip(ours, walls, strict=True)
                ),
            }
    return figures


def covered(window: Span, spans: Sequence[Span]) -> int:
    """Nanoseconds of the window in which at least one span runs."""
    total, reached = 0, window[0]
    for start, end in sorted(spans):
        start, end = max(start, reached), min(end, window[1])
        if end > start:
            total += end - start
            reached = end
    return total


def _read_spans(path: Path) -> list[Span]:
    lines = (line.split() for line in path.read_text().splitlines())
    return [(int(start), int(end)) for _, start, end in lines]


@contextmanager
def _timed_copy(system: RunningSystem, spans: Path) -> Iterator[httpx.Client]:
    """A client of a second gateway, whose services are further processes on the same data that note their work."""
    parts = system.parts()
    folder = Path(parts["rag"].environment["RAG_LISTEN"].removeprefix("unix:")).parent
    targets = {name: f"unix:{folder / name}-timed.sock" for name in ("rag", "sql", "router")}
    with contextlib.ExitStack() as stack:
        for name, address in targets.items():
            environment = {**parts[name].environment, f"{name.upper()}_LISTEN": address}
            if name == "router":
                environment |= {"ROUTER_RAG_TARGET": targets["rag"], "ROUTER_SQL_TARGET": targets["sql"]}
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.performance.timed_service", name, str(spans)],
                env=environment,
                cwd=REPOSITORY,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
        gateway = {f"GATEWAY_{name.upper()}_TARGET": address for name, address in targets.items()}
        yield stack.enter_context(system.another_gateway(gateway=gateway))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as data:
        running = RunningSystem(Path(data) / "data")
        try:
            running.start()
            print(json.dumps(measure(running), indent=2))
        finally:
            running.close()
