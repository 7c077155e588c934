"""The Lambda clients of this process: making one costs a cold start more than all else, so channels share them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from services.transport.aws_clients import aws_session

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

MAX_CONCURRENT_INVOKES = 32  # of one channel
_MAX_CONNECTIONS = 4 * MAX_CONCURRENT_INVOKES  # no process calls more than four functions
_CONNECT_TIMEOUT_SECONDS = 3
# A client's read timeout is fixed when it is made; calls share a few clients, each made when first needed. The read
# must outlast the call: the caller stops waiting at its deadline by itself, the timeout only frees the thread.
_READ_TIMEOUTS_SECONDS = (35, 125, 905)


class LambdaClients:
    """Clients by read timeout, made when first needed and closed when their last user leaves.

    Region, endpoint and credentials come from where boto3 looks for them (AWS_ENDPOINT_URL_LAMBDA among others) at the
    moment when a client is made. boto3 is imported then, too.
    """

    def __init__(self) -> None:
        self._clients: dict[int, LambdaClient] = {}
        self._users: set[object] = set()
        self._changing = threading.Lock()

    def enter(self, user: object) -> None:
        """Keep clients open for this user until it leaves."""
        with self._changing:
            self._users.add(user)

    def leave(self, user: object) -> None:
        """Close all clients if this was the last user. Leaving twice is leaving once."""
        with self._changing:
            if user not in self._users:
                return
            self._users.discard(user)
            if self._users:
                return
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def client(self, timeout_seconds: float) -> LambdaClient:
        """A client that waits for longer than so many seconds. Raises BotoCoreError: no region, for one."""
        last = _READ_TIMEOUTS_SECONDS[-1]
        read_timeout = next((bound for bound in _READ_TIMEOUTS_SECONDS if bound > timeout_seconds), last)
        client = self._clients.get(read_timeout)
        if client is not None:
            return client
        with self._changing:
            client = self._clients.get(read_timeout)
            if client is None:
                client = self._clients[read_timeout] = _make_client(read_timeout)
        return client


def _make_client(read_timeout_seconds: int) -> LambdaClient:
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        read_timeout=read_timeout_seconds,
        max_pool_connections=_MAX_CONNECTIONS,
        tcp_keepalive=True,
        parameter_validation=False,  # ours are always a name and bytes
        # Otherwise botocore composes a long description of itself, twice for each call.
        user_agent="diglot",
        # A repeated invoke would run the work twice; retries.py knows which methods may be repeated.
        retries={"total_max_attempts": 1, "mode": "standard"},
    )
    return aws_session().client("lambda", config=config)


SHARED_CLIENTS = LambdaClients()
