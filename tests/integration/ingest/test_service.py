"""Every rpc over a real socket, on real parts."""

# ruff: noqa: ASYNC110 -- what workers and other processes do can only be looked at

import asyncio
import hashlib
from collections.abc import Awaitable
from pathlib import Path
from uuid import uuid4

import grpc
import pytest

from protos.ingest.v1 import document_pb2
from protos.ingest.v1.ingest_service_pb2 import (
    DeleteDocumentRequest,
    GetDocumentRequest,
    GetJobRequest,
    GetStatsRequest,
    IngestDocumentRequest,
    IngestDocumentResponse,
    ListDocumentsRequest,
    ListJobsRequest,
)
from services.transport.errors import RemoteFailure, read_failure
from services.transport.identity import acting_as
from tests.integration.ingest.conftest import ANN, BOB, Running, StartIngest
from tests.integration.ingest.rag_stand_in import RagStandIn
from tests.unit.ingest.files import ENCRYPTED_PDF, docx_of, lines, paragraph, pdf_of, table

READY = document_pb2.IngestJob.READY
FAILED = document_pb2.IngestJob.FAILED
QUEUED = document_pb2.IngestJob.QUEUED
POLICY = b"# Remote work\n\nCore working hours are from 10 AM to 3 PM.\n\n# Vacation\n\n15 days per year."


async def ingested(running: Running, content: bytes, filename: str, request_id: str = "") -> IngestDocumentResponse:
    with acting_as(ANN):
        return await running.stub.IngestDocument(
            IngestDocumentRequest(filename=filename, content=content, request_id=request_id)
        )


async def failure_of(call: Awaitable[object]) -> RemoteFailure:
    with acting_as(ANN), pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return read_failure(caught.value)


async def refusal(running: Running, content: bytes, filename: str) -> RemoteFailure:
    with acting_as(ANN):
        return await failure_of(running.stub.IngestDocument(IngestDocumentRequest(filename=filename, content=content)))


async def test_a_text_is_ready_when_the_call_returns(ingest: Running, rag: RagStandIn) -> None:
    reply = await ingested(ingest, POLICY, "policy.md")

    identifier = hashlib.sha256(POLICY).hexdigest()
    document = reply.document
    assert (document.name, list(document.filenames)) == (f"documents/{identifier}", ["policy.md"])
    assert (document.content_type, document.size_bytes, document.title) == ("text/markdown", len(POLICY), "Remote work")
    assert (reply.cache_hit, reply.storage_backend) == (False, "local")
    assert document.chunk_count == len(rag.texts["red", document.name]) >= 1
    assert document.token_count > 10
    assert not document.HasField("page_count")
    assert document.create_time.seconds > 0
    assert rag.subjects == {"ingest-worker"}
    assert ingest.stored_files() == {
        f"red/md/{identifier}/{name}" for name in ("original.md", "metadata.json", "chunks.json")
    }
    with acting_as(ANN):
        job = await ingest.stub.GetJob(GetJobRequest(name=reply.job))
        assert await ingest.stub.GetDocument(GetDocumentRequest(name=document.name)) == document
    assert (job.state, job.document, job.filename, job.attempt_count) == (READY, document.name, "policy.md", 1)
    assert job.indexed_chunk_count == job.total_chunk_count == document.chunk_count


@pytest.mark.parametrize(
    ("filename", "content", "words"),
    [
        ("a.pdf", pdf_of(lines(["Words of a PDF."]), lines(["Second page."])), "Words of a PDF."),
        ("a.docx", docx_of(paragraph("Words of a document.") + table(("A", "B"), ("c", "d"))), "A: c; B: d"),
        ("a.csv", b"Name,City\nAnn,Oslo\n", "Name: Ann; City: Oslo"),
        ("a.tsv", b"Name\tCity\nAnn\tOslo\n", "Name: Ann; City: Oslo"),
        ("a.json", b'{"a": {"b": "words"}}', "a.b: words"),
        ("a.jsonl", b'{"a": 1}\n{"a": 2}\n', "a: 2"),
        ("a.txt", "Größe in Latin-1".encode("latin-1"), "Größe in Latin-1"),
        ("a.html", b"<p>Words of a page.</p><script>no()</script>", "Words of a page."),
        ("a.HTM", b"<p>Words of a page.</p>", "Words of a page."),
    ],
)
async def test_every_kind_of_file_is_read(
    ingest: Running, rag: RagStandIn, filename: str, content: bytes, words: str
) -> None:
    reply = await ingested(ingest, content, filename)

    assert words in "\n".join(rag.texts["red", reply.document.name].values())
    assert reply.document.page_count == (2 if filename == "a.pdf" else 0)


