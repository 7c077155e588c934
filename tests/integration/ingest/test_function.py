"""The ingest function under the real Lambda runtime client, with its files in S3 and its queue in SQS."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import grpc
import pytest

from protos.ingest.v1.document_pb2 import IngestJob
from protos.ingest.v1.ingest_service_pb2 import (
    DeleteDocumentRequest,
    GetJobRequest,
    IngestDocumentRequest,
    IngestDocumentResponse,
    ListJobsRequest,
)
from protos.ingest.v1.ingest_service_pb2_grpc import IngestServiceStub
from services.transport.channels import open_channel
from services.transport.errors import read_failure
from services.transport.identity import acting_as
from tests.aws_server import AwsAccount
from tests.fakes.servicers import INTERNAL_KEY, transport_settings
from tests.integration.ingest.conftest import ANN
from tests.integration.ingest.rag_stand_in import RagStandIn
from tests.lambda_cluster import Function, LambdaCluster
from tests.lambda_runtime import REPOSITORY

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

    from protos.ingest.v1.ingest_service_pb2_grpc import IngestServiceAsyncStub

NAME = "diglot-ingest"
BUCKET = "rag-cache-123456789012-us-east-1"
CONTENT = b"Fifteen days a year."
# Python loads this first in every process of the function: it writes down what is opened for writing, and where.
WATCH_WRITES = """
import os, sys
_log = os.open(os.environ["WRITES_LOG"], os.O_WRONLY | os.O_APPEND) if "WRITES_LOG" in os.environ else None
def _watch(event, arguments):
    if event not in ("open", "os.mkdir", "os.rename") or _log is None:
        return
    path, flags = arguments[0], arguments[2] if event == "open" else os.O_WRONLY
    if isinstance(path, str) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        os.write(_log, f"{path}\\n".encode())
