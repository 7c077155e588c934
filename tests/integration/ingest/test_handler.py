"""The Lambda entry point, in a process of its own, called through the invoke envelope."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.fakes.servicers import INTERNAL_KEY
from tests.integration.ingest.rag_stand_in import RagStandIn

ROOT = Path(__file__).parents[3]


async def test_the_handler_does_its_work_within_the_call(
    store_url: str, rag_target: str, rag: RagStandIn, tmp_path: Path
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "DIGLOT_INTERNAL_KEY": INTERNAL_KEY,
        "DIGLOT_STORE_URL": store_url,
        "DIGLOT_DATA_DIR": str(tmp_path / "data"),
        "INGEST_RAG_TARGET": rag_target,
    }

    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.ingest.lambda_calls",
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complaints = await process.communicate()

    assert process.returncode == 0, complaints.decode()[-2_000:]
    told = [json.loads(line) for line in printed.splitlines() if line.startswith(b"{")]
    assert told[-3:] == [
        {"cache_hit": False, "filenames": ["a.txt"]},
        {"cache_hit": True, "filenames": ["a.txt", "b.txt"]},
        {"jobs": {"READY": 1}, "parsed": 1},
    ]
    assert set(rag.embedded.values()) == {1}
