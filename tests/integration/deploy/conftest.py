"""A stack of functions at version 1, images to release to it, and the rest of AWS beside it."""

from collections.abc import Iterator

import pytest

from tests.aws_server import AwsAccount
from tests.integration.deploy.stack import Stack
from tests.lambda_api import LambdaApi


@pytest.fixture
def stack(
    aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Stack]:
    """Lambda's API of tests/lambda_api.py; ECR, CloudWatch, SNS and SQS of the local AWS API."""
    with LambdaApi() as api:
        stack = Stack(api, aws_account, capsys, monkeypatch)
        for name, value in stack.environment.items():
            monkeypatch.setenv(name, value)
        stack.push(build=2)
        yield stack
