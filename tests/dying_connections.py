"""A way to a server on this machine whose connections can die unseen, as idle ones do while a function is frozen."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Way:
    """Hands bytes on in both directions. `port` is where it begins."""

    def __init__(self) -> None:
        self.port = 0
        self.opened = 0
        """Connections so far."""
        self._living: set[asyncio.StreamWriter] = set()

    def let_die(self) -> None:
        """Whoever writes on a connection that is open now is told so by a reset, and not before."""
        self._living.clear()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target_port: int) -> None:
        self.opened += 1
        self._living.add(writer)
        target_reader, target_writer = await asyncio.open_connection("127.0.0.1", target_port)
        back = asyncio.create_task(_copy(target_reader, writer))
        try:
            while content := await reader.read(65_536):
                if writer not in self._living:
                    raw = writer.get_extra_info("socket")
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                    break
                target_writer.write(content)
                await target_writer.drain()
        except ConnectionError:
            pass
        finally:
            back.cancel()
            target_writer.close()
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while content := await reader.read(65_536):
            writer.write(content)
            await writer.drain()
    except ConnectionError:
        pass


@asynccontextmanager
async def way_to(target_port: int) -> AsyncIterator[Way]:
    """A way to a port of this machine, while the context is open."""
    way = Way()
    server = await asyncio.start_server(lambda reader, writer: way.carry(reader, writer, target_port), "127.0.0.1", 0)
    way.port = server.sockets[0].getsockname()[1]
    async with server:
        yield way
