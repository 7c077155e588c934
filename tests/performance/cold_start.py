"""Cold starts: import and first event of every handler, and from spawn to listening of every server, over the floors.

A floor is the least program of the same kind. Ours and the floor take turns in one run, so that a busy machine slows
both; a ratio is the median over the rounds.
"""

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from deploy.local.databases import READER, SHOP_DATABASE, STORE_DATABASE, STORE_ROLES, provision_shop, provision_store
from deploy.local.embedded_postgres import EmbeddedPostgres
from deploy.local.settings import REPOSITORY
from protos.ingest.v1 import ingest_service_pb2
from protos.rag.v1 import rag_service_pb2
from protos.router.v1 import router_service_pb2
from protos.sql.v1 import sql_service_pb2
from services.transport.envelope import pack_call
from services.transport.identity import Caller, ClaimSigner
from tests.e2e.function_url import event_of
from tests.e2e.running_system import free_port
from tests.echo.echo_service_pb2 import EchoRequest
from tests.performance.invoke_endpoint import invoke_endpoint

ROUNDS = 7
KEY = "k" * 48
_PASSWORDS = dict.fromkeys((READER, *STORE_ROLES.values()), "only-for-measurements")
_FUNCTION_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_QUESTION = "How many customers do we have?"
_MESSAGES: Mapping[str, tuple[str, Any]] = {
    "router": (
        "/diglot.router.v1.RouterService/RouteQuestion",
        router_service_pb2.RouteQuestionRequest(question=_QUESTION),
    ),
    "rag": ("/diglot.rag.v1.RagService/AssessQuestion", rag_service_pb2.AssessQuestionRequest(question=_QUESTION)),
    "sql": ("/diglot.sql.v1.SqlService/AssessQuestion", sql_service_pb2.AssessQuestionRequest(question=_QUESTION)),
    "ingest": ("/diglot.ingest.v1.IngestService/GetStats", ingest_service_pb2.GetStatsRequest()),
}


