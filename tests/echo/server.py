"""The echo service as a process: `python -m tests.echo.server LISTEN [fail|hang]`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.transport.serving import ServiceDefinition, run_server
from services.transport.settings import TransportSettings
from tests.echo.servicer import SECRET_TEXT, open_echo


@asynccontextmanager
async def _open(how: str) -> AsyncIterator[ServiceDefinition]:
    if how == "fail":
        raise ConnectionError(SECRET_TEXT)
    if how == "hang":
        print("opening", flush=True)
        await asyncio.sleep(3_600)
    async with open_echo() as definition:
        yield definition
        print("closed", flush=True)


def main() -> None:
    listen, how = sys.argv[1], "".join(sys.argv[2:])
    run_server(lambda: _open(how), listen=listen, settings=TransportSettings(), service_name="echo")


if __name__ == "__main__":
    main()
