"""What docker-compose.yml runs once at every start: `setup` before the services, `sample` after them.

Both may be repeated, after a kill in their middle too.
"""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
from botocore.exceptions import ClientError

from deploy.local.data_folder import DoneOnce
from deploy.local.databases import (
    SAMPLE_FOLDER,
    SHOP_DATABASE,
    STORE_ROLES,
    provision_empty,
    provision_shop,
    provision_store,
)
from deploy.local.errors import KeyNeeded, SeedingFailed
from deploy.local.seeding import seed

QUEUE = "diglot-ingest"
_DAYS_OF_PASSING_THINGS = 1
_TRIES_OF_A_MESSAGE = 5


class TcpServer:
    """A PostgreSQL at an address that holds the superuser's name and password."""

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")

    def url(self, database: str) -> str:
        return f"{self._address}/{quote(database)}"


def set_up_databases(environment: Mapping[str, str]) -> None:
    """The store with a role for each service, and what questions go to: the sample shop, or an empty one without it."""
    server = TcpServer(environment["POSTGRES_URL"])
    passwords = {role: environment[f"DIGLOT_{name.upper()}_PASSWORD"] for name, role in STORE_ROLES.items()}
    provision_store(server, passwords)
    if environment.get("DIGLOT_SAMPLE", "1") == "0":
        provision_empty(server, environment["DIGLOT_READER_PASSWORD"], database=SHOP_DATABASE)
    else:
        provision_shop(server, environment["DIGLOT_READER_PASSWORD"])


def set_up_bucket(s3: Any, name: str, region: str) -> None:
    """The bucket of files, where what only passes through ends by itself."""
    # The oldest region is the only one that must not be named.
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=name, **place)
    rules = [
        {
            "ID": prefix.rstrip("/"),
            "Filter": {"Prefix": prefix},
            "Status": "Enabled",
            "Expiration": {"Days": _DAYS_OF_PASSING_THINGS},
        }
        for prefix in ("claims/", "tmp/")
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})


def set_up_queue(sqs: Any) -> str:
    """The queue of ingest jobs and the one for messages that nobody could make use of. Returns: the queue's URL."""
    dead = sqs.create_queue(QueueName=f"{QUEUE}-dlq")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    url: str = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": _TRIES_OF_A_MESSAGE})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": redrive})
    return url


def setup(environment: Mapping[str, str]) -> None:
    """Everything that services find ready when they start."""
    set_up_databases(environment)
    _say("the databases are ready")
    if environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        _say("bucket and queue are AWS's own and left as they are")
        return
    set_up_bucket(boto3.client("s3"), environment["S3_CACHE_BUCKET"], environment["AWS_REGION"])
    _say(f"bucket and queue are ready: {set_up_queue(boto3.client('sqs'))}")


def sample(url: str, done: Path) -> None:
    """Upload the sample documents, each once: one that its user deleted stays deleted. Raises SeedingFailed."""
    try:
        count = seed(url, sorted((SAMPLE_FOLDER / "documents").iterdir()), DoneOnce(done))
    except KeyNeeded:
        _say("the API asks for a key, so the sample documents are not loaded; upload your own")
    else:
        _say(f"sample documents loaded: {count}")


def main(arguments: list[str]) -> int:
    match arguments:
        case ["setup"]:
            try:
                setup(os.environ)
            except ClientError as error:
                sys.exit(f"S3 and SQS could not be set up: {error}")
        case ["sample"]:
            try:
                sample(os.environ["GATEWAY_URL"], Path("/data/sample-documents.json"))
            except SeedingFailed as error:
                sys.exit(str(error))
        case _:
            sys.exit("setup or sample")
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
