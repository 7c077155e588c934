"""One Lambda execution environment on this machine: an `awslambdaric` process and the Runtime API it polls.

The Runtime API is AWS's (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html): the process asks for `next`,
and answers with `response` or `error`; a failed initialisation goes to `init/error`. Each process gets a port of its
own, because its requests do not say which function it belongs to.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

REPOSITORY = Path(__file__).resolve().parents[1]
INIT_TIMEOUT_SECONDS = 60.0
_STOP_TIMEOUT_SECONDS = 5.0
_RUNTIME_PREFIX = "/2018-06-01/runtime/"


@dataclass(frozen=True)
class Function:
    """A function of the cluster.

    `handler` is "package.module.attribute", as Lambda has it. `env` is added to a minimal environment. Up to
    `max_concurrency` calls run at once, each in a process of its own, started when first needed; more are throttled,
    or wait for a process when the function `queues`, which Lambda never does.
    """

    name: str
    handler: str
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float = 30
    max_concurrency: int = 4
    queues: bool = False
    memory_mb: int = 1_024


@dataclass(frozen=True)
class Result:
    """What running a function gave; `error` is "Unhandled" when it failed, and then the payload tells how."""

    payload: bytes
    error: str | None = None


def failed(error_type: str, message: str) -> Result:
    """A failure that the platform, not the function, reports."""
    return Result(json.dumps({"errorType": error_type, "errorMessage": message}).encode(), "Unhandled")


class QuietServer(ThreadingHTTPServer):
    """A threaded HTTP/1.1 server on a free port of loopback, run in the background until it is stopped."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that was killed in the middle of a request is what these tests are about, not news."""


class QuietHandler(BaseHTTPRequestHandler):
    """Keeps connections alive, logs nothing, and answers in one packet."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class names it
        """Silent: the functions' own logs are what a failing test needs."""

    def body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return b"".join(iter(self._chunk, b""))
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        chunk = self.rfile.read(size)
        self.rfile.readline()
        return chunk

    def reply(self, status: int, payload: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)
        self.wfile.flush()


@dataclass(frozen=True)
class _Invocation:
    request_id: str
    payload: bytes
    ends_at: float
    result: Future[Result]


class Environment:
    """One process of a function. Not thread-safe: its owner runs one call at a time."""

    def __init__(self, function: Function, base_env: Mapping[str, str], log_path: Path) -> None:
        self._function = function
        self._log_path = log_path
        self._next: queue.Queue[_Invocation | None] = queue.Queue()
        self._running: _Invocation | None = None
        self._initialised: Future[Result | None] = Future()
        self._server = QuietServer(_handler_of(self))
        env = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONUNBUFFERED": "1",
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            **base_env,
            "AWS_LAMBDA_RUNTIME_API": self._server.address,
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info[0]}.{sys.version_info[1]}",
            "LAMBDA_DISABLE_PREVIEW_WARN": "1",
            "_HANDLER": function.handler,
            **function.env,
        }
        with log_path.open("ab") as log:
            self._process = self._launch(function, env, log)
        threading.Thread(target=self._watch, daemon=True).start()

    def _launch(self, function: Function, env: Mapping[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start the process that polls the Runtime API."""
        arguments = [sys.executable, "-m", "awslambdaric", function.handler]
        return subprocess.Popen(arguments, cwd=REPOSITORY, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def usable(self) -> bool:
        """Whether it can run a call, now or when it is initialised."""
        return self.alive and not (self._initialised.done() and self._initialised.result() is not None)

    def wait_initialised(self) -> Result | None:
        """Wait until the handler is imported; the failure when that failed."""
        try:
            return self._initialised.result(INIT_TIMEOUT_SECONDS)
        except TimeoutError:
            self.stop()
            return failed("Sandbox.Timedout", f"Init timed out after {INIT_TIMEOUT_SECONDS} seconds")

    def run(self, payload: bytes) -> Result:
        """Run one event. At the function's timeout the process is killed, as Lambda does."""
        init_failure = self.wait_initialised()
        if init_failure is not None:
            return init_failure
        seconds = self._function.timeout_seconds
        invocation = _Invocation(str(uuid.uuid4()), payload, time.time() + seconds, Future())
        self._running = invocation
        if not self.alive:
            self._exited()
        self._next.put(invocation)
        try:
            return invocation.result.result(seconds)
        except TimeoutError:
            self.stop()
            message = f"RequestId: {invocation.request_id} Error: Task timed out after {seconds:.2f} seconds"
            return failed("Sandbox.Timedout", message)

    def kill(self) -> None:
        """Kill the process as a crash would; the call it runs fails."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Kill the process and close its Runtime API."""
        self.kill()
        self._next.put(None)
        self._server.stop()

    def _watch(self) -> None:
        self._process.wait()
        self._exited()

    def _exited(self) -> None:
        code = self._process.returncode
        crash = failed("Runtime.ExitError", f"Error: Runtime exited with error: exit status {code}")
        _settle(self._initialised, crash)
        if self._running is not None:
            _settle(self._running.result, crash)

    def next_invocation(self) -> _Invocation | None:
        """What the process runs next; None: there is no more."""
        _settle(self._initialised, None)
        return self._next.get()

    def report(self, path: str, payload: bytes) -> bool:
        """Take what the process posted; False: unknown path."""
        if path == "init/error":
            _settle(self._initialised, Result(payload, "Unhandled"))
            return True
        running = self._running
        if running is None or not path.startswith(f"invocation/{running.request_id}/"):
            return False
        if path.endswith("/response"):
            _settle(running.result, Result(payload))
        else:
            _settle(running.result, Result(payload, "Unhandled"))
        return True


def _settle(future: Future[Any], result: object) -> None:
    if not future.done():
        future.set_result(result)


def _handler_of(environment: Environment) -> type[BaseHTTPRequestHandler]:
    class RuntimeApi(QuietHandler):
        def do_GET(self) -> None:
            if self.path != f"{_RUNTIME_PREFIX}invocation/next":
                self.reply(404)
                return
            invocation = environment.next_invocation()
            if invocation is None:
                self.close_connection = True
                return
            headers = {
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int(invocation.ends_at * 1_000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:local",
            }
            self.reply(200, invocation.payload, headers)

        def do_POST(self) -> None:
            payload = self.body()
            known = environment.report(self.path.removeprefix(_RUNTIME_PREFIX), payload)
            self.reply(202 if known else 404, b'{"status":"OK"}')

    return RuntimeApi
