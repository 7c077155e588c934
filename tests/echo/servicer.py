"""The echo service: it answers, waits, fails and streams as its request says.

EchoError
├── EchoNotFound       NOT_FOUND / ECHO_NOT_FOUND, with metadata
├── EchoFieldInvalid   INVALID_ARGUMENT / ECHO_INVALID, names the field `text`
├── EchoBusy           UNAVAILABLE / ECHO_BUSY
│   └── EchoVeryBusy   the same by inheritance, and knows the wait
├── EchoExhausted      RESOURCE_EXHAUSTED / ECHO_EXHAUSTED, retry after 7 s
└── EchoConflict       FAILED_PRECONDITION / ECHO_CONFLICT
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import grpc

from services.transport.errors import Failure, FieldViolation, PassedOn, RemoteFailure
from services.transport.identity import current_caller
from services.transport.serving import ServiceDefinition
from tests.echo import echo_service_pb2, echo_service_pb2_grpc

SECRET_TEXT = "hunter2 is in this driver text"
PASSED_ON = RemoteFailure(
    code=grpc.StatusCode.ALREADY_EXISTS,
    reason="BEYOND_THERE",
    domain="beyond.diglot",
    message="The callee's own words.",
    metadata={"document": "documents/1"},
    fields=(FieldViolation("document", "is there already"),),
    retry_after_seconds=1.5,
)


class EchoError(Exception):
    """Root of the errors the echo service raises on demand."""


class EchoNotFound(EchoError):
    """Carries metadata."""

    metadata: ClassVar[dict[str, str]] = {"name": "echoes/7"}


class EchoFieldInvalid(EchoError):
    """Names the field at fault."""

    field = "text"


class EchoBusy(EchoError):
    """May be retried."""


class EchoVeryBusy(EchoBusy):
    """Knows how long to wait."""

    retry_after_seconds = 0.01


class EchoExhausted(EchoError):
    """The table knows how long to wait."""


class EchoConflict(EchoError):
    """An ordinary refusal, in letters beyond ASCII."""


FAILURES: dict[type[Exception], Failure] = {
    EchoNotFound: Failure(grpc.StatusCode.NOT_FOUND, "ECHO_NOT_FOUND"),
    EchoFieldInvalid: Failure(grpc.StatusCode.INVALID_ARGUMENT, "ECHO_INVALID"),
    EchoBusy: Failure(grpc.StatusCode.UNAVAILABLE, "ECHO_BUSY"),
    EchoExhausted: Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "ECHO_EXHAUSTED", retry_after_seconds=7),
    EchoConflict: Failure(grpc.StatusCode.FAILED_PRECONDITION, "ECHO_CONFLICT"),
}

_ERRORS: dict[str, Callable[[], Exception]] = {
    "not_found": lambda: EchoNotFound("no such echo"),
    "invalid": lambda: EchoFieldInvalid("text is too loud"),
    "busy": lambda: EchoBusy("come back later"),
    "very_busy": lambda: EchoVeryBusy("come back a little later"),
    "exhausted": lambda: EchoExhausted("no more echoes today"),
    "conflict": lambda: EchoConflict("die Höhle ist verschüttet – 洞窟"),
    "passed_on": lambda: PassedOn(PASSED_ON),
    "unlisted": lambda: ValueError(SECRET_TEXT),
}


class EchoServicer(echo_service_pb2_grpc.EchoServiceServicer):
    """Counts its calls by the request's text.

    Trailing metadata: `echo-cancelled` names the texts of earlier calls that were stopped before they ended, and every
    key that begins with `mirror-` comes back with its value.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.cancelled: list[str] = []

    async def Echo(self, request: Any, context: Any) -> Any:
        return await self._answer(request, context)

    async def EchoOnce(self, request: Any, context: Any) -> Any:
        return await self._answer(request, context)

    async def StreamEcho(self, request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            for number in range(request.repeat):
                response = self._response(request, context)
                response.call_count = number + 1
                yield response
                await asyncio.sleep(request.delay_ms / 1_000)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.append(request.text)
            raise
        await self._fail(request, context)

    async def CollectEcho(self, request_iterator: AsyncIterator[Any], context: Any) -> Any:
        requests = [request async for request in request_iterator]
        joined = echo_service_pb2.EchoRequest(text="".join(request.text for request in requests))
        return self._response(joined, context)

    async def _answer(self, request: Any, context: Any) -> Any:
        self.calls[request.text] += 1
        response = self._response(request, context)
        if response.metadata.get("ask-initial"):
            await context.send_initial_metadata((("echo-initial", "first"), ("echo-initial-bin", b"\x00\xff")))
        mirrored = [(key, value) for key, value in context.invocation_metadata() if key.startswith("mirror-")]
        told = ("echo-cancelled", ",".join(self.cancelled))
        context.set_trailing_metadata((("echo-trailing-bin", b"\x01\xfe"), told, *mirrored))
        try:
            await asyncio.sleep(request.delay_ms / 1_000)
        except asyncio.CancelledError:
            self.cancelled.append(request.text)
            raise
        if self.calls[request.text] <= request.fail_times:
            raise EchoVeryBusy("come back a little later")
        await self._fail(request, context)
        response.call_count = self.calls[request.text]
        return response

    async def _fail(self, request: Any, context: Any) -> None:
        if request.fail_with == "abort":
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, "aborted by hand", (("echo-abort", "yes"),))
        if request.fail_with == "set_code":
            context.set_code(grpc.StatusCode.DATA_LOSS)
            context.set_details("set by hand")
        elif request.fail_with:
            raise _ERRORS[request.fail_with]()

    def _response(self, request: Any, context: Any) -> Any:
        remaining_seconds = context.time_remaining()
        caller = current_caller()
        return echo_service_pb2.EchoResponse(
            text=request.text,
            padding=bytes(request.padding_bytes),
            metadata={key: value for key, value in context.invocation_metadata() if isinstance(value, str)},
            remaining_ms=-1 if remaining_seconds is None else int(remaining_seconds * 1_000),
            tenant=caller.tenant,
            subject=caller.subject,
        )


async def _raise() -> bool:
    raise RuntimeError(SECRET_TEXT)


async def _hang() -> bool:
    await asyncio.sleep(3_600)
    return True


async def _fine() -> bool:
    return True


def define_echo(servicer: EchoServicer) -> ServiceDefinition:
    """The echo service with a check that passes, one that raises and one that hangs."""
    return ServiceDefinition(
        name="diglot.echo.v1.EchoService",
        domain="echo.diglot",
        failures=FAILURES,
        add_to=lambda server: echo_service_pb2_grpc.add_EchoServiceServicer_to_server(servicer, server),
        checks={"fine": _fine, "raising": _raise, "hanging": _hang},
    )


@asynccontextmanager
async def open_echo() -> AsyncIterator[ServiceDefinition]:
    """An echo service of its own."""
    yield define_echo(EchoServicer())
