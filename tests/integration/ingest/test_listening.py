"""A server that listens to a queue: jobs come by message, and what it is doing when it stops goes back at once."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import grpc
import pytest

from protos.ingest.v1.document_pb2 import IngestJob
from protos.ingest.v1.ingest_service_pb2 import IngestDocumentRequest, ListJobsRequest
from services.ingest.adapters import sqs_queue
from services.transport.identity import acting_as
from tests.aws_server import AwsAccount
from tests.fakes.servicers import INTERNAL_KEY
from tests.integration.ingest.conftest import ANN, Running, StartIngest
from tests.integration.ingest.rag_stand_in import RagStandIn
from tests.integration.ingest.test_killed import server

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from protos.ingest.v1.ingest_service_pb2_grpc import IngestServiceAsyncStub

CONTENT = b"Fifteen days a year."
# Whatever is done, a message told of it: the store is looked into once, at the start, and not again.
BY_MESSAGE_ALONE = {"sweep_seconds": 3_600, "worker_count": 1}


@pytest.fixture
def sqs(aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> Iterator[SQSClient]:
    monkeypatch.setattr(sqs_queue, "POLL_WAIT_SECONDS", 0)
    client: SQSClient = boto3.client("sqs")
    yield client
    client.close()


@pytest.fixture
def queue_url(sqs: SQSClient) -> str:
    return sqs.create_queue(QueueName="diglot-ingest")["QueueUrl"]


async def only_job(running: Running) -> IngestJob:
    return await _job(running.stub)


async def _job(stub: IngestServiceAsyncStub) -> IngestJob:
    (job,) = (await stub.ListJobs(ListJobsRequest())).jobs
    return job


async def ready(running: Running) -> None:
    async with asyncio.timeout(20):
        while (await only_job(running)).state != IngestJob.READY:  # noqa: ASYNC110 -- another task brings it about
            await asyncio.sleep(0.05)


def lengths(sqs: SQSClient, queue_url: str) -> tuple[int, int]:
    """Messages that wait, and messages that somebody has."""
    found = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
    return int(found["ApproximateNumberOfMessages"]), int(found["ApproximateNumberOfMessagesNotVisible"])


async def test_a_job_that_waited_is_done_by_whoever_gets_its_message(
    start_ingest: StartIngest, sqs: SQSClient, queue_url: str, rag: RagStandIn
) -> None:
    with acting_as(ANN):
        async with start_ingest(queue_url=queue_url, **BY_MESSAGE_ALONE) as running:
            rag.away = True
            with pytest.raises(grpc.aio.AioRpcError):
                await running.stub.IngestDocument(IngestDocumentRequest(filename="a.txt", content=CONTENT))
            rag.away = False

            await ready(running)
            async with asyncio.timeout(20):
                while lengths(sqs, queue_url) != (0, 0):  # noqa: ASYNC110 -- another task brings it about
                    await asyncio.sleep(0.05)

    assert set(rag.embedded.values()) == {1}


async def test_what_a_server_is_doing_when_it_stops_goes_back_at_once_and_another_one_finishes_it(
    start_ingest: StartIngest, sqs: SQSClient, queue_url: str, rag: RagStandIn
) -> None:
    with acting_as(ANN):
        rag.away = True
        async with start_ingest(background_work=False, retry_pause_seconds=60) as running:
            with pytest.raises(grpc.aio.AioRpcError):
                await running.stub.IngestDocument(IngestDocumentRequest(filename="a.txt", content=CONTENT))
            job_id = (await only_job(running)).name.removeprefix("jobs/")
        sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps({"job_id": job_id}))
        rag.away = False
        rag.gate.clear()
        async with start_ingest(queue_url=queue_url, **BY_MESSAGE_ALONE) as running:
            async with asyncio.timeout(20):
                while (await only_job(running)).state != IngestJob.INDEXING:  # noqa: ASYNC110 -- as above
                    await asyncio.sleep(0.05)

        assert lengths(sqs, queue_url) == (1, 0)
        rag.gate.set()
        async with start_ingest(queue_url=queue_url, **BY_MESSAGE_ALONE) as running:
            await ready(running)

    assert set(rag.embedded.values()) == {1}


async def test_the_message_of_a_server_that_is_killed_comes_to_another_one(
    aws_account: AwsAccount,
    sqs: SQSClient,
    queue_url: str,
    store_url: str,
    rag_target: str,
    rag: RagStandIn,
    tmp_path: Path,
) -> None:
    shared = {
        **aws_account.environment(),
        "PATH": os.environ["PATH"],
        "DIGLOT_INTERNAL_KEY": INTERNAL_KEY,
        "DIGLOT_STORE_URL": store_url,
        "DIGLOT_DATA_DIR": str(tmp_path / "data"),
        "INGEST_RAG_TARGET": rag_target,
        "INGEST_LEASE_SECONDS": "1",
        "INGEST_QUEUE_URL": queue_url,
        "INGEST_QUEUE_VISIBILITY_SECONDS": "3",
        "INGEST_SWEEP_SECONDS": "3600",
    }
    first, second = ({**shared, "INGEST_LISTEN": f"unix:{tmp_path / name}.sock"} for name in ("first", "second"))
    with acting_as(ANN):
        async with server(first) as (process, stub):
            rag.away = True
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.IngestDocument(IngestDocumentRequest(filename="a.txt", content=CONTENT))
            rag.gate.clear()
            rag.away = False
            async with asyncio.timeout(20):
                while (await _job(stub)).state != IngestJob.INDEXING:  # noqa: ASYNC110 -- another process does it
                    await asyncio.sleep(0.05)
            async with server(second) as (_, other_stub):
                process.kill()
                await process.wait()
                rag.gate.set()
                async with asyncio.timeout(30):
                    while (await _job(other_stub)).state != IngestJob.READY:  # noqa: ASYNC110 -- as above
                        await asyncio.sleep(0.1)
                job = await _job(other_stub)

    assert job.attempt_count == 3
    assert set(rag.embedded.values()) == {1}
