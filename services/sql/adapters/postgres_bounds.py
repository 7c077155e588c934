"""A connection that takes no more from the database than it was told to.

The caps on rows and bytes hold for results. This one holds for all that a server can send besides: the text of an error
that quotes a computed value, or of a plan whose conditions hold one, may be hundreds of megabytes long, and the client
library gathers a message whole before anybody can look at it. So what comes in is counted before the library sees it:
it is given one end of a pair of sockets in place of its own, and the bytes, encrypted or not, are carried over.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.abc import PQGen
from psycopg.rows import TupleRow

_Result = TypeVar("_Result")

CANCEL_SECONDS = 1.0

_CHUNK_BYTES = 64 * 1024


class TooMuchReceived(psycopg.OperationalError):
    """The server sent more than was allowed, and the connection is closed."""


class BoundedConnection(AsyncConnection[TupleRow]):
    """Counts what is received once `bound` has been called; `allow` says how much that may be from now on."""

    _relay: _Relay | None = None

    def bound(self) -> None:
        """Begin to count. Nothing may be under way on the connection."""
        self._relay = _Relay(self.pgconn.socket)

    def allow(self, count: int | None) -> None:
        """Let so many bytes come in from now on; None lifts the bound."""
        if self._relay is not None:
            self._relay.left_bytes = count

    async def wait(self, gen: PQGen[_Result], *args: Any, **kwargs: Any) -> _Result:
        """See AsyncConnection. Raises TooMuchReceived."""
        try:
            return await super().wait(gen, *args, **kwargs)
        except psycopg.OperationalError as error:
            if self._relay is not None and self._relay.is_cut:
                raise TooMuchReceived("the server sent more than is taken") from error
            raise

    async def cancel_safe(self, *, timeout: float = CANCEL_SECONDS) -> None:  # noqa: ASYNC109 - as the driver has it
        """See AsyncConnection; a database that does not take the request is not waited for longer."""
        await super().cancel_safe(timeout=min(timeout, CANCEL_SECONDS))

    def cut(self) -> None:
        """Part with the server now, whatever is under way: whoever waits for it gets an error instead."""
        if self._relay is not None:
            self._relay.cut()

    async def close(self) -> None:
        """See AsyncConnection."""
        await super().close()
        if self._relay is not None:
            await self._relay.ended()


class _Relay:
    """Carries bytes between a server's socket and the library, which goes on using the same file descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.left_bytes: int | None = None
        self.is_cut = False
        self._server = socket.socket(fileno=os.dup(descriptor))
        self._library, theirs = socket.socketpair()
        os.dup2(theirs.fileno(), descriptor, inheritable=False)
        theirs.close()
        for end in (self._server, self._library):
            end.setblocking(False)
        os.set_blocking(descriptor, False)
        self._task = asyncio.create_task(self._carry())

    def cut(self) -> None:
        """Close both ends."""
        self._task.cancel()

    async def ended(self) -> None:
        """Wait until both sides are closed: the library's has been."""
        await asyncio.gather(self._task, return_exceptions=True)

    async def _carry(self) -> None:
        ways = [
            asyncio.create_task(self._forward(self._library, self._server)),
            asyncio.create_task(self._forward(self._server, self._library, counted=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._server.close()
            self._library.close()

    async def _forward(self, source: socket.socket, destination: socket.socket, *, counted: bool = False) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while data := await loop.sock_recv(source, _CHUNK_BYTES):
                if counted and self.left_bytes is not None:
                    self.left_bytes -= len(data)
                    if self.left_bytes < 0:
                        self.is_cut = True
                        return
                await loop.sock_sendall(destination, data)