async def test_the_same_bytes_again_cost_no_parse_and_no_embedding(ingest: Running, rag: RagStandIn) -> None:
    first = await ingested(ingest, POLICY, "policy.md")
    embedded, requests = rag.embedded.total(), len(rag.requests)

    again = await ingested(ingest, POLICY, "copy.md")

    assert (again.cache_hit, again.document.name, again.job) == (True, first.document.name, first.job)
    assert list(again.document.filenames) == ["policy.md", "copy.md"]
    assert (rag.embedded.total(), len(rag.requests)) == (embedded, requests)
    with acting_as(ANN):
        assert (await ingest.stub.GetStats(GetStatsRequest())).parsed_file_count == 1


async def test_many_uploads_of_the_same_bytes_at_once_do_the_work_once(ingest: Running, rag: RagStandIn) -> None:
    replies = await asyncio.gather(*(ingested(ingest, POLICY, f"{number}.md") for number in range(8)))

    assert [reply.cache_hit for reply in replies].count(False) == 1
    assert set(rag.embedded.values()) == {1}


async def test_two_processes_with_the_same_bytes_do_the_work_once(start_ingest: StartIngest, rag: RagStandIn) -> None:
    async with start_ingest() as one, start_ingest() as other:
        replies = await asyncio.gather(*(ingested(running, POLICY, "p.md") for running in (one, other) * 3))

    assert [reply.cache_hit for reply in replies].count(False) == 1
    assert set(rag.embedded.values()) == {1}


async def test_odd_names_are_stored_under_the_hash_alone(ingest: Running) -> None:
    reply = await ingested(ingest, POLICY, "..%2f..%2fetc%2fpasswd.txt")

    assert list(reply.document.filenames) == ["..%2f..%2fetc%2fpasswd.txt"]
    assert all("passwd" not in stored for stored in ingest.stored_files())


async def test_a_name_with_other_bytes_moves_and_leaves_nothing_stale(ingest: Running, rag: RagStandIn) -> None:
    first = await ingested(ingest, POLICY, "policy.md")
    second = await ingested(ingest, b"# Vacation\n\n20 days.", "policy.md")

    assert set(rag.texts) == {("red", second.document.name)}
    assert (await failure_of_get(ingest, first.document.name)).reason == "DOCUMENT_NOT_FOUND"
    assert all(second.document.name.removeprefix("documents/") in stored for stored in ingest.stored_files())


async def failure_of_get(running: Running, name: str) -> RemoteFailure:
    with acting_as(ANN):
        return await failure_of(running.stub.GetDocument(GetDocumentRequest(name=name)))


@pytest.mark.parametrize(
    ("filename", "content", "code", "reason", "field"),
    [
        ("", b"x", grpc.StatusCode.INVALID_ARGUMENT, "FILENAME_INVALID", "filename"),
        ("a\x01.txt", b"x", grpc.StatusCode.INVALID_ARGUMENT, "FILENAME_INVALID", "filename"),
        ("x" * 256, b"x", grpc.StatusCode.INVALID_ARGUMENT, "FILENAME_INVALID", "filename"),
        ("a.txt", b"", grpc.StatusCode.INVALID_ARGUMENT, "FILE_EMPTY", "content"),
        ("a.exe", b"x", grpc.StatusCode.INVALID_ARGUMENT, "FILE_TYPE_UNSUPPORTED", "filename"),
        ("a.pdf", b"\x89PNG\r\n\x1a\n", grpc.StatusCode.INVALID_ARGUMENT, "FILE_TYPE_MISMATCH", "content"),
        ("a.pdf", b"%PDF-1.7 broken", grpc.StatusCode.INVALID_ARGUMENT, "FILE_BROKEN", "content"),
        ("a.pdf", ENCRYPTED_PDF, grpc.StatusCode.INVALID_ARGUMENT, "FILE_BROKEN", "content"),
        ("a.json", b"{", grpc.StatusCode.INVALID_ARGUMENT, "FILE_BROKEN", "content"),
        ("a.pdf", pdf_of([]), grpc.StatusCode.INVALID_ARGUMENT, "FILE_WITHOUT_TEXT", "content"),
        ("a.txt", b"x" * 2_001, grpc.StatusCode.OUT_OF_RANGE, "FILE_TOO_LARGE", "content"),
    ],
)
async def test_bad_input_is_refused_naming_the_field_and_leaves_nothing(
    start_ingest: StartIngest,
    rag: RagStandIn,
    filename: str,
    content: bytes,
    code: grpc.StatusCode,
    reason: str,
    field: str,
) -> None:
    async with start_ingest(max_file_bytes=2_000) as running:
        failure = await refusal(running, content, filename)

        assert (failure.code, failure.reason, failure.domain) == (code, reason, "ingest.diglot")
        assert [violation.field for violation in failure.fields] == [field]
        assert failure.message
        assert running.stored_files() == set()
        assert rag.texts == {}
        with acting_as(ANN):
            assert (await running.stub.GetStats(GetStatsRequest())).document_count == 0


