"""How long a question takes to become checked SQL at 20 tables: `python -m tests.performance.sql_generation`.

The sample shop and three own databases lie in one. The service runs as in `make run` and is asked over its socket; the
guard is timed by itself, in this process, on right queries of the same questions.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

# PostgreSQL is started from this process by fork and exec, which gRPC's own handling of forks now and then kills.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

from deploy.local.databases import SAMPLE_FOLDER
from deploy.local.settings import REPOSITORY
from services.sql.models import Schema
from services.sql.query_guard import QueryGuard
from services.sql.wiring_target import MAX_RESULT_ROWS
from tests.quality.sql.scratch import ScratchPostgres, scratch_postgres
from tests.quality.sql.service import GROUNDED, open_services
from tests.quality.sql_databases import read_schema

DATABASE = "twenty_tables"
_OWN = REPOSITORY / "tests" / "quality" / "dev" / "text_to_sql"
_SCRIPTS = (SAMPLE_FOLDER / "shop.sql", *(_OWN / f"{name}.sql" for name in ("library", "clinic", "farm")))
_WARM_UP = 20


def measure() -> dict[str, float]:
    """Medians and 95th percentiles in ms, and what they were measured on."""
    rows = json.loads((_OWN / "questions.json").read_text(encoding="utf-8"))
    questions = [row["question"] for row in rows]
    statements = [row["sql"] for row in rows if row["sql"] is not None]
    with scratch_postgres() as postgres, tempfile.TemporaryDirectory() as folder:
        dump = Path(folder) / "tables.sql"
        dump.write_text("\n".join(script.read_text(encoding="utf-8") for script in _SCRIPTS), encoding="utf-8")
        postgres.load(DATABASE, dump)
        schema = asyncio.run(read_schema(postgres.reader_url(DATABASE)))
        return _guard_figures(statements, schema) | asyncio.run(_service_figures(postgres, questions, schema))


def _guard_figures(statements: Sequence[str], schema: Schema) -> dict[str, float]:
    guard = QueryGuard(max_rows=MAX_RESULT_ROWS)
    elapsed_ms = []
    for place, statement in enumerate([*statements[:_WARM_UP], *statements]):
        began = time.perf_counter()
        verdict = guard.check(statement, schema)
        if place >= _WARM_UP and verdict.allowed:
            elapsed_ms.append((time.perf_counter() - began) * 1000)
    return {"sql_guard_queries": len(elapsed_ms), **_percentiles("sql_guard", elapsed_ms)}


async def _service_figures(postgres: ScratchPostgres, questions: Sequence[str], schema: Schema) -> dict[str, float]:
    elapsed_ms = []
    async with open_services(postgres, GROUNDED) as services, services.asking(DATABASE) as asker:
        for place, question in enumerate([*questions[:_WARM_UP], *questions]):
            answer = await asker.ask(question)
            if place >= _WARM_UP and answer.sql is not None:
                elapsed_ms.append(answer.elapsed_ms)
    counted = {"sql_generate_tables": len(schema.tables), "sql_generate_questions": len(elapsed_ms)}
    return {**counted, **_percentiles("sql_generate", elapsed_ms)}


def _percentiles(name: str, elapsed_ms: Sequence[float]) -> dict[str, float]:
    in_order = sorted(elapsed_ms)
    return {f"{name}_p50_ms": statistics.median(in_order), f"{name}_p95_ms": in_order[int(0.95 * len(in_order))]}


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=1)
