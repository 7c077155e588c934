"""`kill -9` of a real server process in the middle of its work; another finishes it, and nothing is lost or twice."""

# ruff: noqa: ASYNC110, ASYNC240 -- what another process does can only be looked at, and the files are small

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from protos.ingest.v1 import document_pb2
from protos.ingest.v1.ingest_service_pb2 import (
    DeleteDocumentRequest,
    GetStatsRequest,
    IngestDocumentRequest,
    ListDocumentsRequest,
    ListJobsRequest,
)
from protos.ingest.v1.ingest_service_pb2_grpc import IngestServiceStub
from services.transport.channels import open_channel
from services.transport.identity import acting_as
from tests.fakes.servicers import INTERNAL_KEY, transport_settings
from tests.integration.ingest.conftest import ANN
from tests.integration.ingest.rag_stand_in import RagStandIn

if TYPE_CHECKING:
    from protos.ingest.v1.ingest_service_pb2_grpc import IngestServiceAsyncStub

ROOT = Path(__file__).parents[3]
READY = document_pb2.IngestJob.READY
INDEXING = document_pb2.IngestJob.INDEXING
CONTENT = "\n\n".join(
    f"Paragraph number {number} says something of its own, at some length, about the matter in hand: "
    + f"item {number} " * 30
    for number in range(60)
).encode()


@pytest.fixture
def environment(store_url: str, rag_target: str, tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "DIGLOT_INTERNAL_KEY": INTERNAL_KEY,
        "DIGLOT_STORE_URL": store_url,
        "DIGLOT_DATA_DIR": str(tmp_path / "data"),
        "INGEST_RAG_TARGET": rag_target,
        "INGEST_LISTEN": f"unix:{tmp_path / 'i.sock'}",
        "INGEST_LEASE_SECONDS": "1",
        "INGEST_WORKER_POLL_SECONDS": "0.1",
        "INGEST_INDEX_BATCH_CHUNKS": "4",
    }


@asynccontextmanager
async def server(
    environment: dict[str, str],
) -> AsyncIterator[tuple[asyncio.subprocess.Process, IngestServiceAsyncStub]]:
    """A server process that answers, and a stub to call it by; it is ended afterwards if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.ingest.server", cwd=ROOT, env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with open_channel(environment["INGEST_LISTEN"], transport_settings()) as channel:
            stub = IngestServiceStub(channel)
            async with asyncio.timeout(30):
                while not await _answers(stub):
                    await asyncio.sleep(0.1)
            yield process, stub
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(stub: IngestServiceAsyncStub) -> bool:
    try:
        with acting_as(ANN):
            await stub.GetStats(GetStatsRequest())
    except grpc.aio.AioRpcError:
        return False
    return True


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(40):
        while not await happened():
            await asyncio.sleep(0.05)


async def kill(process: asyncio.subprocess.Process, call: asyncio.Task[object]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    await asyncio.gather(call, return_exceptions=True)


async def upload(stub: IngestServiceAsyncStub) -> object:
    with acting_as(ANN):
        return await stub.IngestDocument(IngestDocumentRequest(filename="long.txt", content=CONTENT), timeout=60)


@pytest.mark.parametrize("batches_before", [0, 3])
async def test_a_job_killed_while_indexing_is_finished_by_the_next_process(
    environment: dict[str, str], rag: RagStandIn, batches_before: int
) -> None:
    async with server(environment) as (process, stub):
        if batches_before == 0:
            rag.gate.clear()
        rag.pause_after = batches_before
        call = asyncio.create_task(upload(stub))
        await until(lambda: _is_indexing(stub, batches_before))
        await kill(process, call)
    rag.gate.set()

    async with server(environment) as (_, stub):
        await until(lambda: _all_ready(stub))
        with acting_as(ANN):
            [document] = (await stub.ListDocuments(ListDocumentsRequest())).documents
            [job] = (await stub.ListJobs(ListJobsRequest())).jobs
            stats = await stub.GetStats(GetStatsRequest())

    assert (job.state, job.attempt_count) == (READY, 2)
    assert document.chunk_count == len(rag.texts["red", document.name]) > 10
    assert set(rag.embedded.values()) == {1}
    assert stats.parsed_file_count == 0
    assert list(document.filenames) == ["long.txt"]


async def test_a_deletion_killed_half_way_is_finished_by_the_next_process(
    environment: dict[str, str], rag: RagStandIn, tmp_path: Path
) -> None:
    async with server(environment) as (process, stub):
        await upload(stub)
        with acting_as(ANN):
            [document] = (await stub.ListDocuments(ListDocumentsRequest())).documents
        rag.gate.clear()

        async def delete() -> object:
            with acting_as(ANN):
                return await stub.DeleteDocument(DeleteDocumentRequest(name=document.name))

        call = asyncio.create_task(delete())
        await until(lambda: _no_documents(stub))
        await kill(process, call)
    rag.gate.set()

    async with server(environment):
        await until(lambda: _nothing_stored(rag, tmp_path / "data" / "files"))


async def test_a_server_told_to_stop_gives_its_work_back_at_once(environment: dict[str, str], rag: RagStandIn) -> None:
    environment = environment | {"INGEST_LEASE_SECONDS": "600"}
    async with server(environment) as (process, stub):
        rag.gate.clear()
        call = asyncio.create_task(upload(stub))
        await until(lambda: _is_indexing(stub))
        process.terminate()
        await asyncio.gather(call, return_exceptions=True)
        assert await process.wait() == 0
    rag.gate.set()

    async with server(environment) as (_, stub):
        await until(lambda: _all_ready(stub))

    assert set(rag.embedded.values()) == {1}


async def _is_indexing(stub: IngestServiceAsyncStub, batches: int = 0) -> bool:
    with acting_as(ANN):
        jobs = (await stub.ListJobs(ListJobsRequest())).jobs
    return any(job.state == INDEXING and job.indexed_chunk_count >= 4 * batches for job in jobs)


async def _all_ready(stub: IngestServiceAsyncStub) -> bool:
    with acting_as(ANN):
        jobs = (await stub.ListJobs(ListJobsRequest())).jobs
    return bool(jobs) and all(job.state == READY for job in jobs)


async def _no_documents(stub: IngestServiceAsyncStub) -> bool:
    with acting_as(ANN):
        return not (await stub.ListDocuments(ListDocumentsRequest())).documents


async def _nothing_stored(rag: RagStandIn, files: Path) -> bool:
    return not rag.texts and not [path for path in files.rglob("*") if path.is_file()]
