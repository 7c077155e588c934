"""The fake services on real sockets, with what it takes to ask them and to break them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc

from services.transport.channels import open_channel
from services.transport.identity import Caller, acting_as
from tests.fakes.servicers import Faults, Servable, failure, served, transport_settings

CALLER = Caller("acme", "ada", frozenset({"user"}))
STALL_SECONDS = 3.0
PATIENCE_SECONDS = 0.3

Source = TypeVar("Source")


@dataclass
class ServedSource(Generic[Source]):
    """An adapter that talks to a fake service over a real socket."""

    source: Source
    faults: Faults
    domain: str
    server: AsyncExitStack

    async def stop(self) -> None:
        await self.server.aclose()

    def refuse(self, reason: str) -> None:
        self.faults.failure = failure(grpc.StatusCode.UNAVAILABLE, reason, domain=self.domain)

    def stall(self) -> None:
        self.faults.stall_seconds = STALL_SECONDS


@asynccontextmanager
async def served_source(
    servicer: Servable, faults: Faults, adapt: Callable[[grpc.aio.Channel], Source]
) -> AsyncIterator[ServedSource[Source]]:
    """Serve the fake, open a channel to it, and ask through the adapter made by `adapt`, as CALLER."""
    async with AsyncExitStack() as server:
        target = await server.enter_async_context(served(servicer))
        async with open_channel(target, transport_settings()) as channel:
            with acting_as(CALLER):
                yield ServedSource(adapt(channel), faults, servicer.definition().domain, server)
