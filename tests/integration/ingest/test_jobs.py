"""Jobs that nobody waits for, that are cancelled and retried, over real sockets and with real parsing processes."""

# ruff: noqa: ASYNC110 -- what workers and other processes do can only be looked at

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest

from protos.ingest.v1 import document_pb2
from protos.ingest.v1.ingest_service_pb2 import (
    CancelJobRequest,
    GetJobRequest,
    IngestDocumentRequest,
    ListDocumentsRequest,
    ListJobsRequest,
    RetryJobRequest,
    StartIngestRequest,
)
from services.transport.errors import RemoteFailure, read_failure
from services.transport.identity import acting_as
from tests.integration.ingest.conftest import ANN, BOB, Running, StartIngest
from tests.integration.ingest.rag_stand_in import RagStandIn
from tests.unit.ingest.files import lines, pdf_of

State = document_pb2.IngestJob
POLICY = b"# Remote work\n\nCore working hours are from 10 AM to 3 PM.\n\n# Vacation\n\n15 days per year."
THREE_PAGES = pdf_of(*(lines([f"Words of page {page}, which are its own."]) for page in (1, 2, 3)))
LONG_TABLE = b"name,city,amount\n" + b"".join(b"person %d,town %d,%d\n" % (row, row, row) for row in range(150_000))


async def start(running: Running, content: bytes, filename: str) -> document_pb2.IngestJob:
    reply = await running.stub.StartIngest(StartIngestRequest(filename=filename, content=content))
    return reply.job


async def cancel(running: Running, name: str) -> document_pb2.IngestJob:
    return await running.stub.CancelJob(CancelJobRequest(name=name))


async def job_of(running: Running, name: str) -> document_pb2.IngestJob:
    return await running.stub.GetJob(GetJobRequest(name=name))


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await happened():
            await asyncio.sleep(0.02)


async def until_state(running: Running, name: str, state: State.State.ValueType) -> document_pb2.IngestJob:
    async def is_so() -> bool:
        return (await job_of(running, name)).state == state

    await until(is_so)
    return await job_of(running, name)


async def refusal(call: Awaitable[object]) -> RemoteFailure:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return read_failure(caught.value)


