"""The queue of waiting jobs in SQS. A message says `{"job_id": …}` and no more.

The role needs sqs:SendMessage to announce; whoever receives, also ReceiveMessage, DeleteMessage,
ChangeMessageVisibility and GetQueueAttributes.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from services.ingest.errors import JobQueueUnavailable
from services.ingest.models import JobMessage
from services.transport.aws_clients import AwsClient

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

LONGEST_DELAY_SECONDS = 900  # what SendMessage takes
LONGEST_VISIBILITY_SECONDS = 11 * 3_600  # SQS: 12 hours from when it was received, of which some are over
# As long as a server takes to stop: a wait under way is not broken off, because it may just have got a message.
POLL_WAIT_SECONDS = 3
_JOB_ID = re.compile(r"[0-9a-f]{32}")
_UNLIMITED = 2**31


class SqsQueue:
    """JobQueue and JobMessages on a standard queue."""

    def __init__(self, client: AwsClient, url: str, *, visibility_seconds: int = 60) -> None:
        self._client = client
        self._url = url
        self._visibility_seconds = visibility_seconds
        self._max_receives: int | None = None

    async def announce(self, job_id: str, *, delay_seconds: float = 0) -> None:
        body = json.dumps({"job_id": job_id})
        delay = min(max(0, math.ceil(delay_seconds)), LONGEST_DELAY_SECONDS)
        await self._run(lambda sqs: sqs.send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=delay))

    async def receive(self) -> Sequence[JobMessage]:
        reply = await self._run(
            lambda sqs: sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=1,
                WaitTimeSeconds=POLL_WAIT_SECONDS,
                VisibilityTimeout=self._visibility_seconds,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        )
        return [
            await self.message(
                found["MessageId"],
                found["Body"],
                found["ReceiptHandle"],
                {str(name): value for name, value in found.get("Attributes", {}).items()},
            )
            for found in reply.get("Messages", ())
        ]

    async def keep(self, message: JobMessage, *, seconds: float) -> None:
        timeout = min(max(0, math.ceil(seconds)), LONGEST_VISIBILITY_SECONDS)
        await self._run(
            lambda sqs: sqs.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=message.receipt, VisibilityTimeout=timeout
            )
        )

    async def remove(self, message: JobMessage) -> None:
        await self._run(lambda sqs: sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message.receipt))

    async def message(self, message_id: str, body: str, receipt: str, attributes: Mapping[str, str]) -> JobMessage:
        """A message from its parts, as the API and Lambda's events name them."""
        count = attributes.get("ApproximateReceiveCount", "1")
        receive_count = int(count) if count.isdecimal() else 1
        is_last = receive_count >= await self._receives_allowed()
        return JobMessage(message_id, job_id_in(body), receipt, receive_count, is_last)

    async def _receives_allowed(self) -> int:
        """After how many receives the queue sets a message aside: its own word, so that the two cannot disagree."""
        if self._max_receives is None:
            try:
                reply = await self._run(
                    lambda sqs: sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["RedrivePolicy"])
                )
            except JobQueueUnavailable:
                return _UNLIMITED  # for this once; no reason to leave the message's job undone
            policy: dict[str, Any] = json.loads(reply.get("Attributes", {}).get("RedrivePolicy", "{}"))
            self._max_receives = int(policy.get("maxReceiveCount", _UNLIMITED))
        return self._max_receives

    async def _run(self, call: Callable[[SQSClient], Result]) -> Result:
        with self._told():
            return await self._client.run(call)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            logger.error("job_queue.refused", extra={"operation": error.operation_name, "code": code})
            raise JobQueueUnavailable("the queue of jobs refuses") from error
        except BotoCoreError as error:
            logger.warning("job_queue.unreachable", extra={"error_kind": type(error).__name__})
            raise JobQueueUnavailable("the queue of jobs cannot be reached at the moment") from error


def job_id_in(body: str) -> str | None:
    """The job that a message is about; None: it is none of ours."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):  # RecursionError: nested without end
        return None
    job_id = said.get("job_id") if isinstance(said, dict) else None
    return job_id if isinstance(job_id, str) and _JOB_ID.fullmatch(job_id) else None
