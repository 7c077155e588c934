"""Functions as containers: each environment of a cluster is one container of the function's image."""

import subprocess
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import IO

from tests.deploy.docker import AS_ON_LAMBDA, DOCKER, inspect, run_docker
from tests.lambda_runtime import Environment, Function

# What a process of this machine needs and a container has of its own.
_OWN_TO_THE_IMAGE = ("PATH", "PYTHONPATH", "LANG", "TZ", "_HANDLER", "AWS_EXECUTION_ENV")
_IMAGES = {"diglot-images": "diglot-ingest"}
_MEGABYTES_OF_A_PROCESSOR = 1_769


class FunctionContainer(Environment):
    """`docker run` of a function's image, held to the memory and the share of a processor that Lambda gives it.

    A function's name is its image's, but for `images`, which is ingest's. Folders that it shares with this machine are
    named in SHARED_FOLDERS of its environment, parted by blanks.
    """

    processor_shares = True

    def _launch(self, function: Function, env: Mapping[str, str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
        self.name = f"diglot-test-{uuid.uuid4().hex[:12]}"
        self.ready_at = 0.0
        arguments = [DOCKER, "run", "--rm", "--name", self.name, "--label", "diglot.test=function", *AS_ON_LAMBDA]
        # The Runtime API, the invoke endpoint and PostgreSQL listen on this machine's loopback, or in a folder of it.
        arguments += ["--network", "host", "--memory", f"{function.memory_mb}m"]
        if self.processor_shares:
            arguments += ["--cpus", f"{function.memory_mb / _MEGABYTES_OF_A_PROCESSOR:.2f}"]
        for folder in function.env.get("SHARED_FOLDERS", "").split():
            arguments += ["--volume", f"{folder}:{folder}"]
        for key, value in env.items():
            if key not in _OWN_TO_THE_IMAGE:
                arguments += ["--env", f"{key}={value}"]
        image = _IMAGES.get(function.name, function.name)
        return subprocess.Popen([*arguments, image], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def next_invocation(self):  # type: ignore[no-untyped-def]
        if not self.ready_at:
            self.ready_at = time.time()
        return super().next_invocation()

    def initialisation_seconds(self) -> float:
        """From the start of the container's process to its first request for work."""
        started = inspect(self.name, "container")["State"]["StartedAt"]
        return self.ready_at - datetime.fromisoformat(f"{started[:26]}+00:00").timestamp()

    def kill(self) -> None:
        run_docker("kill", "--signal", "KILL", self.name)
        self._process.wait()


class UnhurriedContainer(FunctionContainer):
    """The same with as much of the processors as there is."""

    processor_shares = False
