"""The gateway, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from gateway.app import create_app
from gateway.callees import Callees, Service
from gateway.settings import GatewaySettings
from services.transport.channels import open_channel


@asynccontextmanager
async def open_gateway(settings: GatewaySettings, *, own_machine_alone: bool = False) -> AsyncIterator[FastAPI]:
    """The app with its four channels, which close with it. Services that are down are no hindrance.

    `own_machine_alone` refuses requests sent to a name of another machine, see `gateway.origins`.
    """
    targets = {
        Service.ROUTER: settings.router_target,
        Service.RAG: settings.rag_target,
        Service.SQL: settings.sql_target,
        Service.INGEST: settings.ingest_target,
    }
    async with AsyncExitStack() as stack:
        channels = {
            service: await stack.enter_async_context(open_channel(target, settings.transport))
            for service, target in targets.items()
        }
        yield create_app(Callees(channels), settings, own_machine_alone=own_machine_alone)
