from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from services.transport import envelope, lambda_server
from services.transport.claim_check import ClaimCheckStore
from services.transport.envelope import pack_call
from services.transport.errors import EventFailed, ServiceNotOpened
from services.transport.identity import Caller, ClaimSigner
from services.transport.lambda_context import LambdaContext
from services.transport.lambda_server import LambdaServer, lambda_handler
from services.transport.serving import ServiceDefinition
from services.transport.settings import TransportSettings
from tests.echo import echo_service_pb2_grpc
from tests.echo.echo_service_pb2 import EchoRequest, EchoResponse
from tests.echo.servicer import EchoServicer, define_echo

KEY = "k" * 32
SETTINGS = TransportSettings(internal_key=KEY)
METHOD = "/diglot.echo.v1.EchoService/Echo"


class Invocation:
    """The part of Lambda's context that is read."""

    def get_remaining_time_in_millis(self) -> int:
        return 5_000


def event(request: EchoRequest, *, timeout_ms: float | None = None, method: str = METHOD) -> dict[str, Any]:
    claim = ClaimSigner(KEY).sign(Caller("acme", "ada", frozenset()))
    body = request.SerializeToString()
    packed = asyncio.run(pack_call(method, (("diglot-claim", claim),), timeout_ms, body, None))
    document: dict[str, Any] = json.loads(packed)
    return document


@pytest.fixture(autouse=True)
def _log_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lambda_server, "configure_logging", lambda service_name: None)


def test_a_handler_keeps_one_loop_and_one_service_for_all_its_calls() -> None:
    loops: list[object] = []
    opened: list[str] = []

    class Servicer(EchoServicer):
        async def Echo(self, request: Any, context: Any) -> Any:
            loops.append(asyncio.get_running_loop())
            return await super().Echo(request, context)

    @asynccontextmanager
    async def open_service() -> AsyncIterator[ServiceDefinition]:
        opened.append("once")
        loops.append(asyncio.get_running_loop())
        yield define_echo(Servicer())

    handler = lambda_handler(open_service, SETTINGS, "echo")
    replies = [handler(event(EchoRequest(text="x")), Invocation()) for _ in range(3)]

    assert [reply["status"] for reply in replies] == ["OK"] * 3
    assert opened == ["once"]
    assert len(set(loops)) == 1


