"""What a servicer sees of a call that came as an invoke: a `grpc.aio.ServicerContext` without a connection."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import grpc

from services.transport.envelope import Pairs

_PEER = "lambda:invoke"


class LambdaContext(grpc.aio.ServicerContext[Any, Any]):
    """Collects what the servicer sets; `remaining_seconds` is None for a call without a deadline."""

    def __init__(self, metadata: Pairs, remaining_seconds: float | None) -> None:
        self._metadata = metadata
        self._ends_at = math.inf if remaining_seconds is None else time.monotonic() + remaining_seconds
        self._code = grpc.StatusCode.OK
        self._details = ""
        self._trailing: Pairs = ()
        self._callbacks: list[Callable[[Any], None]] = []
        self._aborted = self._cancelled = self._done = False
        self.initial: Pairs = ()
        self.written: list[Any] = []
        """Messages sent by `write`, for servicers that do not yield them."""

    def finish(self, *, cancelled: bool = False) -> None:
        """The call is over: run the callbacks. `cancelled`: its deadline passed first."""
        if self._done:
            return
        self._cancelled, self._done = cancelled, True
        for callback in self._callbacks:
            callback(self)

    async def read(self) -> NoReturn:
        raise grpc.aio.UsageError("an invoke carries one request, which the method has as its argument")

    async def write(self, message: Any) -> None:
        self.written.append(message)

    async def send_initial_metadata(self, initial_metadata: Iterable[tuple[str, str | bytes]]) -> None:
        if self.initial:
            raise grpc.aio.UsageError("initial metadata has been sent already")
        self.initial = tuple(initial_metadata)

    async def abort(
        self,
        code: grpc.StatusCode,
        details: str = "",
        trailing_metadata: Iterable[tuple[str, str | bytes]] = (),
    ) -> NoReturn:
        if self._aborted:
            raise grpc.aio.UsageError("abort was called already")
        self._aborted = True
        # As gRPC does: an abort is a failure, whatever its author says.
        self._code = grpc.StatusCode.UNKNOWN if code is grpc.StatusCode.OK else code
        self._details = details
        self._trailing = tuple(trailing_metadata) or self._trailing
        raise grpc.aio.AbortError("Locally aborted.")

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        await self.abort(status.code, status.details, status.trailing_metadata)

    def set_trailing_metadata(self, trailing_metadata: Iterable[tuple[str, str | bytes]]) -> None:
        self._trailing = tuple(trailing_metadata)

    def invocation_metadata(self) -> Pairs:  # type: ignore[override]  # gRPC gives pairs too
        return self._metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        self._code = code

    def set_details(self, details: str) -> None:
        self._details = details

    def set_compression(self, compression: grpc.Compression) -> None:
        """Without effect: an envelope is not compressed."""

    def disable_next_message_compression(self) -> None:
        """Without effect: an envelope is not compressed."""

    def peer(self) -> str:
        return _PEER

    def peer_identities(self) -> Iterable[bytes] | None:
        return None

    def peer_identity_key(self) -> str | None:
        return None

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        return {}

    def time_remaining(self) -> float | None:  # type: ignore[override]  # gRPC gives None too
        return None if self._ends_at == math.inf else max(0.0, self._ends_at - time.monotonic())

    def trailing_metadata(self) -> Pairs:  # type: ignore[override]  # gRPC gives pairs too
        return self._trailing

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._callbacks.append(callback)

    def cancelled(self) -> bool:
        return self._cancelled

    def done(self) -> bool:
        return self._done
