"""The ingest service whole, with its jobs and documents in DynamoDB: uploads, restarts, kill -9, an outage."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

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
from services.ingest.adapters.dynamodb_tables import TABLES
from services.transport.aws_clients import make_aws_client
from services.transport.errors import read_failure
from services.transport.identity import acting_as
from tests.aws_server import AwsAccount
from tests.dynamodb import PREFIX, make_tables
from tests.fakes.servicers import INTERNAL_KEY
from tests.integration.ingest.conftest import ANN, BOB, Running, StartIngest
from tests.integration.ingest.rag_stand_in import RagStandIn

# The same tests on another store: what differs is their `environment`.
from tests.integration.ingest.test_killed import (  # noqa: F401
    test_a_deletion_killed_half_way_is_finished_by_the_next_process,
    test_a_job_killed_while_indexing_is_finished_by_the_next_process,
    test_a_server_told_to_stop_gives_its_work_back_at_once,
)

READY = document_pb2.IngestJob.READY
STORE_URL = f"dynamodb://{PREFIX}"


@pytest.fixture
async def store_url(aws_account: AwsAccount) -> str:
    await make_tables(*TABLES)
    return STORE_URL


@pytest.fixture
def environment(store_url: str, aws_account: AwsAccount, rag_target: str, tmp_path: Path) -> dict[str, str]:
    return aws_account.environment() | {
        "PATH": os.environ["PATH"],
        "DIGLOT_INTERNAL_KEY": INTERNAL_KEY,
        "DIGLOT_STORE_URL": store_url,
        "DIGLOT_DATA_DIR": str(tmp_path / "data"),
        "INGEST_RAG_TARGET": rag_target,
        "INGEST_LISTEN": f"unix:{tmp_path / 'i.sock'}",
        "INGEST_LEASE_SECONDS": "2",
        "INGEST_WORKER_POLL_SECONDS": "0.2",
        "INGEST_INDEX_BATCH_CHUNKS": "4",
    }


async def test_an_upload_becomes_ready_and_outlives_a_restart(start_ingest: StartIngest, rag: RagStandIn) -> None:
    upload = IngestDocumentRequest(filename="notes.txt", content=b"The pier opens at nine.")
    async with start_ingest() as first:
        with acting_as(ANN):
            sent = await first.stub.IngestDocument(upload)

    async with start_ingest() as second:
        with acting_as(ANN):
            [document] = (await second.stub.ListDocuments(ListDocumentsRequest())).documents
            [job] = (await second.stub.ListJobs(ListJobsRequest())).jobs
            again = await second.stub.IngestDocument(upload)
            stats = await second.stub.GetStats(GetStatsRequest())
        with acting_as(BOB):
            others = (await second.stub.ListDocuments(ListDocumentsRequest())).documents

    assert sent.document == document == again.document
    assert (sent.cache_hit, again.cache_hit) == (False, True)
    assert job.state == READY
    assert (stats.document_count, stats.parsed_file_count) == (1, 0)
    assert list(others) == []
    assert set(rag.embedded.values()) == {1}


async def test_a_name_moves_to_its_new_content_and_the_old_one_goes(ingest: Running, rag: RagStandIn) -> None:
    await ingest.stub.IngestDocument(IngestDocumentRequest(filename="notes.txt", content=b"The pier opens at nine."))
    newer = await ingest.stub.IngestDocument(
        IngestDocumentRequest(filename="notes.txt", content=b"The pier opens at ten.")
    )

    [document] = (await ingest.stub.ListDocuments(ListDocumentsRequest())).documents

    assert document == newer.document
    assert list(rag.texts) == [("red", document.name)]
    await ingest.stub.DeleteDocument(DeleteDocumentRequest(name=document.name))
    assert rag.texts == {}
    assert ingest.stored_files() == set()


async def test_the_same_bytes_from_many_are_worked_on_once(ingest: Running, rag: RagStandIn) -> None:
    replies = await asyncio.gather(
        *(
            ingest.stub.IngestDocument(
                IngestDocumentRequest(filename=f"{name}.txt", content=b"The pier opens at nine.")
            )
            for name in "abcdef"
        )
    )

    [document] = (await ingest.stub.ListDocuments(ListDocumentsRequest())).documents
    assert sorted(document.filenames) == [f"{name}.txt" for name in "abcdef"]
    assert [reply.cache_hit for reply in replies].count(False) == 1
    assert set(rag.embedded.values()) == {1}


async def test_two_servers_share_the_work_and_do_each_document_once(start_ingest: StartIngest, rag: RagStandIn) -> None:
    async with start_ingest() as one, start_ingest() as other:
        with acting_as(ANN):
            replies = await asyncio.gather(
                *(
                    server.stub.IngestDocument(
                        IngestDocumentRequest(filename=f"{number}.txt", content=f"Pier {number} opens.".encode())
                    )
                    for number in range(4)
                    for server in (one, other)
                )
            )
            jobs = (await one.stub.ListJobs(ListJobsRequest())).jobs

    assert len({reply.document.name for reply in replies}) == 4
    # A job that begins as another one for its document ends finds that READY, and does nothing.
    assert {job.state for job in jobs} == {READY}
    assert set(rag.embedded.values()) == {1}


async def test_a_store_that_went_away_is_told_as_unavailable(start_ingest: StartIngest) -> None:
    async with start_ingest(background_work=False) as running:
        client = make_aws_client("dynamodb")
        await client.run(lambda database: database.delete_table(TableName=f"{PREFIX}-jobs"))
        client.close()

        with acting_as(ANN), pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.stub.ListJobs(ListJobsRequest(), timeout=5)

    failure = read_failure(caught.value)
    assert (caught.value.code(), failure.reason) == (grpc.StatusCode.UNAVAILABLE, "JOB_STORE_UNAVAILABLE")
