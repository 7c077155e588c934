"""The docker command as tests use it, and whether these tests can and shall run at all."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

DOCKER = os.environ.get("DOCKER", "docker")
SERVICES = ("gateway", "router", "rag", "sql", "ingest")


def reason_to_skip() -> str:
    """Why the tests of images cannot run here; empty when they can.

    Asked for by DIGLOT_TEST_DEPLOY=1, they never skip: what is missing is then an error.
    """
    if os.environ.get("DIGLOT_TEST_DEPLOY") == "1":
        return ""
    return "builds and runs containers; `make test-deploy` does both"


def docker(*arguments: str, timeout_seconds: float = 120) -> str:
    """What a docker command prints. Raises AssertionError: it failed, with what it said."""
    outcome = run_docker(*arguments, timeout_seconds=timeout_seconds)
    assert outcome.returncode == 0, f"docker {' '.join(arguments)}: {outcome.stderr or outcome.stdout}"
    return outcome.stdout


def run_docker(*arguments: str, timeout_seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """A finished docker command, however it ended."""
    assert shutil.which(DOCKER), f"there is no {DOCKER}; the variable DOCKER names another"
    command = [DOCKER, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds, check=False)


def inspect(name: str, kind: str = "image") -> dict[str, Any]:
    """What docker knows of an image or a container."""
    described: list[dict[str, Any]] = json.loads(docker(kind, "inspect", name))
    return described[0]


def image_of(service: str) -> str:
    return f"diglot-{service}"


def python_in(image: str, program: str, *arguments: str) -> str:
    """What a Python program prints that runs in an image as a function would: any user, nothing writable but /tmp."""
    return docker("run", "--rm", *AS_ON_LAMBDA, "--entrypoint", "python3", image, "-c", program, *arguments)


# A user id of the platform's choosing, a read-only root file system, a small /tmp, no rights at all.
AS_ON_LAMBDA: Sequence[str] = (
    *("--user", "993:990", "--read-only", "--tmpfs", "/tmp:rw,nosuid,nodev,size=512m"),
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
)
