"""What a person who runs the pipeline relies on, beyond what its linters know."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.aws import release, rollback, smoke
from deploy.aws.parts import IMAGES
from deploy.aws.stack_template import TEMPLATES, Template

GITHUB = Path(__file__).resolve().parents[3] / ".github"
FILES = sorted(GITHUB.rglob("*.yml"))
PROGRAMS = {"release": release, "rollback": rollback, "smoke": smoke}


def workflow(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((GITHUB / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))
    return read


def steps_of(job: dict[str, Any]) -> list[dict[str, Any]]:
    return list(job.get("steps", []))


DEPLOY, CI = workflow("deploy"), workflow("ci")
SCRIPTS = [step["run"] for job in DEPLOY["jobs"].values() for step in steps_of(job) if "run" in step]
CALLS = [
    (found["program"], found["options"])
    for script in SCRIPTS
    for found in re.finditer(r"-m deploy\.aws\.(?P<program>\w+)(?P<options>(?:[^|\n]|\\\n)*)", script)
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_actions_of_others_are_pinned_to_a_commit_and_say_which_release_that_is(path: Path) -> None:
    used = re.findall(r"uses: (.+)", path.read_text(encoding="utf-8"))

    foreign = [each for each in used if not each.startswith("$/")]
    pinned = [each for each in foreign if re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", each)]
    assert foreign == pinned


def test_one_action_has_one_commit_everywhere() -> None:
    used = {each for path in FILES for each in re.findall(r"uses: ([\w.-]+/[\w.-]+@\S+)", path.read_text("utf-8"))}

    assert len({each.partition("@")[0] for each in used}) == len(used)


@pytest.mark.parametrize("document", [CI, DEPLOY], ids=["ci", "deploy"])
def test_jobs_are_bounded_in_time_and_in_what_they_may_do(document: dict[str, Any]) -> None:
    assert document["permissions"] == {}
    for job in document["jobs"].values():
        assert "uses" in job or 0 < job["timeout-minutes"] <= 60
        assert set(job["permissions"].items()) <= {("contents", "read"), ("id-token", "write")}


def test_images_are_what_lambda_takes() -> None:
    (build,) = (step for step in steps_of(DEPLOY["jobs"]["images"]) if "build-push" in step.get("uses", ""))

    assert build["with"]["platforms"] == "linux/amd64"
    assert (build["with"]["provenance"], build["with"]["sbom"]) == (False, False)
    tags = [line.rpartition(":")[2] for line in build["with"]["tags"].splitlines()]
    assert tags == ["latest", "amd64", "${{ github.sha }}"]


def test_every_image_is_built_and_released() -> None:
    assert sorted(DEPLOY["jobs"]["images"]["strategy"]["matrix"]["service"]) == sorted(IMAGES)
    (loop,) = (found for script in SCRIPTS for found in re.findall(r"for service in (.+); do", script))
    assert sorted(loop.split()) == sorted(IMAGES)


def test_the_programs_are_called_with_options_they_have() -> None:
    assert {program for program, _ in CALLS} == set(PROGRAMS)
    for program, options in CALLS:
        documented = re.findall(r"^  (--[a-z-]+)", PROGRAMS[program].__doc__ or "", re.MULTILINE)
        assert set(re.findall(r"(?<!\S)--[a-z-]+", options)) <= set(documented)


def test_a_failure_after_the_release_and_a_lost_runner_both_lead_to_a_rollback() -> None:
    last = steps_of(DEPLOY["jobs"]["release"])[-1]
    assert last["if"] == "failure() || cancelled()"
    assert "deploy.aws.rollback" in last["run"]

    net = DEPLOY["jobs"]["roll-back"]
    assert net["needs"] == "release"
    assert "deploy.aws.rollback" in steps_of(net)[-1]["run"]
    assert all("--sns-topic-arn" in steps_of(job)[-1]["run"] for job in (DEPLOY["jobs"]["release"], net))


def test_credentials_outlive_the_longest_job_and_the_role_grants_that() -> None:
    action = yaml.safe_load((GITHUB / "actions/aws/action.yml").read_text(encoding="utf-8"))
    role = Template.read(TEMPLATES / "bootstrap.yaml").resolve({"Repository": "a/b"})["DeployRole"]["Properties"]

    (lasting,) = (
        step["with"]["role-duration-seconds"]
        for step in steps_of(action["runs"])
        if "role-to-assume" in step.get("with", {})
    )

    assert max(job.get("timeout-minutes", 0) for job in DEPLOY["jobs"].values()) * 60 < lasting
    assert lasting == role["MaxSessionDuration"]


def test_release_ids_fit_into_a_note() -> None:
    longest = DEPLOY["env"]["RELEASE"].replace("${{ github.sha }}", "f" * 40)
    longest = longest.replace("${{ github.run_id }}", "9" * 12).replace("${{ github.run_attempt }}", "99")

    assert release.read_options(["--release-id", longest, "--images", f"rag={IMAGE}"]).stamp.id == longest


IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/diglot-rag:4f2c1e"
