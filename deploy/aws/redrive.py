"""Bring messages back from a queue's dead-letter queue: `python -m deploy.aws.redrive --queue-url URL`

Mend first what set them aside: a message whose job failed meanwhile is taken and does nothing. Running this twice, or
again after it was killed, does no harm: the store of jobs knows what is done, and a message that comes twice is done
once.

Options:
  --queue-url URL   the queue they are to come back to, not the dead-letter queue, which it names itself
  --max N           bring back at most so many, one batch after the other (all)
  --dry-run         say how many lie there, change nothing

Environment: AWS_REGION and credentials as boto3 takes them. They need sqs:GetQueueAttributes and GetQueueUrl on both
queues; StartMessageMoveTask, ListMessageMoveTasks, ReceiveMessage and DeleteMessage on the dead-letter queue;
SendMessage on the queue.

stdout: one line, how many messages came back. stderr: what went wrong.
Exit codes: 0 done, or there was nothing to do; 1 some are left, run it again; 2 refused before anything was changed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from deploy.aws.console import complain, make_client, say

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import DeleteMessageBatchRequestEntryTypeDef, SendMessageBatchRequestEntryTypeDef

DONE, INCOMPLETE, REFUSED = 0, 1, 2

_BATCH = 10  # what SQS takes at once
_HIDDEN_SECONDS = 60
# Long enough to ask every part of the queue, so that "none" means none.
_RECEIVE_WAIT_SECONDS = 1
_LOOK_EVERY_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 600.0
# What servers answer that do not know moves; those that are no SQS at all give a number.
_NO_MOVES = frozenset({"InvalidAction", "NotImplemented", "UnknownOperation", "UnknownOperationException"})
_ALREADY_MOVING = "already"


class RedriveRefused(Exception):
    """Nothing was changed; the text says why."""


@dataclass(frozen=True)
class Queues:
    """A queue and the one where it sets messages aside."""

    url: str
    aside_url: str
    aside_arn: str


def find_queues(sqs: SQSClient, url: str) -> Queues:
    """Raises RedriveRefused: the queue sets nothing aside. ClientError: there is no such queue, for one."""
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"]).get("Attributes", {})
    policy: dict[str, Any] = json.loads(attributes.get("RedrivePolicy", "{}"))
    arn = str(policy.get("deadLetterTargetArn", ""))
    if not arn:
        raise RedriveRefused(f"{url} has no dead-letter queue; name the queue that messages are to come back to")
    account, name = arn.split(":")[-2:]
    aside_url = sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
    return Queues(url, aside_url, arn)


def lying_aside(sqs: SQSClient, queues: Queues) -> int:
    """About how many messages lie in the dead-letter queue."""
    found = sqs.get_queue_attributes(QueueUrl=queues.aside_url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(found["Attributes"]["ApproximateNumberOfMessages"])


def move_all(sqs: SQSClient, queues: Queues) -> tuple[int, bool] | None:
    """Have SQS move them; returns how many it moved and whether all. None: this server knows no moves."""
    try:
        sqs.start_message_move_task(SourceArn=queues.aside_arn)
    except ClientError as error:
        if _code(error) in _NO_MOVES or _code(error).isdecimal():
            return None
        if _ALREADY_MOVING not in str(error):
            raise
    ends_at = time.monotonic() + _LONGEST_WAIT_SECONDS
    while True:
        task = sqs.list_message_move_tasks(SourceArn=queues.aside_arn, MaxResults=1)["Results"][0]
        moved = task.get("ApproximateNumberOfMessagesMoved", 0)
        if task.get("Status") not in ("RUNNING", "CANCELLING"):
            return moved, task.get("Status") == "COMPLETED"
        if time.monotonic() > ends_at:
            return moved, False
        time.sleep(_LOOK_EVERY_SECONDS)


def move_some(sqs: SQSClient, queues: Queues, most: int | None) -> tuple[int, bool]:
    """Send each on and remove it then: killed in between, it is in both queues, which does no harm.

    Returns: how many, and whether none was refused.
    """
    moved, whole = 0, True
    while most is None or moved < most:
        wanted = _BATCH if most is None else min(_BATCH, most - moved)
        found = sqs.receive_message(
            QueueUrl=queues.aside_url,
            MaxNumberOfMessages=wanted,
            VisibilityTimeout=_HIDDEN_SECONDS,
            WaitTimeSeconds=_RECEIVE_WAIT_SECONDS,
        ).get("Messages", [])
        if not found:
            break
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(number), "MessageBody": message["Body"]} for number, message in enumerate(found)
        ]
        sent = {entry["Id"] for entry in sqs.send_message_batch(QueueUrl=queues.url, Entries=entries)["Successful"]}
        receipts: list[DeleteMessageBatchRequestEntryTypeDef] = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(found)
            if str(number) in sent
        ]
        if receipts:
            reply = sqs.delete_message_batch(QueueUrl=queues.aside_url, Entries=receipts)
            whole = whole and not reply.get("Failed")
        moved += len(receipts)
        if len(receipts) < len(found):
            whole = False
            break  # refused ones would be refused again
    return moved, whole


def redrive(sqs: SQSClient, url: str, most: int | None) -> tuple[int, bool]:
    """Bring messages back; returns how many came and whether all that should. Raises RedriveRefused, ClientError."""
    queues = find_queues(sqs, url)
    if not lying_aside(sqs, queues):
        return 0, True
    return (move_all(sqs, queues) if most is None else None) or move_some(sqs, queues, most)


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="deploy.aws.redrive", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queue-url", required=True, metavar="URL")
    parser.add_argument("--max", type=_positive, default=None, metavar="N")
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args(arguments)
    moving = False
    try:
        sqs: SQSClient = make_client("sqs")
        if options.dry_run:
            say(f"{lying_aside(sqs, find_queues(sqs, options.queue_url))} messages lie aside")
            return DONE
        moving = True
        moved, whole = redrive(sqs, options.queue_url, options.max)
    except RedriveRefused as error:
        complain("redrive", error)
        return REFUSED
    except (ClientError, BotoCoreError) as error:
        complain("redrive", error)
        return INCOMPLETE if moving else REFUSED
    say(f"{moved} messages came back")
    return DONE if whole else INCOMPLETE


if __name__ == "__main__":
    sys.exit(main())