def measure() -> dict[str, float]:
    """`cold_handler_<part>_over_hello`, `cold_server_<part>_over_hello`, and the median milliseconds they come from."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="dg-bench-") as folder, function_environments(Path(folder)) as environments:
        for part, environment in environments.items():
            figures |= _compare_handlers(part, environment)
            figures |= _compare_servers(part, environment, Path(folder))
    return figures


def _compare_handlers(part: str, environment: Mapping[str, str]) -> dict[str, float]:
    floor, event = _floor(part), _event(part)
    floor_event = _floor_event(floor)
    with invoke_endpoint() as url:
        # The router asks two functions, which know nothing; so its floor asks one.
        asked = {"AWS_ENDPOINT_URL_LAMBDA": url}
        calls = asked if part == "router" else {}
        return _compare(
            f"cold_handler_{part}",
            lambda: _first_event(f"{_package(part)}.handler", event, {**environment, **calls}),
            lambda: _first_event(f"tests.performance.hello_{floor}", floor_event, calls),
        )


def _compare_servers(part: str, environment: Mapping[str, str], folder: Path) -> dict[str, float]:
    floor = _floor(part)
    return _compare(
        f"cold_server_{part}",
        lambda: _until_listening([f"{_package(part)}.server"], part, environment, folder),
        lambda: _until_listening(["tests.performance.hello_server"], floor, {}, folder),
    )


def _floor(part: str) -> str:
    return "http" if part == "gateway" else "grpc"


def _package(part: str) -> str:
    return "gateway" if part == "gateway" else f"services.{part}"


def _compare(name: str, ours: Callable[[], float], floor: Callable[[], float]) -> dict[str, float]:
    pairs = []
    for turn in range(ROUNDS + 1):  # The first writes the byte code, and does not count.
        first, second = (ours, floor) if turn % 2 else (floor, ours)
        times = {first: first(), second: second()}
        pairs.append((times[ours], times[floor]))
    pairs = pairs[1:]
    return {
        f"{name}_over_hello": statistics.median(mine / least for mine, least in pairs),
        f"{name}_ms": statistics.median(mine for mine, _ in pairs),
        f"{name}_hello_ms": statistics.median(least for _, least in pairs),
    }


def _first_event(module: str, event: Mapping[str, Any], environment: Mapping[str, str]) -> float:
    outcome = subprocess.run(
        [sys.executable, "-m", "tests.performance.first_event", module],
        input=json.dumps(event),
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**_FUNCTION_ENVIRONMENT, **environment},
    )
    if outcome.returncode:
        raise RuntimeError(f"{module} failed:\n{outcome.stderr[-3000:]}")
    figures = json.loads(outcome.stdout.splitlines()[-1])
    if figures["outcome"] not in ("OK", "INVALID_ARGUMENT", 200, 422):
        raise RuntimeError(f"{module} answered {figures['outcome']}:\n{outcome.stdout[-1000:]}{outcome.stderr[-1000:]}")
    return float(figures["total_ms"])


def _until_listening(arguments: list[str], part: str, environment: Mapping[str, str], folder: Path) -> float:
    """Milliseconds from spawning a server until it takes a connection."""
    family: socket.AddressFamily
    address: Any
    if part in ("gateway", "http"):
        family, address = socket.AF_INET, ("127.0.0.1", free_port())
        own = {"GATEWAY_LISTEN": f"127.0.0.1:{address[1]}"}
        arguments = arguments if part == "gateway" else [*arguments, "http", str(address[1])]
    else:
        family, address = socket.AF_UNIX, str(folder / f"{part}.sock")
        Path(address).unlink(missing_ok=True)
        own = {f"{part.upper()}_LISTEN": f"unix:{address}"}
        arguments = [*arguments, "grpc", f"unix:{address}"] if part == "grpc" else arguments
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=REPOSITORY,
        env={**_FUNCTION_ENVIRONMENT, **environment, **own},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while time.perf_counter() - began < 60:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                if probe.connect_ex(address) == 0:
                    return (time.perf_counter() - began) * 1000
            if process.poll() is not None:
                raise RuntimeError(f"{part} ended at start")
            time.sleep(0.002)
        raise RuntimeError(f"{part} does not listen")
    finally:
        process.kill()
        process.wait()


def _event(part: str) -> dict[str, Any]:
    """The first event of a part, which it can answer without asking another function."""
    if part == "gateway":
        return event_of(httpx.Request("POST", "https://bench.on.aws/query", json={"query": ""}))
    method, message = _MESSAGES[part]
    claim = ClaimSigner(KEY).sign(Caller("default", "local", frozenset({"user"})))
    payload = pack_call(method, (("diglot-claim", claim),), 30_000.0, message.SerializeToString(), None)
    event: dict[str, Any] = json.loads(asyncio.run(_finished(payload)))
    return event


def _floor_event(floor: str) -> dict[str, Any]:
    if floor == "http":
        return event_of(httpx.Request("GET", "https://bench.on.aws/"))
    payload = pack_call(
        "/diglot.echo.v1.EchoService/Echo", (), 30_000.0, EchoRequest(text="x").SerializeToString(), None
    )
    event: dict[str, Any] = json.loads(asyncio.run(_finished(payload)))
    return event


async def _finished(payload: Any) -> Any:
    return await payload


@contextmanager
def function_environments(folder: Path) -> Iterator[dict[str, dict[str, str]]]:
    """The environment of each part, with a store and a sample shop to ask; callees are functions nobody invokes."""
    sockets = folder / "s"
    sockets.mkdir()
    postgres = EmbeddedPostgres(folder / "pg", sockets)
    postgres.start()
    try:
        provision_store(postgres, _PASSWORDS)
        provision_shop(postgres, _PASSWORDS[READER])
        stores = {name: postgres.url(STORE_DATABASE, role, _PASSWORDS[role]) for name, role in STORE_ROLES.items()}
        shared = {"DIGLOT_INTERNAL_KEY": KEY, "ENVIRONMENT": "bench"}
        callees = ("router", "rag", "sql", "ingest")
        yield {
            "gateway": {**shared, **{f"GATEWAY_{name.upper()}_TARGET": f"lambda:diglot-{name}" for name in callees}},
            "router": {**shared, "ROUTER_RAG_TARGET": "lambda:diglot-rag", "ROUTER_SQL_TARGET": "lambda:diglot-sql"},
            "rag": {**shared, "DIGLOT_STORE_URL": stores["rag"]},
            "sql": {
                **shared,
                "DIGLOT_STORE_URL": stores["sql"],
                "DATABASE_URL": postgres.url(SHOP_DATABASE, READER, _PASSWORDS[READER]),
            },
            "ingest": {
                **shared,
                "DIGLOT_STORE_URL": stores["ingest"],
                "INGEST_RAG_TARGET": "lambda:diglot-rag",
                "DIGLOT_DATA_DIR": str(folder / "data"),
            },
        }
    finally:
        postgres.stop()


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
