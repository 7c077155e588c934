"""Whether a pooled connection still lives, asked when it is taken out; most often without a round trip."""

from __future__ import annotations

import select
import time
from typing import Any
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

TRUSTED_SECONDS = 5.0


class IdleCheck:
    """The `check` of a pool.

    A server that restarts, terminates a session or tires of an idle one closes the socket, and a socket tells that
    without asking anybody: there is something to read although nothing was asked. What no socket tells, a host that
    vanished or a process that was frozen meanwhile, takes longer than `trusted_seconds`: a connection that was taken
    out longer ago answers an empty statement first.
    """

    def __init__(self, *, trusted_seconds: float = TRUSTED_SECONDS) -> None:
        self._trusted_seconds = trusted_seconds
        # By the wall clock: the monotonic one stands still while a process is frozen.
        self._taken_at: WeakKeyDictionary[AsyncConnection[Any], float] = WeakKeyDictionary()

    async def __call__(self, connection: AsyncConnection[Any]) -> None:
        """Return quietly when the connection can be used. Raises psycopg.Error, and the pool takes another."""
        idle_seconds = time.time() - self._taken_at.get(connection, float("-inf"))
        if not 0 <= idle_seconds < self._trusted_seconds or _has_something_to_read(connection):
            await AsyncConnectionPool.check_connection(connection)
        self._taken_at[connection] = time.time()


def _has_something_to_read(connection: AsyncConnection[Any]) -> bool:
    poll = select.poll()  # unlike select(), not limited to small descriptors
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
