"""The scripts of deploy.yml, run as the pipeline runs them: one shell for each step, failing at the first failure."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.deploy.gateway_stand_in import GatewayStandIn
from tests.integration.deploy.stack import REGISTRY, REPOSITORY, Ran, Stack, everywhere

DEPLOY: dict[str, Any] = yaml.safe_load((REPOSITORY / ".github/workflows/deploy.yml").read_text(encoding="utf-8"))


class Pipeline:
    """The release job, step by step."""

    def __init__(self, stack: Stack, folder: Path, **variables: str) -> None:
        self._summary = folder / "summary.md"
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PREFIX": "diglot",
            "RELEASE": "build-2.1.1",
            "GITHUB_SHA": "build-2",
            "GITHUB_STEP_SUMMARY": str(self._summary),
            "REGISTRY": REGISTRY,
            "CANARY_PERCENT": "10",
            "WATCH_SECONDS": "0",
            **stack.environment,
            **variables,
        }

    def step(self, name: str, job: str = "release") -> Ran:
        """Run one step's script."""
        (script,) = (
            step["run"]
            for step in DEPLOY["jobs"][job]["steps"]
            if "run" in step and name in (step.get("name"), step["run"])
        )
        ran = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=REPOSITORY,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    @property
    def summary(self) -> str:
        """What the run's page shows."""
        return self._summary.read_text(encoding="utf-8")


RELEASE, SMOKE, TAKE_BACK = "New versions, a canary, all callers", "Try it as its users do", "Take the release back"


@pytest.fixture
def gateway() -> Iterator[GatewayStandIn]:
    with GatewayStandIn() as gateway:
        yield gateway


@pytest.fixture
def pipeline(stack: Stack, gateway: GatewayStandIn, tmp_path: Path) -> Pipeline:
    topic_arn, _ = stack.topic()
    stack.client("s3").create_bucket(Bucket="rag-cache-local")
    return Pipeline(
        stack,
        tmp_path,
        TOPIC=topic_arn,
        URL=gateway.url,
        BUCKET="rag-cache-local",
        DIGLOT_API_KEY="k-1",
        AWS_IAM="1",
        TENANT="default",
        SQL_QUESTION="How many orders are there?",
    )


def test_a_release_that_users_cannot_use_is_taken_back(
    stack: Stack, gateway: GatewayStandIn, pipeline: Pipeline
) -> None:
    gateway.api_key, gateway.secret_key = "k-1", "local"
    assert pipeline.step(RELEASE).code == 0
    assert stack.api.state == everywhere("2")

    # The bucket stays empty: the files are not where they should be.
    smoked = pipeline.step(SMOKE)
    assert smoked.code == 1
    assert smoked.err.startswith("smoke: stored files failed: ")

    assert pipeline.step(TAKE_BACK).code == 0
    assert stack.api.state == everywhere("1")
    for told in ("diglot-gateway  1       2", "stored files       FAILED", "Done: take back release build-2.1.1"):
        assert told in pipeline.summary


def test_a_release_that_took_itself_back_fails_the_step_and_leaves_the_next_one_nothing_to_do(
    stack: Stack, pipeline: Pipeline
) -> None:
    stack.faults.crashing.add(stack.digests["sql", 2])

    assert pipeline.step(RELEASE).code == 1

    taken_back = pipeline.step(TAKE_BACK)
    assert (taken_back.code, stack.api.state) == (0, everywhere("1"))
    assert "Nothing to do" in taken_back.out


def test_a_refused_release_never_takes_back_another_ones_work(stack: Stack, pipeline: Pipeline) -> None:
    stack.release(name="another")
    stack.api.functions["diglot-rag"].description += " lock=third@20261121T102200Z"
    stack.api.functions["diglot-gateway"].description += " lock=third@20261121T102200Z"

    assert pipeline.step(RELEASE).code == 2

    assert pipeline.step(TAKE_BACK).code == 0
    assert stack.api.state == everywhere("2")


def test_the_job_of_a_lost_runner_takes_back_what_was_left(stack: Stack, pipeline: Pipeline) -> None:
    assert pipeline.step(RELEASE).code == 0

    script = DEPLOY["jobs"]["roll-back"]["steps"][-1]["run"]
    assert pipeline.step(script, job="roll-back").code == 0
    assert stack.api.state == everywhere("1")