async def test_the_limit_is_told_with_a_file_too_large(start_ingest: StartIngest) -> None:
    async with start_ingest(max_file_bytes=100) as running:
        assert (await refusal(running, b"x" * 101, "a.txt")).metadata == {"max_bytes": "100"}


async def test_a_request_id_that_is_no_uuid_is_refused(ingest: Running) -> None:
    with acting_as(ANN):
        request = IngestDocumentRequest(filename="a.txt", content=b"x", request_id="1")
        failure = await failure_of(ingest.stub.IngestDocument(request))

    assert (failure.reason, failure.fields[0].field) == ("REQUEST_ID_INVALID", "request_id")


async def test_a_repeated_request_id_gives_the_same_job(ingest: Running) -> None:
    request_id = str(uuid4())

    first = await ingested(ingest, POLICY, "policy.md", request_id)
    again = await ingested(ingest, POLICY, "policy.md", request_id)

    assert again.job == first.job


async def test_a_failed_job_tells_its_reason(ingest: Running) -> None:
    await refusal(ingest, b"{", "a.json")

    with acting_as(ANN):
        [job] = (await ingest.stub.ListJobs(ListJobsRequest())).jobs
        stats = await ingest.stub.GetStats(GetStatsRequest())
    assert (job.state, job.failure_reason) == (FAILED, "FILE_BROKEN")
    assert "JSON" in job.failure_detail
    assert dict(stats.jobs_by_state) == {"FAILED": 1}


async def test_while_rag_is_away_the_caller_is_told_when_to_come_back_and_a_worker_finishes(
    ingest: Running, rag: RagStandIn
) -> None:
    rag.away = True

    failure = await refusal(ingest, POLICY, "policy.md")

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "INDEX_UNAVAILABLE")
    assert failure.retry_after_seconds is not None
    assert failure.retry_after_seconds > 0
    with acting_as(ANN):
        [job] = (await ingest.stub.ListJobs(ListJobsRequest())).jobs
    assert job.state == QUEUED
    rag.away = False
    async with asyncio.timeout(20):
        while job.state != READY:
            await asyncio.sleep(0.1)
            with acting_as(ANN):
                job = await ingest.stub.GetJob(GetJobRequest(name=job.name))
    assert set(rag.embedded.values()) == {1}


async def test_a_call_that_ends_early_leaves_the_work_going_on(ingest: Running, rag: RagStandIn) -> None:
    rag.gate.clear()
    with acting_as(ANN), pytest.raises(grpc.aio.AioRpcError) as caught:
        await ingest.stub.IngestDocument(IngestDocumentRequest(filename="p.md", content=POLICY), timeout=1.0)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    rag.gate.set()

    reply = await ingested(ingest, POLICY, "p.md")
    assert set(rag.embedded.values()) == {1}
    with acting_as(ANN):
        assert (await ingest.stub.GetJob(GetJobRequest(name=reply.job))).attempt_count == 1


async def test_a_deleted_document_leaves_nothing_and_can_come_again(ingest: Running, rag: RagStandIn) -> None:
    reply = await ingested(ingest, POLICY, "policy.md")
    request = DeleteDocumentRequest(name=reply.document.name)

    with acting_as(ANN):
        await ingest.stub.DeleteDocument(request)
        assert (await failure_of(ingest.stub.DeleteDocument(request))).reason == "DOCUMENT_NOT_FOUND"
        assert len((await ingest.stub.ListDocuments(ListDocumentsRequest())).documents) == 0

    assert ingest.stored_files() == set()
    assert rag.texts == {}
    assert (await ingested(ingest, POLICY, "policy.md")).cache_hit is False


async def test_a_deletion_that_rag_interrupts_is_finished_by_a_worker(ingest: Running, rag: RagStandIn) -> None:
    reply = await ingested(ingest, POLICY, "policy.md")
    rag.away = True
    with acting_as(ANN):
        failure = await failure_of(ingest.stub.DeleteDocument(DeleteDocumentRequest(name=reply.document.name)))
    assert failure.reason == "INDEX_UNAVAILABLE"
    assert (await failure_of_get(ingest, reply.document.name)).reason == "DOCUMENT_NOT_FOUND"

    rag.away = False

    async with asyncio.timeout(20):
        while ingest.stored_files() or rag.texts:
            await asyncio.sleep(0.05)


