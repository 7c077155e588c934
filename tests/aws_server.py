"""The AWS API on this machine: one moto server for each test session, emptied before each test that asks for it."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.serial_dynamodb import serve_dynamodb_serially

_REGION = "us-east-1"
_SERVICES = ("S3", "DYNAMODB", "SQS", "SECRETS_MANAGER", "SSM", "SNS", "STS", "CLOUDFORMATION", "CLOUDWATCH")


@dataclass(frozen=True)
class AwsAccount:
    """Where the local AWS API listens."""

    endpoint_url: str

    def environment(self) -> dict[str, str]:
        """Environment variables by which boto3 speaks to this API and to nothing else."""
        return {
            **{f"AWS_ENDPOINT_URL_{service}": self.endpoint_url for service in _SERVICES},
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": _REGION,
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        }


@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[str]:
    """A moto server on a free port of the loopback interface."""
    from moto.server import ThreadedMotoServer

    serve_dynamodb_serially()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws_account(aws_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> AwsAccount:
    """An empty account; this process's environment leads boto3 to it."""
    reset = urllib.request.Request(f"{aws_endpoint}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset, timeout=10).close()
    account = AwsAccount(aws_endpoint)
    for name, value in account.environment().items():
        monkeypatch.setenv(name, value)
    return account
