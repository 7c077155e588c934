"""The contract over real invokes: boto3, HTTP, and an `awslambdaric` process that runs the handler."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.transport.channels import open_channel
from services.transport.claim_check import LocalClaimChecks
from services.transport.lambda_channel import LambdaChannel
from services.transport.lambda_invoke import BotoInvoker
from tests.contract.transport.calling_contract import (
    IdentityContract,
    RetryContract,
    TelemetryContract,
)
from tests.contract.transport.failure_contract import FailureContract, HealthContract
from tests.contract.transport.transport_contract import (
    KEY,
    SETTINGS,
    Carrier,
    TransportContract,
)
from tests.echo.servicer import SECRET_TEXT
from tests.lambda_cluster import Function, LambdaCluster


@pytest.fixture(scope="module")
def claims_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("claims")


@pytest.fixture(scope="module")
def cluster(claims_dir: Path) -> Iterator[LambdaCluster]:
    env = {"DIGLOT_INTERNAL_KEY": KEY, "DIGLOT_CLAIM_CHECK_DIR": str(claims_dir)}
    # One process: the servicer counts calls, and what it counts lives in its process. Calls at the same time queue.
    echo = Function("echo", "tests.echo.handler.handler", env=env, max_concurrency=1, queues=True)
    with LambdaCluster([echo]) as cluster:
        yield cluster


class OverLambda:
    @pytest.fixture
    async def carrier(
        self, cluster: LambdaCluster, claims_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[Carrier]:
        for name, value in cluster.caller_environment().items():
            monkeypatch.setenv(name, value)
        settings = SETTINGS.model_copy(update={"claim_check_dir": claims_dir})
        claim_checks = LocalClaimChecks(claims_dir, ttl_seconds=60)
        async with (
            open_channel("lambda:echo", settings) as channel,
            LambdaChannel("echo", BotoInvoker(), claim_checks=claim_checks) as bare,
        ):
            yield Carrier(channel, bare, streams_requests=False)


class TestTransport(OverLambda, TransportContract):
    pass


class TestFailures(OverLambda, FailureContract):
    def test_the_logs_reveal_nothing_either(self, cluster: LambdaCluster) -> None:
        assert SECRET_TEXT not in cluster.logs("echo")


class TestHealth(OverLambda, HealthContract):
    pass


class TestIdentity(OverLambda, IdentityContract):
    pass


class TestTelemetry(OverLambda, TelemetryContract):
    pass


class TestRetries(OverLambda, RetryContract):
    pass
