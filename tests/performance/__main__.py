"""Speed as ratios measured in one run: `python -m tests.performance`, or `make bench`. Writes build/bench.json.

Nothing here fails for being slow: a ratio beyond its target is marked, for a person to look at.
"""

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# PostgreSQL is started from this process by fork and exec, which gRPC's own handling of forks now and then kills.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

from deploy.local.settings import REPOSITORY
from tests.e2e.running_system import RunningSystem
from tests.performance import cold_start, hop, parsing, query, rag_search, sql_generation, upload

RESULTS = REPOSITORY / "build" / "bench.json"

# Figure → (what it is, most it should be); ratios have no unit, names ending in _ms are milliseconds.
TARGETS: dict[str, tuple[str, float]] = {
    "cold_handler_gateway_over_hello": ("gateway: import and first event / hello world (FastAPI, Mangum)", 3),
    "cold_handler_router_over_hello": ("router: import and first event / hello world (gRPC, Lambda client)", 1.5),
    "cold_handler_rag_ms": ("rag: import and first question, ms", 1000),
    "cold_handler_sql_ms": ("sql: import and first question, ms", 1000),
    "cold_handler_ingest_ms": ("ingest: import and first event, ms", 1000),
    "hop_grpc_over_bare_unary": ("one hop over gRPC / bare unary call", 1.2),
    "hop_lambda_over_bare_invoke": ("one hop over Lambda / bare invoke", 1.1),
    "query_sql_ours_ms": ("/query to the database: our own part, ms", 15),
    "query_documents_ours_ms": ("/query/documents: our own part, ms", 15),
    "query_routed_documents_ours_ms": ("/query to the documents: our own part, ms", 15),
    "query_hybrid_ours_ms": ("/query to both: our own part, ms", 15),
    "sql_guard_p50_ms": ("guard of one right query at 20 tables, ms", 3),
    "sql_generate_p50_ms": ("question to checked SQL at 20 tables, ms", 60),
    "reupload_over_upload": ("twenty known pages / twenty new pages", 1 / 50),
    "reupload_parse_and_embed_calls": ("parse and embed calls for known pages", 0),
    "pdf_over_bare": ("100 pages of PDF: our reading / text extraction by PDFium alone", 1 / 0.6),
    "rag_search_p50_ms": ("search among 50,000 chunks, ms", 20),
    "rag_search_missed_at_10": ("share of the ten nearest that it misses", 0.01),
    "rag_search_small_tenant_missed_at_10": ("the same for a small tenant beside it", 0),
    "rag_search_one_tag_in_ten_p50_ms": ("search among a tenth of 50,000 chunks by a tag, ms", 20),
    "rag_search_one_tag_in_ten_missed_at_10": ("share of the ten nearest that it misses", 0.01),
    "rag_indexing_memory_growth": ("memory after indexing 58,000 chunks / after 5,000", 1.1),
    "second_start_ms": ("second start until /health is healthy, ms", 5000),
}


def _system_figures() -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="dg-bench-") as folder:
        system = RunningSystem(Path(folder) / "data")
        try:
            system.start()
            figures = {"first_start_ms": system.start_seconds * 1000}
            system.stop()
            system.start()
            figures["second_start_ms"] = system.start_seconds * 1000
            return figures | query.measure(system) | upload.measure(system.client)
        finally:
            system.close()


def main() -> int:
    """Measure, print, write. Returns: 0, whatever the figures say."""
    figures: dict[str, float] = {}
    measurements: dict[str, Callable[[], dict[str, float]]] = {
        "starts, questions, uploads": _system_figures,
        "hops": hop.measure,
        "search": rag_search.measure,
        "SQL": sql_generation.measure,
        "cold starts": cold_start.measure,
        "parsing": parsing.measure,
    }
    for name, measure in measurements.items():
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        figures |= measure()
    machine = {"system": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()}
    RESULTS.parent.mkdir(exist_ok=True)
    document = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": machine, "figures": figures}
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")
    for name, (meaning, most) in TARGETS.items():
        mark = "  " if figures[name] <= most else "> "
        print(f"{mark}{figures[name]:10.3f}  at most {most:8.3f}  {meaning}")
    print(f"All figures: {RESULTS.relative_to(REPOSITORY)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