def parsing_children() -> list[str]:
    """Ids of parsing processes of this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if parent == str(os.getpid()) and b"parsing_child" in (folder / "cmdline").read_bytes():
                found.append(folder.name)
        except OSError:  # it has just ended
            continue
    return found


async def test_a_started_job_ends_ready_with_all_its_pages_and_chunks_counted(ingest: Running, rag: RagStandIn) -> None:
    job = await start(ingest, THREE_PAGES, "three.pdf")

    done = await until_state(ingest, job.name, State.READY)

    [document] = (await ingest.stub.ListDocuments(ListDocumentsRequest())).documents
    assert (done.parsed_page_count, done.total_page_count) == (3, 3)
    assert done.indexed_chunk_count == done.total_chunk_count == document.chunk_count
    assert len(rag.texts["red", document.name]) == document.chunk_count


async def test_progress_is_told_while_chunks_are_indexed(start_ingest: StartIngest, rag: RagStandIn) -> None:
    text = "\n\n".join(f"# Part {part}\n\n" + f"Words of part {part}. " * 100 for part in range(8)).encode()
    async with start_ingest(index_batch_chunks=1) as running:
        with acting_as(ANN):
            rag.pause_after = 3
            job = await start(running, text, "long.md")

            async def three_are_done() -> bool:
                return (await job_of(running, job.name)).indexed_chunk_count == 3

            await until(three_are_done)
            told = await job_of(running, job.name)
            rag.gate.set()
            await until_state(running, job.name, State.READY)

    assert told.state == State.INDEXING
    assert told.total_chunk_count > 3


async def test_a_job_cancelled_by_another_process_stops_within_a_heartbeat_and_leaves_nothing(
    start_ingest: StartIngest, rag: RagStandIn
) -> None:
    async with start_ingest() as one, start_ingest() as other:
        with acting_as(ANN):
            rag.gate.clear()
            waiting = asyncio.create_task(
                refusal(one.stub.IngestDocument(IngestDocumentRequest(filename="a.md", content=POLICY)))
            )

            async def is_indexing() -> bool:
                jobs = (await other.stub.ListJobs(ListJobsRequest())).jobs
                return [job.state for job in jobs] == [State.INDEXING]

            await until(is_indexing)
            [job] = (await other.stub.ListJobs(ListJobsRequest())).jobs
            cancelling = asyncio.create_task(cancel(other, job.name))
            told = await asyncio.wait_for(waiting, 30)  # the index does not answer: its worker learns of it by itself
            rag.gate.set()
            cancelled = await cancelling
            again = await cancel(other, job.name)

            async def nothing_is_left() -> bool:
                return not rag.texts and not one.stored_files()

            await until(nothing_is_left)
            anew = await other.stub.IngestDocument(IngestDocumentRequest(filename="a.md", content=POLICY))

    assert told.reason == "JOB_CANCELLED"
    assert cancelled.state == again.state == State.CANCELLED
    assert len(rag.texts["red", anew.document.name]) == anew.document.chunk_count


async def test_cancelling_ends_the_parsing_process(ingest: Running) -> None:
    job = await start(ingest, LONG_TABLE, "table.csv")

    async def is_being_parsed() -> bool:
        return bool(parsing_children())

    await until(is_being_parsed)
    cancelled = await cancel(ingest, job.name)

    assert cancelled.state == State.CANCELLED
    assert parsing_children() == []
    assert ingest.stored_files() == set()


async def test_what_cannot_be_cancelled_or_retried_says_why(ingest: Running) -> None:
    ready = await start(ingest, POLICY, "a.md")
    broken = await start(ingest, b"%PDF-1.7 and nothing else", "b.pdf")
    await until_state(ingest, ready.name, State.READY)
    failed = await until_state(ingest, broken.name, State.FAILED)

    cancelled = await refusal(ingest.stub.CancelJob(CancelJobRequest(name=ready.name)))
    retried = await refusal(ingest.stub.RetryJob(RetryJobRequest(name=ready.name)))
    gone = await refusal(ingest.stub.RetryJob(RetryJobRequest(name=broken.name)))
    unknown = await refusal(ingest.stub.CancelJob(CancelJobRequest(name="jobs/" + "f" * 32)))
    with acting_as(BOB):
        foreign = await refusal(ingest.stub.RetryJob(RetryJobRequest(name=broken.name)))
        foreign_too = await refusal(ingest.stub.CancelJob(CancelJobRequest(name=ready.name)))
    listed = (await ingest.stub.ListJobs(ListJobsRequest(state=State.FAILED))).jobs

    assert (cancelled.code, cancelled.reason) == (grpc.StatusCode.ABORTED, "JOB_FINAL")
    assert cancelled.metadata == {"state": "READY"}
    assert (retried.code, retried.reason) == (grpc.StatusCode.ABORTED, "JOB_NOT_RETRYABLE")
    assert (gone.code, gone.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "JOB_FILE_GONE")
    assert {unknown.reason, foreign.reason, foreign_too.reason} == {"JOB_NOT_FOUND"}
    assert failed.failure_reason == "FILE_BROKEN"
    assert not failed.HasField("retry_end_time")
    assert [job.name for job in listed] == [broken.name]


async def test_an_index_that_goes_away_in_the_middle_loses_and_doubles_nothing(
    start_ingest: StartIngest, rag: RagStandIn
) -> None:
    text = "\n\n".join(f"# Part {part}\n\n" + f"Words of part {part}. " * 100 for part in range(8)).encode()
    async with start_ingest(index_batch_chunks=2) as running:
        with acting_as(ANN):
            rag.pause_after = 2
            job = await start(running, text, "long.md")

            async def is_held_up() -> bool:
                return len(rag.requests) == 2

            await until(is_held_up)
            rag.away = True
            rag.gate.set()
            waits = await until_state(running, job.name, State.QUEUED)
            rag.away = False
            done = await until_state(running, job.name, State.READY)
            [document] = (await running.stub.ListDocuments(ListDocumentsRequest())).documents

    assert (waits.failure_reason, done.attempt_count > 1) == ("", True)
    assert len(rag.texts["red", document.name]) == document.chunk_count
    assert set(rag.embedded.values()) == {1}


async def test_a_job_that_failed_through_no_fault_of_its_file_is_retried_without_the_file(
    ingest: Running, rag: RagStandIn
) -> None:
    rag.refuses = True
    upload = ingest.stub.IngestDocument(IngestDocumentRequest(filename="policy.md", content=POLICY))
    failure = await refusal(upload)
    [failed] = (await ingest.stub.ListJobs(ListJobsRequest(state=State.FAILED))).jobs

    rag.refuses = False
    retried = await ingest.stub.RetryJob(RetryJobRequest(name=failed.name))
    done = await until_state(ingest, failed.name, State.READY)

    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INDEX_REFUSED")
    assert failure.metadata == {"index_reason": "EMBEDDING_MODEL_MISMATCH"}
    assert failed.HasField("retry_end_time")
    assert (retried.state, retried.attempt_count) == (State.QUEUED, 0)
    assert (done.attempt_count, done.HasField("retry_end_time")) == (1, False)
    [document] = (await ingest.stub.ListDocuments(ListDocumentsRequest())).documents
    assert list(document.filenames) == ["policy.md"]
