"""A whole sql service behind a real socket, and its stub."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from pydantic import SecretStr

from protos.sql.v1.sql_service_pb2_grpc import SqlServiceStub
from services.sql.answering import AutoApprovePolicy
from services.sql.settings import SqlSettings
from services.sql.wiring import open_sql
from services.transport.channels import open_channel
from services.transport.errors import RemoteFailure, read_failure
from services.transport.identity import Caller
from services.transport.serving import serving
from services.transport.settings import TransportSettings

if TYPE_CHECKING:
    from protos.sql.v1.sql_service_pb2_grpc import SqlServiceAsyncStub

TRANSPORT = TransportSettings(internal_key=SecretStr("k" * 40))
ADA = Caller("acme", "ada", frozenset({"user"}))
BO = Caller("acme", "bo", frozenset({"user"}))
OUTSIDER = Caller("umbrella", "ada", frozenset({"user"}))


def settings_for(
    shop_url: str, store_url: str, *, policy: AutoApprovePolicy = AutoApprovePolicy.ALLOWED, **more: object
) -> SqlSettings:
    """Settings as an environment would give them."""
    return SqlSettings.model_validate(
        {
            "transport": TRANSPORT,
            "DATABASE_URL": shop_url,
            "DIGLOT_STORE_URL": store_url,
            "auto_approve": policy,
            "checkout_wait_seconds": 3,
            **more,
        }
    )


@asynccontextmanager
async def running(settings: SqlSettings, folder: Path) -> AsyncIterator[SqlServiceAsyncStub]:
    """The service on a socket in `folder`, and a stub that calls it."""
    async with (
        open_sql(settings) as definition,
        serving(definition, listen=f"unix:{folder / 'sql.sock'}", settings=TRANSPORT) as target,
        open_channel(target, TRANSPORT) as channel,
    ):
        yield SqlServiceStub(channel)


async def failure_of(call: object) -> RemoteFailure:
    """The failure that a call ends with."""
    try:
        await call  # type: ignore[misc]
    except grpc.aio.AioRpcError as error:
        return read_failure(error)
    raise AssertionError("the call succeeded")