sys.addaudithook(_watch)
"""


@dataclass
class World:
    """The function, called as services call it and as AWS does."""

    cluster: LambdaCluster
    stub: IngestServiceAsyncStub
    sqs: SQSClient
    s3: S3Client
    queue_url: str
    writes_log: Path

    async def ingest(self, content: bytes = CONTENT, *, timeout_seconds: float = 20) -> IngestDocumentResponse:
        request = IngestDocumentRequest(filename="a.txt", content=content)
        return await self.stub.IngestDocument(request, timeout=timeout_seconds)

    async def event(self, event: dict[str, Any]) -> Any:
        result = await asyncio.to_thread(self.cluster.invoke, NAME, json.dumps(event).encode())
        assert result.error is None, self.cluster.logs(NAME)
        return json.loads(result.payload)

    async def deliver(self, *records: tuple[str, str]) -> list[str]:
        """Have messages, as id and body, delivered; returns the ids of those to come again."""
        reply = await self.event({"Records": [record(message_id, body) for message_id, body in records]})
        return [item["itemIdentifier"] for item in reply["batchItemFailures"]]

    async def only_job(self) -> IngestJob:
        (job,) = (await self.stub.ListJobs(ListJobsRequest())).jobs
        return job

    def message_bodies(self) -> list[Any]:
        found = self.sqs.receive_message(QueueUrl=self.queue_url, WaitTimeSeconds=3).get("Messages", ())
        return [json.loads(message["Body"]) for message in found]

    def object_names(self) -> set[str]:
        return {found["Key"] for found in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())}


def record(message_id: str, body: str) -> dict[str, Any]:
    return {
        "messageId": message_id,
        "receiptHandle": f"receipt-of-{message_id}",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1763700000000"},
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:diglot-ingest",
        "awsRegion": "us-east-1",
    }


@pytest.fixture
def s3(aws_account: AwsAccount) -> Iterator[S3Client]:
    client: S3Client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()


@pytest.fixture
def sqs(aws_account: AwsAccount) -> Iterator[SQSClient]:
    client: SQSClient = boto3.client("sqs")
    yield client
    client.close()


@pytest.fixture
async def world(
    aws_account: AwsAccount,
    s3: S3Client,
    sqs: SQSClient,
    store_url: str,
    rag_target: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    queue_url = sqs.create_queue(QueueName="diglot-ingest")["QueueUrl"]
    site, writes_log, temporary = tmp_path / "site", tmp_path / "writes", tmp_path / "tmp"
    site.mkdir()
    temporary.mkdir()
    writes_log.touch()
    (site / "sitecustomize.py").write_text(WATCH_WRITES)
    environment = {
        **aws_account.environment(),
        "PYTHONPATH": f"{site}:{REPOSITORY}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "WRITES_LOG": str(writes_log),
        "TMPDIR": str(temporary),
        "DIGLOT_INTERNAL_KEY": INTERNAL_KEY,
        "DIGLOT_STORE_URL": store_url,
        "STORAGE_BACKEND": "s3",
        "S3_CACHE_BUCKET": BUCKET,
        "INGEST_QUEUE_URL": queue_url,
        "INGEST_RAG_TARGET": rag_target,
    }
    function = Function(NAME, "services.ingest.handler.handler", env=environment, timeout_seconds=60)
    cluster = LambdaCluster([function])
    await asyncio.to_thread(cluster.start)
    for name, value in cluster.caller_environment().items():
        monkeypatch.setenv(name, value)
    try:
        async with open_channel(f"lambda:{NAME}", transport_settings()) as channel:
            with acting_as(ANN):
                yield World(cluster, IngestServiceStub(channel), sqs, s3, queue_url, writes_log)
    finally:
        await asyncio.to_thread(cluster.stop)


async def waiting_job(world: World, rag: RagStandIn) -> str:
    """A job that could not be finished in its call; returns its id."""
    rag.away = True
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.ingest()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    rag.away = False
    return (await world.only_job()).name.removeprefix("jobs/")


async def test_of_a_batch_only_the_message_that_names_no_job_comes_again(world: World, rag: RagStandIn) -> None:
    job_id = await waiting_job(world, rag)
    assert world.message_bodies() == [{"job_id": job_id}]
    fine = json.dumps({"job_id": job_id})
    unknown = json.dumps({"job_id": uuid.uuid4().hex})

    assert await world.deliver(("fine", fine), ("poison", "{not json"), ("unknown", unknown)) == ["poison"]

    assert (await world.only_job()).state == IngestJob.READY
    assert await world.deliver(("fine", fine), ("fine-again", fine)) == []
    assert set(rag.embedded.values()) == {1}
    assert (await world.ingest()).cache_hit is True
    log = world.cluster.logs(NAME)
    assert "message.unreadable" in log
    assert "{not json" not in log


async def test_a_message_whose_job_cannot_be_done_now_comes_again(world: World, rag: RagStandIn) -> None:
    job_id = await waiting_job(world, rag)
    rag.away = True

    assert await world.deliver(("m1", json.dumps({"job_id": job_id}))) == ["m1"]

    assert (await world.only_job()).state == IngestJob.QUEUED


async def test_work_that_outlasts_its_call_is_announced_and_done_by_the_next_sweep(
    world: World, rag: RagStandIn
) -> None:
    rag.gate.clear()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.ingest(timeout_seconds=10)
    rag.gate.set()

    failure = read_failure(caught.value)
    job = await world.only_job()
    assert (failure.code, failure.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "WORK_GOES_ON")
    assert failure.metadata == {"job": job.name}
    assert job.state == IngestJob.QUEUED
    (announced,) = world.message_bodies()
    assert await world.event({"source": "aws.events", "detail-type": "Scheduled Event"}) == {"swept": True}
    assert (await world.stub.GetJob(GetJobRequest(name=job.name))).state == IngestJob.READY
    assert await world.deliver(("late", json.dumps(announced))) == []
    assert set(rag.embedded.values()) == {1}


async def test_files_lie_in_the_bucket_and_nothing_is_written_but_temporary_files(world: World) -> None:
    document = (await world.ingest()).document.name.removeprefix("documents/")

    folder = f"tenants/red/txt/{document}"
    assert world.object_names() == {
        f"{folder}/original.txt",
        f"{folder}/metadata.json",
        f"{folder}/chunks.json",
    }
    written = {Path(line) for line in world.writes_log.read_text().splitlines()} - {Path("/dev/null")}
    temporary = world.writes_log.parent / "tmp"
    assert written, "the watch saw nothing"
    assert {path for path in written if not path.is_relative_to(temporary)} == set()
    assert list(temporary.iterdir()) == []

    await world.stub.DeleteDocument(DeleteDocumentRequest(name=f"documents/{document}"))
    assert world.object_names() == set()


async def test_an_event_of_no_known_kind_is_refused_as_a_call(world: World) -> None:
    reply = await world.event({"Records": [{"eventSource": "aws:s3"}]})

    assert reply["status"] == "INVALID_ARGUMENT"
