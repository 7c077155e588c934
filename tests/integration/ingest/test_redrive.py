"""Messages brought back from the dead-letter queue, by SQS itself where it can and by hand where not."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from deploy.aws import redrive
from tests.aws_server import AwsAccount
from tests.lambda_runtime import QuietHandler, QuietServer

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


def client(endpoint_url: str | None = None) -> SQSClient:
    config = Config(retries={"total_max_attempts": 1})
    made: SQSClient = boto3.client("sqs", endpoint_url=endpoint_url, config=config)
    return made


@pytest.fixture
def sqs(aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> Iterator[SQSClient]:
    monkeypatch.setattr(redrive, "_RECEIVE_WAIT_SECONDS", 0)
    monkeypatch.setattr(redrive, "_LOOK_EVERY_SECONDS", 0)
    made = client()
    yield made
    made.close()


@pytest.fixture
def queues(sqs: SQSClient) -> redrive.Queues:
    aside = sqs.create_queue(QueueName="diglot-ingest-dlq")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=aside, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    url = sqs.create_queue(QueueName="diglot-ingest", Attributes={"RedrivePolicy": policy})["QueueUrl"]
    return redrive.Queues(url, aside, arn)


def fill(sqs: SQSClient, queues: redrive.Queues, count: int) -> set[str]:
    bodies = {json.dumps({"job_id": f"{number:032x}"}) for number in range(count)}
    for body in bodies:
        sqs.send_message(QueueUrl=queues.aside_url, MessageBody=body)
    return bodies


def bodies_in(sqs: SQSClient, url: str) -> list[str]:
    bodies: list[str] = []
    while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        bodies += [message["Body"] for message in found]
    return bodies


@pytest.fixture
def moving_server(aws_account: AwsAccount, sqs: SQSClient, queues: redrive.Queues) -> Iterator[str]:
    """The local API with the two operations it lacks: the moves of messages between queues."""
    tasks: list[dict[str, Any]] = []

    class Moves(QuietHandler):
        def do_POST(self) -> None:
            body, operation = self.body(), self.headers.get("X-Amz-Target", "").partition(".")[2]
            match operation:
                case "StartMessageMoveTask":
                    assert json.loads(body) == {"SourceArn": queues.aside_arn}
                    if tasks:
                        fault = {
                            "__type": "com.amazonaws.sqs#UnsupportedOperation",
                            "message": "There is already a task running.",
                        }
                        return self.reply(400, json.dumps(fault).encode())
                    moved, _ = redrive.move_some(sqs, queues, None)
                    tasks.append({"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": moved})
                    tasks[0:0] = [{"Status": "RUNNING"}]
                    return self.reply(200, b'{"TaskHandle": "1"}')
                case "ListMessageMoveTasks":
                    task = tasks.pop(0) if len(tasks) > 1 else tasks[0]
                    return self.reply(200, json.dumps({"Results": [task]}).encode())
            headers = {
                name: self.headers[name] for name in ("X-Amz-Target", "Content-Type", "Authorization", "X-Amz-Date")
            }
            request = urllib.request.Request(aws_account.endpoint_url, body, headers)
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return self.reply(answer.status, answer.read())
            except urllib.error.HTTPError as error:
                with error:
                    return self.reply(error.code, error.read())

    server = QuietServer(Moves)
    yield f"http://{server.address}"
    server.stop()


def test_sqs_moves_the_messages_where_it_can(sqs: SQSClient, queues: redrive.Queues, moving_server: str) -> None:
    bodies = fill(sqs, queues, 12)
    moving = client(moving_server)

    assert redrive.redrive(moving, queues.url, None) == (12, True)
    assert redrive.redrive(moving, queues.url, None) == (0, True)
    moving.close()

    assert set(bodies_in(sqs, queues.url)) == bodies


def test_a_move_that_goes_on_already_is_waited_for(sqs: SQSClient, queues: redrive.Queues, moving_server: str) -> None:
    fill(sqs, queues, 1)
    moving = client(moving_server)
    moving.start_message_move_task(SourceArn=queues.aside_arn)

    assert redrive.move_all(moving, queues) == (1, True)
    moving.close()


def test_where_the_server_knows_no_moves_they_are_done_by_hand(sqs: SQSClient, queues: redrive.Queues) -> None:
    bodies = fill(sqs, queues, 12)

    assert redrive.redrive(sqs, queues.url, None) == (12, True)

    assert sorted(bodies_in(sqs, queues.url)) == sorted(bodies)
    assert bodies_in(sqs, queues.aside_url) == []


def test_no_more_come_back_than_asked_for_and_the_rest_is_still_there(
    sqs: SQSClient, queues: redrive.Queues, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(sqs, queues, 15)

    assert redrive.main(["--queue-url", queues.url, "--max", "11"]) == redrive.DONE
    assert capsys.readouterr().out == "11 messages came back\n"
    assert redrive.main(["--queue-url", queues.url, "--max", "11"]) == redrive.DONE
    assert redrive.main(["--queue-url", queues.url, "--max", "11"]) == redrive.DONE

    assert capsys.readouterr().out == "4 messages came back\n0 messages came back\n"
    assert len(bodies_in(sqs, queues.url)) == 15


def test_a_dry_run_says_how_many_lie_there_and_leaves_them(
    sqs: SQSClient, queues: redrive.Queues, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(sqs, queues, 3)

    assert redrive.main(["--queue-url", queues.url, "--dry-run"]) == redrive.DONE

    assert capsys.readouterr().out == "3 messages lie aside\n"
    assert bodies_in(sqs, queues.url) == []


def test_a_queue_without_a_dead_letter_queue_is_refused(
    sqs: SQSClient, queues: redrive.Queues, capsys: pytest.CaptureFixture[str]
) -> None:
    assert redrive.main(["--queue-url", queues.aside_url]) == redrive.REFUSED

    assert "has no dead-letter queue" in capsys.readouterr().err


def test_a_queue_that_is_missing_is_told(
    sqs: SQSClient, queues: redrive.Queues, capsys: pytest.CaptureFixture[str]
) -> None:
    assert redrive.main(["--queue-url", f"{queues.url}-gone"]) == redrive.INCOMPLETE

    assert "redrive: " in capsys.readouterr().err


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_a_number_that_is_none_is_refused_by_its_option(capsys: pytest.CaptureFixture[str], count: str) -> None:
    with pytest.raises(SystemExit):
        redrive.main(["--queue-url", "https://sqs.us-east-1.amazonaws.com/1/q", "--max", count])

    assert "--max" in capsys.readouterr().err
