"""Hostile and damaged files, through the service as it runs: a clear answer, soon, and the service lives on."""

# ruff: noqa: ASYNC240 -- the files are small

import asyncio
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from protos.ingest.v1.ingest_service_pb2 import GetStatsRequest, IngestDocumentRequest
from services.ingest.adapters.local_files import LocalFiles
from services.ingest.errors import StorageFull
from services.ingest.models import FileKey
from services.transport.errors import read_failure
from services.transport.identity import acting_as
from tests.integration.ingest.conftest import ANN, Running
from tests.integration.ingest.rag_stand_in import RagStandIn
from tests.unit.ingest.files import docx_of, paragraph

# Where the evaluation data lies beside the repository; elsewhere the files made by the unit tests stand in.
BAD_FILES = Path(__file__).parents[4] / "shared" / "eval" / "security" / "public" / "bad_files"
REFUSED = {
    "bomb_60mb.docx": "FILE_BROKEN",
    "truncated.docx": "FILE_BROKEN",
    "xxe.docx": "FILE_BROKEN",
    "zero_bytes.pdf": "FILE_EMPTY",
    "text_named.pdf": "FILE_TYPE_MISMATCH",
}
_SECONDS = 30


async def outcome_of(running: Running, filename: str, content: bytes) -> str:
    """ "READY", or the reason of the refusal."""
    with acting_as(ANN):
        call = running.stub.IngestDocument(IngestDocumentRequest(filename=filename, content=content), timeout=60)
        code = await call.code()
        if code is grpc.StatusCode.OK:
            return "READY"
    assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.DEADLINE_EXCEEDED)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.details()
    return read_failure(caught.value).reason


@pytest.mark.skipif(not BAD_FILES.is_dir(), reason="the evaluation data is not on this machine")
async def test_every_bad_file_is_read_or_refused_clearly_and_soon(ingest: Running, rag: RagStandIn) -> None:
    outcomes = {}
    for path in sorted(BAD_FILES.iterdir()):
        started = time.monotonic()
        outcomes[path.name] = await outcome_of(ingest, path.name, path.read_bytes())
        assert time.monotonic() - started < _SECONDS

    assert {name: outcomes[name] for name in REFUSED} == REFUSED
    assert outcomes["latin1.csv"] == outcomes["stored_xss.md"] == "READY"
    texts = "\n".join(text for chunks in rag.texts.values() for text in chunks.values())
    assert "José" in texts
    assert "Málaga" in texts
    assert "root:" not in texts
    assert "<script" not in texts
    with acting_as(ANN):
        stats = await ingest.stub.GetStats(GetStatsRequest())
    assert stats.document_count == list(outcomes.values()).count("READY")


@pytest.mark.skipif(not BAD_FILES.is_dir(), reason="the evaluation data is not on this machine")
async def test_no_bad_file_makes_its_parser_large() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.ingest.parsing_peak", str(BAD_FILES), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()

    assert process.returncode == 0
    assert int(output) < 500 * 1024 * 1024


async def test_a_bomb_is_refused_and_the_service_lives_on(ingest: Running) -> None:
    bomb = docx_of(paragraph("text"), extra={"word/media/zeros.bin": bytes(80_000_000)})

    assert len(bomb) < 200_000
    assert await outcome_of(ingest, "bomb.docx", bomb) == "FILE_BROKEN"
    assert await outcome_of(ingest, "fine.txt", b"fine") == "READY"


async def test_a_small_bomb_of_entities_is_refused(ingest: Running) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    bomb = docx_of("<w:p><w:r><w:t>&l11;</w:t></w:r></w:p>", prologue=f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]>')

    assert await outcome_of(ingest, "laughs.docx", bomb) == "FILE_BROKEN"


@pytest.mark.parametrize(
    ("filename", "content"),
    [
        ("deep.json", b"[" * 1_000_000),
        ("deep.html", b"<div>" * 200_000 + b"deep"),
        ("deep.md", b"> " * 20_000 + b"deep"),
        ("nested.md", b"[" * 50_000 + b"deep"),
        ("stars.md", b"*a_ " * 20_000),
        ("quotes.csv", b'"' * 500_001),
        ("brackets.txt", b"(" * 500_000 + b"text"),
        ("dots.txt", b"word." * 100_000),
    ],
)
async def test_text_made_to_be_slow_is_dealt_with_in_time(ingest: Running, filename: str, content: bytes) -> None:
    started = time.monotonic()

    outcome = await outcome_of(ingest, filename, content)

    assert outcome in ("READY", "FILE_BROKEN", "FILE_WITHOUT_TEXT")
    assert time.monotonic() - started < _SECONDS


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


async def test_a_disk_that_is_really_full_is_told_and_left_clean(small_disk: Path) -> None:
    files = LocalFiles(small_disk / "files")

    with pytest.raises(StorageFull):
        await files.save_original(FileKey("red", "txt", "a" * 64), bytes(1_000_000))

    assert [path for path in small_disk.rglob("*") if path.is_file()] == []
    await files.save_original(FileKey("red", "txt", "b" * 64), b"small")


async def test_a_limit_on_file_sizes_counts_as_no_room(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    files = LocalFiles(tmp_path / "files")
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageFull):
            await files.save_original(FileKey("red", "txt", "a" * 64), bytes(1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
