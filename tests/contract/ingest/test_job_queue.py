"""The behaviour of a queue of jobs, on the fake and on SQS."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import boto3
import pytest

from services.ingest.adapters import sqs_queue
from services.ingest.adapters.polled_queue import PolledQueue
from services.ingest.adapters.sqs_queue import SqsQueue
from services.ingest.errors import JobQueueUnavailable
from services.transport.aws_clients import AwsClient, make_aws_client
from tests.aws_server import AwsAccount
from tests.contract.ingest.job_queue_contract import JOB, BothEnds, JobQueueContract, received
from tests.fakes.ingest_queue import FakeJobQueue

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class TestFakeJobQueue(JobQueueContract):
    @pytest.fixture
    def queue(self) -> BothEnds:
        return FakeJobQueue(max_receives=2)

    @pytest.fixture
    def put_nonsense(self, queue: FakeJobQueue) -> Callable[[str], object]:
        return lambda body: queue.put(None)


@pytest.fixture
def sqs(aws_account: AwsAccount) -> Iterator[SQSClient]:
    client: SQSClient = boto3.client("sqs")
    yield client
    client.close()


@pytest.fixture
def queue_url(sqs: SQSClient) -> str:
    aside = sqs.create_queue(QueueName="diglot-ingest-dlq")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=aside, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    return sqs.create_queue(QueueName="diglot-ingest", Attributes={"RedrivePolicy": policy})["QueueUrl"]


@pytest.fixture
def client(aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsClient]:
    monkeypatch.setattr(sqs_queue, "POLL_WAIT_SECONDS", 0)
    made = make_aws_client("sqs")
    yield made
    made.close()


class TestSqsQueue(JobQueueContract):
    @pytest.fixture
    def queue(self, client: AwsClient, queue_url: str) -> BothEnds:
        return SqsQueue(client, queue_url)

    @pytest.fixture
    def put_nonsense(self, sqs: SQSClient, queue_url: str) -> Callable[[str], object]:
        return lambda body: sqs.send_message(QueueUrl=queue_url, MessageBody=body)

    async def test_a_message_says_the_job_and_no_more(self, queue: BothEnds, sqs: SQSClient, queue_url: str) -> None:
        await queue.announce(JOB)

        found = sqs.receive_message(QueueUrl=queue_url, MessageAttributeNames=["All"])["Messages"][0]

        assert json.loads(found["Body"]) == {"job_id": JOB}
        assert "MessageAttributes" not in found

    async def test_a_queue_without_a_place_to_set_aside_delivers_for_ever(
        self, client: AwsClient, sqs: SQSClient
    ) -> None:
        queue = SqsQueue(client, sqs.create_queue(QueueName="no-dlq")["QueueUrl"])
        await queue.announce(JOB)
        for _ in range(4):
            await queue.keep(await received(queue), seconds=0)

        assert (await received(queue)).is_last is False


@pytest.mark.parametrize("work", ["announce", "receive"])
async def test_a_queue_that_is_missing_is_told_in_the_log(
    client: AwsClient, queue_url: str, caplog: pytest.LogCaptureFixture, work: str
) -> None:
    queue = SqsQueue(client, f"{queue_url}-gone")

    with caplog.at_level(logging.ERROR), pytest.raises(JobQueueUnavailable) as caught:
        await (queue.announce(JOB) if work == "announce" else queue.receive())

    assert "gone" not in str(caught.value)
    assert vars(caplog.records[-1])["code"].endswith("NonExistentQueue")


async def test_a_queue_that_is_away_is_told(aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9")
    away = make_aws_client("sqs")

    with pytest.raises(JobQueueUnavailable):
        await SqsQueue(away, "http://127.0.0.1:9/123456789012/diglot-ingest").announce(JOB)
    away.close()


async def test_where_workers_look_by_themselves_there_is_nobody_to_tell() -> None:
    assert await PolledQueue().announce(JOB) is None  # type: ignore[func-returns-value]
