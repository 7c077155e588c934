"""Lambda on one machine: real `awslambdaric` processes behind an endpoint that real boto3 clients invoke.

    functions = [Function("diglot-rag", "services.rag.handler.handler", env={"DIGLOT_INTERNAL_KEY": key, ...})]
    with LambdaCluster(functions) as cluster:            # `async with` works too
        subprocess.Popen(..., env=os.environ | cluster.caller_environment())

Processes that call functions need `caller_environment()`; the cluster's own functions have it already, so that they
reach each other by name: `ROUTER_RAG_TARGET=lambda:diglot-rag`.

As on AWS: one call at a time in each process, processes started on demand up to `max_concurrency` and throttled beyond
it, timeouts that kill, crashes and failed initialisations told as FunctionError and followed by a fresh process, and
6 MiB of payload each way. Not as on AWS: idle processes are not frozen, and memory is not limited.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from tests.lambda_runtime import Environment, Function, QuietHandler, QuietServer, Result, failed

__all__ = ["Function", "FunctionNotReady", "LambdaCluster"]

MAX_PAYLOAD_BYTES = 6 * 1024 * 1024  # 6,291,456
_LOG_TAIL_CHARACTERS = 4_000
_REGION = "us-east-1"


class FunctionNotReady(Exception):
    """A function could not be initialised; the text ends with its log."""


class Throttled(Exception):
    """As many calls run as the function may."""


class LambdaCluster:
    """Functions and the endpoint to invoke them.

    With `warm` (the default) one process of each function is started before the cluster is entered, and a function
    that cannot be initialised raises FunctionNotReady there; without, the first call starts it, and fails.
    `environment` starts the processes: on this machine, unless it says otherwise.
    """

    def __init__(
        self, functions: Iterable[Function], *, warm: bool = True, environment: type[Environment] = Environment
    ) -> None:
        self._functions = {function.name: function for function in functions}
        self._warm = warm
        self._environment = environment
        self._lock = threading.Condition()
        self._idle: dict[str, list[Environment]] = {name: [] for name in self._functions}
        self._busy: dict[str, list[Environment]] = {name: [] for name in self._functions}
        self._invoke_counts: dict[str, int] = dict.fromkeys(self._functions, 0)
        self._server: QuietServer | None = None
        self._folder = Path()

    @property
    def endpoint_url(self) -> str:
        """Where boto3's lambda client finds the cluster."""
        if self._server is None:
            raise RuntimeError("the cluster is not running")
        return f"http://{self._server.address}"

    def caller_environment(self) -> dict[str, str]:
        """Environment variables by which boto3 in another process invokes this cluster's functions."""
        return {
            "AWS_ENDPOINT_URL_LAMBDA": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": _REGION,
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """Listen, and start one process of each function unless the cluster is not `warm`."""
        self._folder = Path(tempfile.mkdtemp(prefix="lambda-cluster-"))
        self._server = QuietServer(_invoke_handler(self))
        if not self._warm:
            return
        try:
            with ThreadPoolExecutor(max(1, len(self._functions))) as pool:
                list(pool.map(self._start_first, self._functions))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill every process and stop listening. Logs are gone afterwards."""
        if self._server is not None:
            self._server.stop()
        with self._lock:
            environments = [env for kept in (self._idle, self._busy) for envs in kept.values() for env in envs]
            for name in self._functions:
                self._idle[name], self._busy[name] = [], []
            self._lock.notify_all()
        for environment in environments:
            environment.stop()
        self._server = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def invoke(self, name: str, payload: bytes) -> Result:
        """Run a function as an invoke does, without HTTP. Raises KeyError (unknown), Throttled."""
        function = self._functions[name]
        environment = self._take(function)
        try:
            result = environment.run(payload)
        finally:
            self._give_back(name, environment)
        if result.error is None and len(result.payload) > MAX_PAYLOAD_BYTES:
            message = f"Response payload size exceeded maximum allowed payload size ({MAX_PAYLOAD_BYTES} bytes)."
            return failed("Function.ResponseSizeTooLarge", message)
        return result

    def kill(self, name: str) -> int:
        """Kill all processes of a function, as a crash would, and return how many there were."""
        with self._lock:
            environments = [*self._idle[name], *self._busy[name]]
        for environment in environments:
            environment.kill()
        return len(environments)

    def pids(self, name: str) -> list[int]:
        """Process ids of a function's living processes."""
        with self._lock:
            return [env.pid for env in (*self._idle[name], *self._busy[name]) if env.alive]

    def invoke_count(self, name: str) -> int:
        """How often the function was run, failures included, refusals not."""
        return self._invoke_counts[name]

    def logs(self, name: str) -> str:
        """What the function's processes have written to stdout and stderr so far."""
        path = self._log_path(name)
        return path.read_text(errors="replace") if path.exists() else ""

    def _log_path(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _start_first(self, name: str) -> None:
        environment = self._take(self._functions[name], counted=False)
        failure = environment.wait_initialised()
        self._give_back(name, environment)
        if failure is not None:
            log = self.logs(name)[-_LOG_TAIL_CHARACTERS:]
            raise FunctionNotReady(f"{name} cannot be initialised: {failure.payload.decode()}\n{log}")

    def _take(self, function: Function, *, counted: bool = True) -> Environment:
        """A process to run a call: an idle one, or a new one while the function may have more."""
        with self._lock:
            while len(self._busy[function.name]) >= function.max_concurrency:
                if not function.queues:
                    raise Throttled(function.name)
                self._lock.wait()
            self._invoke_counts[function.name] += counted
            idle = self._idle[function.name]
            while idle:
                environment = idle.pop()
                if environment.usable:
                    break
                environment.stop()
            else:
                environment = self._environment(function, self.caller_environment(), self._log_path(function.name))
            self._busy[function.name].append(environment)
            return environment

    def _give_back(self, name: str, environment: Environment) -> None:
        with self._lock:
            if environment not in self._busy[name]:
                return  # the cluster was stopped meanwhile
            self._busy[name].remove(environment)
            self._lock.notify()
            if environment.usable:
                self._idle[name].append(environment)
                return
        environment.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)


_PREFIX, _SUFFIX = "/2015-03-31/functions/", "/invocations"


def _function_name(path: str) -> str | None:
    """The name in an invoke's path, which may also be an ARN or carry a qualifier."""
    path = path.partition("?")[0]
    if not (path.startswith(_PREFIX) and path.endswith(_SUFFIX)):
        return None
    name = unquote(path[len(_PREFIX) : -len(_SUFFIX)])
    if name.startswith("arn:"):
        name = name.split(":function:")[-1]
    return name.partition(":")[0]


def _invoke_handler(cluster: LambdaCluster) -> type[BaseHTTPRequestHandler]:
    class InvokeEndpoint(QuietHandler):
        def do_POST(self) -> None:
            payload = self.body()
            name = _function_name(self.path)
            if name is None:
                self._refuse(404, "UnknownOperationException", f"no operation at {self.path}")
            elif len(payload) > MAX_PAYLOAD_BYTES:
                text = f"Request must be smaller than {MAX_PAYLOAD_BYTES} bytes for the InvokeFunction operation"
                self._refuse(413, "RequestEntityTooLargeException", text)
            elif not _is_json(payload):
                self._refuse(400, "InvalidRequestContentException", "Could not parse request body into json")
            else:
                self._run(name, payload)

        def _run(self, name: str, payload: bytes) -> None:
            try:
                result = cluster.invoke(name, payload or b"{}")
            except KeyError:
                self._refuse(404, "ResourceNotFoundException", f"Function not found: {name}")
            except Throttled:
                self._refuse(429, "TooManyRequestsException", "Rate Exceeded.", {"Retry-After": "1"})
            else:
                headers = {"X-Amz-Executed-Version": "$LATEST"}
                if result.error is not None:
                    headers["X-Amz-Function-Error"] = result.error
                self.reply(200, result.payload, headers)

        def _refuse(self, status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> None:
            body = json.dumps({"Type": "User", "Message": message, "message": message}).encode()
            self.reply(status, body, {"X-Amzn-ErrorType": kind, **(headers or {})})

    return InvokeEndpoint


def _is_json(payload: bytes) -> bool:
    if not payload:
        return True
    try:
        json.loads(payload)
    except ValueError:
        return False
    return True