async def test_a_document_deleted_while_it_is_indexed_ends_the_waiting_call(ingest: Running, rag: RagStandIn) -> None:
    rag.gate.clear()
    call = asyncio.create_task(refusal(ingest, POLICY, "policy.md"))
    name = f"documents/{hashlib.sha256(POLICY).hexdigest()}"
    async with asyncio.timeout(20):
        while not any("chunks.json" in stored for stored in ingest.stored_files()):
            await asyncio.sleep(0.02)
    with acting_as(ANN):
        deletion = asyncio.create_task(reply_of(ingest.stub.DeleteDocument(DeleteDocumentRequest(name=name))))
        await asyncio.sleep(0.1)
        rag.gate.set()
        await deletion

    failure = await call
    assert (failure.code, failure.reason) == (grpc.StatusCode.ABORTED, "JOB_CANCELLED")
    assert ingest.stored_files() == set()
    assert rag.texts == {}


async def reply_of(call: Awaitable[object]) -> object:
    return await call


async def test_tenants_do_not_see_each_other(ingest: Running) -> None:
    reply = await ingested(ingest, POLICY, "policy.md")

    with acting_as(BOB):
        assert len((await ingest.stub.ListDocuments(ListDocumentsRequest())).documents) == 0
        assert len((await ingest.stub.ListJobs(ListJobsRequest())).jobs) == 0
        for call in (
            ingest.stub.GetDocument(GetDocumentRequest(name=reply.document.name)),
            ingest.stub.DeleteDocument(DeleteDocumentRequest(name=reply.document.name)),
            ingest.stub.GetJob(GetJobRequest(name=reply.job)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert (await ingest.stub.GetStats(GetStatsRequest())).document_count == 0


async def test_lists_are_paged_newest_first(ingest: Running) -> None:
    for number in range(5):
        await ingested(ingest, b"text %d" % number, f"{number}.txt")

    with acting_as(ANN):
        first = await ingest.stub.ListDocuments(ListDocumentsRequest(page_size=2))
        second = await ingest.stub.ListDocuments(ListDocumentsRequest(page_size=3, page_token=first.next_page_token))
        jobs = await ingest.stub.ListJobs(ListJobsRequest(page_size=5))
        wrong = await failure_of(ingest.stub.ListJobs(ListJobsRequest(page_token=first.next_page_token)))

    names = [document.filenames[0] for document in [*first.documents, *second.documents]]
    assert names == [f"{number}.txt" for number in (4, 3, 2, 1, 0)]
    assert (second.next_page_token, jobs.next_page_token) == ("", "")
    assert (wrong.reason, wrong.fields[0].field) == ("PAGE_TOKEN_INVALID", "page_token")


async def test_stats_say_what_is_served(ingest: Running) -> None:
    await ingested(ingest, POLICY, "policy.md")

    with acting_as(ANN):
        stats = await ingest.stub.GetStats(GetStatsRequest())

    assert (stats.document_count, stats.total_size_bytes, stats.parsed_file_count) == (1, len(POLICY), 1)
    assert dict(stats.jobs_by_state) == {"READY": 1}
    assert stats.max_file_bytes == 50 * 1024 * 1024
    assert list(stats.served_extensions) == sorted(stats.served_extensions)
    assert {".pdf", ".docx", ".csv", ".json", ".txt", ".md", ".html"} <= set(stats.served_extensions)
    assert stats.uptime.ToMilliseconds() > 0


async def test_a_disk_without_room_is_told_and_leaves_nothing(
    ingest: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    def no_room(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", no_room)
        failure = await refusal(ingest, POLICY, "policy.md")

    assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL")
    assert ingest.stored_files() == set()
    assert (await ingested(ingest, POLICY, "policy.md")).cache_hit is False


async def test_where_nothing_may_outlive_a_call_the_next_call_finishes_the_job(
    start_ingest: StartIngest, rag: RagStandIn
) -> None:
    async with start_ingest(background_work=False) as running:
        rag.gate.clear()
        with acting_as(ANN), pytest.raises(grpc.aio.AioRpcError):
            await running.stub.IngestDocument(IngestDocumentRequest(filename="p.md", content=POLICY), timeout=1.0)
        rag.gate.set()

        reply = await ingested(running, POLICY, "p.md")

        assert reply.cache_hit is False
        with acting_as(ANN):
            job = await running.stub.GetJob(GetJobRequest(name=reply.job))
        assert (job.state, job.attempt_count) == (READY, 2)
