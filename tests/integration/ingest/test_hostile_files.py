"""Files made to break whoever reads them, through the service as it runs: an answer to each, and it lives on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from protos.ingest.v1.ingest_service_pb2 import GetStatsRequest
from services.transport.identity import acting_as
from tests.integration.ingest.conftest import ANN, Running, StartIngest
from tests.integration.ingest.hostile_files import FILES
from tests.integration.ingest.rag_stand_in import RagStandIn
from tests.integration.ingest.test_bad_files import outcome_of

_MOST_BYTES = 500 * 1024 * 1024
# One by one they pass the sniffing and meet a parser, which is what takes memory.
_TAKING_MEMORY = ("arrays.json", "columns.csv", "line.csv", "merges.xlsx", "amplified.csv", "xml.docx", "quote.csv")
_BUSY = b"[" * 3_000_000  # takes a Markdown parser minutes


async def test_every_hostile_file_gets_the_answer_it_deserves(ingest: Running, rag: RagStandIn) -> None:
    outcomes = {name: await outcome_of(ingest, name, make()) for name, (_, make) in FILES.items()}

    assert outcomes == {name: expected for name, (expected, _) in FILES.items()}
    texts = "\n".join(text for chunks in rag.texts.values() for text in chunks.values())
    assert "root:" not in texts
    assert len(rag.texts) == list(outcomes.values()).count("READY")
    assert await outcome_of(ingest, "fine.txt", b"fine") == "READY"


async def test_other_files_are_taken_while_a_hostile_one_is_read(start_ingest: StartIngest) -> None:
    async with start_ingest(parsing_quiet_seconds=60) as running:
        with acting_as(ANN):
            busy = asyncio.create_task(outcome_of(running, "busy.md", _BUSY))
            await asyncio.sleep(0.5)
            fine = await outcome_of(running, "fine.txt", b"fine")
            stats = await running.stub.GetStats(GetStatsRequest())
            assert not busy.done()
            busy.cancel()
            await asyncio.gather(busy, return_exceptions=True)

    assert fine == "READY"
    assert stats.document_count == 1


async def test_a_file_that_would_take_for_ever_is_given_up(start_ingest: StartIngest) -> None:
    async with start_ingest(parsing_quiet_seconds=2) as running:
        assert await outcome_of(running, "busy.md", _BUSY) == "PARSING_TIMEOUT"


def test_no_hostile_file_makes_its_parser_large(tmp_path: Path) -> None:
    for name in _TAKING_MEMORY:
        (tmp_path / name).write_bytes(FILES[name][1]())

    command = [sys.executable, "-m", "tests.integration.ingest.parsing_peak", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < _MOST_BYTES
