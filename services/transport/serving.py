"""Run a service as a gRPC server, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc

from services.transport.addresses import UNIX_PREFIX, check_listen_address, socket_path
from services.transport.channels import MESSAGE_OPTIONS
from services.transport.errors import AddressInUse, AddressInvalid, Failure, why_not_started
from services.transport.health import HealthServicer
from services.transport.identity import ClaimVerifier
from services.transport.incoming import ServedCalls
from services.transport.observing import start_telemetry, stop_telemetry
from services.transport.settings import TransportSettings
from services.transport.telemetry import configure_logging

logger = logging.getLogger(__name__)

STOP_GRACE_SECONDS = 5.0

_SERVER_OPTIONS: tuple[tuple[str, int], ...] = (*MESSAGE_OPTIONS, ("grpc.so_reuseport", 0))


@dataclass(frozen=True)
class ServiceDefinition:
    """One service, ready to be served by any transport.

    `name` is the full proto name, "diglot.rag.v1.RagService"; `domain` goes into ErrorInfo; `add_to` registers the
    servicer: `lambda server: add_RagServiceServicer_to_server(servicer, server)`. `checks` are told by health: "" is
    the service itself, other names are parts of it; they run when asked, at most once a second. `take_event` is for
    functions: it is offered each event first, with the seconds left, and returns None for one that is a call.
    """

    name: str
    domain: str
    failures: Mapping[type[Exception], Failure]
    add_to: Callable[[grpc.aio.Server], None]
    checks: Mapping[str, Callable[[], Awaitable[bool]]] = field(default_factory=dict)
    take_event: Callable[[Any, float], Coroutine[Any, Any, dict[str, Any]] | None] | None = None


OpenService = Callable[[], AbstractAsyncContextManager[ServiceDefinition]]


@asynccontextmanager
async def serving(definition: ServiceDefinition, *, listen: str, settings: TransportSettings) -> AsyncIterator[str]:
    """Serve while the context is open; yields the target to dial, which tells the port when `listen` says 0.

    On leaving, running calls get STOP_GRACE_SECONDS to end. A socket file that a killed process left behind is
    replaced.

    Raises: AddressInvalid: `listen` is malformed. AddressInUse: somebody listens there.
    """
    # Imported here: wiring modules import this one for ServiceDefinition, and a function never reflects.
    from grpc_reflection.v1alpha import reflection

    check_listen_address(listen)
    verifier = ClaimVerifier(settings.internal_key.get_secret_value())
    interceptor = ServedCalls(domain=definition.domain, failures=definition.failures, verifier=verifier)
    server = grpc.aio.server(interceptors=[interceptor], options=_SERVER_OPTIONS)
    definition.add_to(server)
    health = HealthServicer(definition.name, definition.checks)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    names = (definition.name, "grpc.health.v1.Health", reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    target = _bind(server, listen)
    await server.start()
    try:
        yield target
    finally:
        health.stop()
        await server.stop(STOP_GRACE_SECONDS)
        if target.startswith(UNIX_PREFIX):
            socket_path(target).unlink(missing_ok=True)


def _bind(server: grpc.aio.Server, listen: str) -> str:
    if listen.startswith(UNIX_PREFIX):
        path = socket_path(listen)
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_dead_socket(path)
        address = f"{UNIX_PREFIX}{path}"
    else:
        address = listen
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise AddressInUse(f"cannot listen on {listen}: it is in use or not ours") from error
    if listen.startswith(UNIX_PREFIX):
        return address
    host = listen.rpartition(":")[0]
    return f"{'127.0.0.1' if host in ('0.0.0.0', '[::]') else host}:{port}"  # noqa: S104 -- compared, not bound


def _clear_dead_socket(path: Path) -> None:
    """Remove the socket of a process that was killed; refuse to take over a living one's."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise AddressInvalid(f"{path} exists and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise AddressInUse(f"cannot tell whether somebody listens on {path}") from error
    raise AddressInUse(f"another process listens on {path}")


def run_server(open_service: OpenService, *, listen: str, settings: TransportSettings, service_name: str) -> None:
    """Open the service and serve it until SIGTERM or SIGINT; then stop gracefully, close it and return.

    Raises SystemExit(1) when the service cannot be opened or its address cannot be had; the log says why.
    """
    configure_logging(service_name, buffered=True)
    try:
        start_telemetry(service_name, settings)
        asyncio.run(_run(open_service, listen, settings))
    except Exception as error:
        logger.critical("server.failed", **why_not_started(error))
        sys.exit(1)
    finally:
        stop_telemetry()


async def _run(open_service: OpenService, listen: str, settings: TransportSettings) -> None:
    told_to_stop, opened = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)

    async def serve() -> None:
        async with open_service() as definition, serving(definition, listen=listen, settings=settings) as target:
            opened.set()
            logger.info("server.listening", extra={"target": target})
            await told_to_stop.wait()
            logger.info("server.stopping")
        logger.info("server.stopped")

    serve_task = asyncio.create_task(serve())
    stop_task = asyncio.create_task(told_to_stop.wait())
    await asyncio.wait({serve_task, stop_task}, return_when=asyncio.FIRST_COMPLETED)
    stop_task.cancel()
    if not opened.is_set():
        # Told to stop while still opening: whatever it waits for, a database for one, is no reason to stay.
        serve_task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serve_task
