"""The programs of deploy/aws run against a local stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from deploy.aws import console, release, rollback
from deploy.aws.parts import IMAGES
from deploy.aws.versions import Pacing
from tests.aws_server import AwsAccount
from tests.lambda_api import ACCOUNT, REGION, LambdaApi

REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass
class Clock:
    """Time that passes only while somebody sleeps."""

    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    now_seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_seconds += seconds

    @property
    def pacing(self) -> Pacing:
        return Pacing(self.sleep, lambda: self.now_seconds, self.now)

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.now_seconds)


@dataclass(frozen=True)
class Ran:
    """How a program ended."""

    code: int
    out: str
    err: str


class Stack:
    """Functions, images, and the programs that bring them together."""

    def __init__(
        self,
        api: LambdaApi,
        account: AwsAccount,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self._monkeypatch = monkeypatch
        self.api = api
        self.faults = api.faults
        self.clock = Clock()
        self.digests: dict[tuple[str, int], str] = {}
        self._url = account.endpoint_url
        self._capsys = capsys
        self.environment = {
            **account.environment(),
            "AWS_ENDPOINT_URL_LAMBDA": api.endpoint_url,
            "AWS_ENDPOINT_URL_ECR": account.endpoint_url,
        }

    def client(self, service: Any) -> Any:
        """A client of the local AWS API."""
        return _client(service, self._url)

    def push(self, *, build: int) -> None:
        """Put an image of every service into ECR, tagged `build-N`."""
        ecr = self.client("ecr")
        for service in IMAGES:
            config = {"mediaType": "application/json", "size": 1, "digest": f"sha256:{service}-{build}"}
            manifest = {
                "schemaVersion": 2,
                "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                "config": config,
                "layers": [{"mediaType": "t", "size": 1, "digest": f"sha256:{service}-{build}"}],
            }
            if not any(found[0] == service for found in self.digests):
                ecr.create_repository(repositoryName=f"diglot-{service}")
            pushed = ecr.put_image(
                repositoryName=f"diglot-{service}", imageManifest=json.dumps(manifest), imageTag=f"build-{build}"
            )
            self.digests[service, build] = pushed["image"]["imageId"]["imageDigest"]
        assert len(set(self.digests.values())) == len(self.digests), "every image has a digest of its own"

    def images(self, build: int = 2, services: Sequence[str] = IMAGES) -> list[str]:
        """The value of --images."""
        return [f"{service}={REGISTRY}/diglot-{service}:build-{build}" for service in services]

    def release(self, *arguments: str, build: int = 2, services: Sequence[str] = IMAGES, name: str = "two") -> Ran:
        """`python -m deploy.aws.release`, in this process, with time that flies."""
        line = ["--release-id", name, *arguments, "--images", *self.images(build, services)]
        return self._ran(release.main(line, self.clock.pacing))

    def release_is_impatient(self) -> None:
        """From now on the SDK gives up at the first failure, so that a cut network costs no time."""
        self._monkeypatch.setattr(console, "client_config", lambda: Config(retries={"total_max_attempts": 1}))

    def rollback(self, *arguments: str) -> Ran:
        """`python -m deploy.aws.rollback`, in this process."""
        return self._ran(rollback.main(list(arguments), self.clock.pacing))

    def release_process(
        self, *arguments: str, services: Sequence[str] = IMAGES, name: str = "two"
    ) -> subprocess.Popen[str]:
        """The same release in a process of its own."""
        line = ["--release-id", name, "--watch-seconds", "0", *arguments, "--images", *self.images(2, services)]
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.aws.release", *line],
            cwd=REPOSITORY,
            env={"PATH": os.environ["PATH"], **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def release_elsewhere(self, *, services: Sequence[str], name: str) -> int:
        """Another release, run to its end in a process of its own; its exit code."""
        with self.release_process(services=services, name=name) as process:
            process.communicate(timeout=60)
            return process.returncode

    def count(self, part: str, version: str, *, calls: int, failed: int) -> None:
        """Have CloudWatch count calls of a version through the alias."""
        function = f"diglot-{part}"
        dimensions = {"FunctionName": function, "Resource": f"{function}:live", "ExecutedVersion": version}
        self._count(dimensions, {"Invocations": calls, "Errors": failed}, minutes_ago=0)

    def count_requests(self, *, requests: int, failed: int, minutes_ago: int = 0) -> None:
        """Have CloudWatch count requests to the gateway's URL, and how many were answered with 5xx."""
        dimensions = {"FunctionName": "diglot-gateway", "Resource": "diglot-gateway:live"}
        self._count(dimensions, {"UrlRequestCount": requests, "Url5xxCount": failed}, minutes_ago=minutes_ago)

    def _count(self, dimensions: dict[str, str], counts: dict[str, int], *, minutes_ago: int) -> None:
        data = [
            {
                "MetricName": metric,
                "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
                "Value": count,
                "Timestamp": self.clock.now() - timedelta(minutes=minutes_ago),
            }
            for metric, count in counts.items()
        ]
        self.client("cloudwatch").put_metric_data(Namespace="AWS/Lambda", MetricData=data)

    def topic(self) -> tuple[str, Any]:
        """A topic, and a function that returns what has been published to it."""
        sns, sqs = self.client("sns"), self.client("sqs")
        topic_arn = sns.create_topic(Name="diglot-alarms")["TopicArn"]
        queue_url = sqs.create_queue(QueueName="mail")["QueueUrl"]
        sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:mail")

        def mail() -> list[dict[str, str]]:
            found = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", [])
            return [json.loads(message["Body"]) for message in found]

        return topic_arn, mail

    def _ran(self, code: int) -> Ran:
        captured = self._capsys.readouterr()
        return Ran(code, captured.out, captured.err)


@cache
def _client(service: Any, url: str) -> Any:
    return boto3.session.Session("local", "local", region_name=REGION).client(service, endpoint_url=url)


def everywhere(version: str) -> dict[str, tuple[str, dict[str, float]]]:
    """The state in which one version answers every caller of every function."""
    return {f"diglot-{part}": (version, {}) for part in ("rag", "sql", "ingest", "images", "router", "gateway")}
