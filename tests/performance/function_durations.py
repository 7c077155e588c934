"""How long each function runs for a warm question, with the processor time that its memory buys on Lambda.

    python -m tests.performance.function_durations      writes the heading "durations" of build/deploy.json

All functions run as on Lambda, in runtime processes that invoke each other, with the sizes of deploy/aws/template.yaml.
Each is held to memory / 1769 of a processor, which takes cgroups v1 and root. The same with 3,008 MB for each is what a
single function of that size is taken to need; its hops, a few milliseconds, would be spared. The embedded parts do the
work, so no provider is waited for: `deploy.costs` adds that.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx

from deploy.aws.stack_template import TEMPLATES, Template
from deploy.local.settings import REPOSITORY
from tests.e2e.function_url import FunctionUrl
from tests.lambda_cluster import LambdaCluster
from tests.lambda_runtime import Function, Result
from tests.performance.cold_start import function_environments

RESULTS = REPOSITORY / "build" / "deploy.json"
PARTS = ("gateway", "router", "rag", "sql", "ingest")
SINGLE_FUNCTION_MB = 3_008
MB_A_PROCESSOR = 1_769
ROUNDS, WARM_UP = 15, 4
_CONTROLLER = Path("/sys/fs/cgroup/cpu")
_PERIOD_US = 20_000  # as Lambda slices it

QUESTIONS: Mapping[str, Mapping[str, object]] = {
    "SQL": {"query": "How many customers do we have?", "auto_approve_sql": True},
    "DOCUMENTS": {"query": "What is our policy on remote work?"},
    "HYBRID": {"query": "Show me total sales and explain our vacation policy", "auto_approve_sql": True},
}


class TimedCluster(LambdaCluster):
    """Notes when each function ran."""

    def __init__(self, functions: Sequence[Function]) -> None:
        super().__init__(functions)
        self.runs: list[tuple[str, float]] = []

    def invoke(self, name: str, payload: bytes) -> Result:
        started = time.perf_counter()
        try:
            return super().invoke(name, payload)
        finally:
            self.runs.append((name, (time.perf_counter() - started) * 1000))


def memory_sizes() -> dict[str, int]:
    """MB of each function of the stack."""
    resources = Template.read(TEMPLATES / "template.yaml").resolve()
    return {part: resources[f"{part.capitalize()}Function"]["Properties"]["MemorySize"] for part in PARTS}


def measure() -> dict[str, object]:
    """Question kind → part → invocations and milliseconds of all of them, each a median; and the same on 3,008 MB."""
    with tempfile.TemporaryDirectory(prefix="dg-bench-") as folder, function_environments(Path(folder)) as environments:
        environments["sql"]["SQL_AUTO_APPROVE"] = "allowed"
        environments["rag"]["RAG_EMBEDDER_THREADS"] = "2"
        for environment in environments.values():
            environment["DIGLOT_CLAIM_CHECK_DIR"] = f"{folder}/claims"
        sizes = memory_sizes()
        split = _measure_split(environments, sizes)
        # One process has its processors for itself: what the parts take there, hops apart, is what they take unheld.
        single = _measure_split(environments, dict.fromkeys(PARTS, SINGLE_FUNCTION_MB))
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "memory_mb": sizes,
        "questions": split["questions"],
        "resident_mb": split["resident_mb"],
        "single_function": {
            "memory_mb": SINGLE_FUNCTION_MB,
            "duration_ms": {kind: runs["gateway"]["duration_ms"] for kind, runs in single["questions"].items()},
        },
    }


def _measure_split(environments: Mapping[str, Mapping[str, str]], sizes: Mapping[str, int]) -> dict[str, dict]:  # type: ignore[type-arg]
    functions = [
        Function(
            f"diglot-{part}",
            "gateway.handler.handler" if part == "gateway" else f"services.{part}.handler.handler",
            environments[part],
            timeout_seconds=120,
            memory_mb=sizes[part],
        )
        for part in PARTS
    ]
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(TimedCluster(functions))
        url = FunctionUrl(cluster, "diglot-gateway")
        client = stack.enter_context(httpx.Client(base_url="https://bench.on.aws", transport=url, timeout=120))
        for path in sorted((REPOSITORY / "deploy" / "sample" / "documents").glob("*.docx"))[:3]:
            client.post("/upload", files={"file": (path.name, path.read_bytes())}).raise_for_status()
        for question in QUESTIONS.values():  # starts the processes that parallel calls need
            for _ in range(WARM_UP):
                _ask(client, question)
        pids = {part: cluster.pids(f"diglot-{part}") for part in PARTS}
        for part, ours in pids.items():
            for pid in ours:
                stack.enter_context(_held_to(pid, sizes[part] / MB_A_PROCESSOR))
        questions = {kind: _runs(client, cluster, question) for kind, question in QUESTIONS.items()}
        resident = {part: max(map(_resident_mb, ours)) for part, ours in pids.items()}
    return {"questions": questions, "resident_mb": resident}


def _ask(client: httpx.Client, question: Mapping[str, object]) -> None:
    reply = client.post("/query", json=question)
    if reply.status_code != 200 or reply.json()["status"] != "success":
        raise RuntimeError(f"the question went otherwise than measured: {reply.text}")


def _runs(
    client: httpx.Client, cluster: TimedCluster, question: Mapping[str, object]
) -> dict[str, dict[str, float | int]]:
    rounds: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for turn in range(WARM_UP + ROUNDS):
        cluster.runs.clear()
        _ask(client, question)
        if turn >= WARM_UP:
            for part in PARTS:
                times = [took for name, took in cluster.runs if name == f"diglot-{part}"]
                rounds[part].append((len(times), sum(times)))
    return {
        part: {
            "invocations": int(statistics.median(count for count, _ in taken)),
            "duration_ms": round(statistics.median(took for _, took in taken), 1),
        }
        for part, taken in rounds.items()
        if any(count for count, _ in taken)
    }


@contextlib.contextmanager
def _held_to(pid: int, processors: float) -> Iterator[None]:
    """Let a process have so many processors, in slices as Lambda's."""
    group = _CONTROLLER / f"diglot-{pid}"
    group.mkdir()
    try:
        (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(max(1_000, round(processors * _PERIOD_US))))
        (group / "cgroup.procs").write_text(str(pid))
        yield
        with contextlib.suppress(OSError):
            (_CONTROLLER / "cgroup.procs").write_text(str(pid))
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


def _resident_mb(pid: int) -> int:
    """The most memory a process has held so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def main() -> int:
    """Measure, print, write beside the other figures of deployment."""
    durations = measure()
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**document, "durations": durations}, indent=2) + "\n")
    print(json.dumps(durations, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
