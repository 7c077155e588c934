"""Bodies beyond the invoke limit between functions that share a bucket and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import boto3
import pytest

from services.transport.channels import open_channel
from services.transport.identity import Caller, acting_as
from services.transport.s3_claim_checks import SHARED_S3
from services.transport.settings import TransportSettings
from tests.aws_server import AwsAccount
from tests.echo import echo_service_pb2_grpc
from tests.echo.echo_service_pb2 import EchoRequest
from tests.lambda_cluster import Function, LambdaCluster

KEY = "k" * 32
BUCKET = "rag-cache-123456789012-us-east-1"
SEVEN_MEGABYTES = 7_000_000  # beyond what an invoke carries


@pytest.fixture
def bucket(aws_account: AwsAccount) -> Iterator[Any]:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    yield s3
    s3.close()


@pytest.fixture
async def stub(bucket: Any, aws_account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    env = {"DIGLOT_INTERNAL_KEY": KEY, "DIGLOT_CLAIM_CHECK_BUCKET": BUCKET, **aws_account.environment()}
    echo = Function("echo", "tests.echo.handler.handler", env=env)
    settings = TransportSettings(internal_key=KEY, claim_check_bucket=BUCKET)
    async with LambdaCluster([echo]) as cluster:
        for name, value in cluster.caller_environment().items():
            monkeypatch.setenv(name, value)
        async with open_channel("lambda:echo", settings) as channel:
            yield echo_service_pb2_grpc.EchoServiceStub(channel)
    SHARED_S3.close()


async def test_a_body_and_a_reply_beyond_the_limit_cross_real_invokes(stub: Any, bucket: Any) -> None:
    request = EchoRequest(text="large", padding=bytes(SEVEN_MEGABYTES), padding_bytes=SEVEN_MEGABYTES)

    with acting_as(Caller("acme", "ada", frozenset())):
        response = await stub.Echo(request, timeout=25)

    assert (response.text, len(response.padding)) == ("large", SEVEN_MEGABYTES)
    stored = bucket.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert len(stored) == 2
    assert all(each["Key"].startswith("claims/") and each["Size"] >= SEVEN_MEGABYTES for each in stored)
