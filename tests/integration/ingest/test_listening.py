"""A server that listens to a queue: jobs come by message, and what it is doing when it stops goes back at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import grpc
import pytest

from protos.ingest.v1.document_pb2 import IngestJob
from protos.ingest.v1.ingest_service_pb2 import IngestDocumentRequest, ListJobsRequest
from services.ingest.adapters import sqs_queue
from services.transport.identity import acting_as
from tests.aws_server import AwsAccount
from tests.integration.ingest.conftest import ANN, Running, StartIngest
from tests.integration.ingest.rag_stand_in import RagStandIn

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

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
    (job,) = (await running.stub.ListJobs(ListJobsRequest())).jobs
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