def test_a_handler_called_from_several_threads_runs_one_call_at_a_time() -> None:
    @asynccontextmanager
    async def open_service() -> AsyncIterator[ServiceDefinition]:
        yield define_echo(EchoServicer())

    handler = lambda_handler(open_service, SETTINGS, "echo")
    slow = event(EchoRequest(text="x", delay_ms=20))
    statuses: list[str] = []

    threads = [
        threading.Thread(target=lambda: statuses.append(handler(slow, Invocation())["status"])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == ["OK"] * 4


def test_a_service_that_cannot_be_opened_fails_the_environment_without_saying_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @asynccontextmanager
    async def open_service(secret: str) -> AsyncIterator[ServiceDefinition]:
        if secret:
            raise ConnectionError(secret)
        yield define_echo(EchoServicer())

    with pytest.raises(ServiceNotOpened) as caught:
        lambda_handler(lambda: open_service("secret"), SETTINGS, "echo")

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert [record.message for record in caplog.records] == ["function.init_failed"]


async def _handle(
    servicer: Any,
    document: dict[str, Any],
    *,
    remaining_ms: float = 5_000,
    claim_checks: ClaimCheckStore | None = None,
) -> dict[str, Any]:
    server = LambdaServer(claim_checks=claim_checks)
    echo_service_pb2_grpc.add_EchoServiceServicer_to_server(servicer, server)
    return await server.handle(document, remaining_ms=remaining_ms)


class Scripted(EchoServicer):
    """Answers Echo with a function of the context."""

    def __init__(self, behaviour: Callable[[Any], Awaitable[Any]]) -> None:
        super().__init__()
        self._behaviour = behaviour

    async def Echo(self, request: Any, context: Any) -> Any:
        return await self._behaviour(context)


@pytest.mark.parametrize(
    ("timeout_ms", "remaining_ms", "longest"),
    [(1_000, 60_000, 1_000), (None, 60_000, 59_750), (60_000, 1_000, 900), (None, 1_000, 900)],
)
def test_a_call_gets_its_own_time_or_what_the_environment_has_left(
    timeout_ms: float | None, remaining_ms: float, longest: float
) -> None:
    seen: list[float] = []

    async def look(context: Any) -> Any:
        seen.append(context.time_remaining() * 1_000)
        return EchoResponse()

    document = event(EchoRequest(), timeout_ms=timeout_ms)
    asyncio.run(_handle(Scripted(look), document, remaining_ms=remaining_ms))

    assert longest - 100 < seen[0] <= longest


class SlowClaimChecks:
    """A store that takes its time; `seconds` None: for ever."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds

    async def put(self, data: bytes) -> str:
        return (await self.get("key")).hex()

    async def get(self, key: str) -> bytes:
        if self._seconds is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(self._seconds)
        return b""


def test_the_time_that_fetching_a_large_body_takes_is_the_calls() -> None:
    seen: list[float] = []

    async def look(context: Any) -> Any:
        seen.append(context.time_remaining())
        return EchoResponse()

    document = as_claim(event(EchoRequest()))
    asyncio.run(_handle(Scripted(look), document, remaining_ms=2_000, claim_checks=SlowClaimChecks(0.3)))

    assert seen[0] <= 1.8 - 0.3


def test_a_large_body_that_cannot_be_fetched_in_time_is_told_before_the_end() -> None:
    document = as_claim(event(EchoRequest()))

    reply = asyncio.run(_handle(EchoServicer(), document, remaining_ms=50, claim_checks=SlowClaimChecks(None)))

    assert reply["status"] == "DEADLINE_EXCEEDED"


def test_a_large_reply_that_cannot_be_stored_in_time_is_told_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def tell(context: Any) -> Any:
        return EchoResponse(text="a long text")

    document = event(EchoRequest())
    monkeypatch.setattr(envelope, "MAX_INLINE_BODY_BYTES", 3)

    reply = asyncio.run(_handle(Scripted(tell), document, remaining_ms=200, claim_checks=SlowClaimChecks(None)))

    assert reply["status"] == "DEADLINE_EXCEEDED"


def as_claim(document: dict[str, Any]) -> dict[str, Any]:
    """The same call, its empty body stored."""
    return {name: value for name, value in document.items() if name != "body"} | {"claim": "key"}


def test_an_event_that_fails_is_delivered_again_without_saying_why(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> dict[str, Any]:
        raise ValueError("secret words of a file")

    @asynccontextmanager
    async def open_service() -> AsyncIterator[ServiceDefinition]:
        yield dataclasses.replace(define_echo(EchoServicer()), take_event=lambda event, seconds: fail())

    handler = lambda_handler(open_service, SETTINGS, "echo")

    with caplog.at_level(logging.ERROR), pytest.raises(EventFailed) as caught:
        handler({"source": "aws.events"}, Invocation())

    assert "secret" not in "".join(traceback.format_exception(caught.value))
    assert [record.message for record in caplog.records] == ["event.failed"]


def test_a_method_that_ignores_its_cancellation_is_left_behind() -> None:
    async def ignore(context: Any) -> Any:
        for _ in range(10):
            try:
                await asyncio.sleep(0.5)
            except asyncio.CancelledError:
                continue
        return EchoResponse()

    async def run() -> dict[str, Any]:
        async with asyncio.timeout(1):
            return await _handle(Scripted(ignore), document)

    document = event(EchoRequest(), timeout_ms=30)

    with asyncio.Runner() as runner:
        reply = runner.run(run())
        for task in asyncio.all_tasks(runner.get_loop()):
            task.get_coro().close()

    assert reply["status"] == "DEADLINE_EXCEEDED"


def test_done_callbacks_run_when_the_call_is_over() -> None:
    contexts: list[Any] = []

    async def register(context: Any) -> Any:
        context.add_done_callback(contexts.append)
        return EchoResponse()

    asyncio.run(_handle(Scripted(register), event(EchoRequest())))

    assert [context.done() for context in contexts] == [True]
    assert not contexts[0].cancelled()


def test_a_response_of_another_type_is_internal() -> None:
    async def answer_wrongly(context: Any) -> Any:
        return "no message"

    reply = asyncio.run(_handle(Scripted(answer_wrongly), event(EchoRequest())))

    assert reply["status"] == "INTERNAL"


def test_metadata_that_cannot_be_sent_is_internal() -> None:
    async def set_badly(context: Any) -> Any:
        context.set_trailing_metadata((("Not A Key", "x"),))
        return EchoResponse()

    reply = asyncio.run(_handle(Scripted(set_badly), event(EchoRequest())))

    assert reply["status"] == "INTERNAL"


def test_a_body_that_is_no_request_is_invalid() -> None:
    document = event(EchoRequest())
    packed = asyncio.run(pack_call(METHOD, (), None, b"\xff\xff\xff", None))

    reply = asyncio.run(_handle(EchoServicer(), document | json.loads(packed)))

    assert reply["status"] == "INVALID_ARGUMENT"
    assert reply["details"].startswith("body: ")


async def test_a_context_behaves_as_grpcs_does() -> None:
    context = LambdaContext((("key", "value"),), None)

    assert context.time_remaining() is None
    assert context.peer().startswith("lambda:")
    assert context.invocation_metadata() == (("key", "value"),)
    await context.send_initial_metadata((("a", "b"),))
    with pytest.raises(grpc.aio.UsageError):
        await context.send_initial_metadata((("a", "b"),))
    with pytest.raises(grpc.aio.AbortError):
        await context.abort(grpc.StatusCode.OK, "not ok")
    assert context.code() is grpc.StatusCode.UNKNOWN
    with pytest.raises(grpc.aio.UsageError):
        await context.abort(grpc.StatusCode.ABORTED)


async def test_a_function_listens_on_no_port() -> None:
    with pytest.raises(grpc.aio.UsageError):
        LambdaServer().add_insecure_port("127.0.0.1:0")
