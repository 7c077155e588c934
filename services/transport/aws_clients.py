"""boto3 clients as the rest of the house uses them: made late, bounded in time, called from threads.

The lambda client has rules of its own, see lambda_clients.py.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.client import BaseClient
    from botocore.loaders import Loader

Result = TypeVar("Result")

_CONNECT_TIMEOUT_SECONDS = 2
_MAX_ATTEMPTS = 3


class AwsClient:
    """One boto3 client whose calls do not hold up the event loop.

    `run` calls a method of it in one of a few threads, so that a slow peer holds up at most that many calls, and hands
    on what it returns or raises: botocore's ClientError and BotoCoreError are for adapters to translate. `probe` does
    the same for checks of health in a thread of their own, which large bodies do not keep waiting.
    """

    def __init__(self, client: BaseClient, *, max_concurrent_calls: int) -> None:
        self._client = client
        self._threads = ThreadPoolExecutor(max_concurrent_calls, thread_name_prefix="aws")
        self._probing_thread = ThreadPoolExecutor(1, thread_name_prefix="aws-probe")

    async def run(self, call: Callable[[Any], Result]) -> Result:
        """What `call` makes of the client, as in `run(lambda s3: s3.head_bucket(Bucket=name))`.

        A caller that is cancelled stops waiting; the call itself goes on to its end.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, call, self._client)

    async def probe(self, call: Callable[[Any], Result]) -> Result:
        """As `run`, for a small call by which to see whether the peer is there."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._probing_thread, call, self._client)

    def close(self) -> None:
        """Release the client's connections; calls under way end by themselves."""
        for threads in (self._threads, self._probing_thread):
            threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()


def aws_session() -> Session:
    """Where boto3 finds its region and credentials; the region also by AWS_REGION, the one name all other SDKs read."""
    import boto3
    from botocore.session import get_session

    session = get_session()
    session.register_component("data_loader", _descriptions(session.get_config_variable("data_path")))
    return boto3.session.Session(botocore_session=session, region_name=os.environ.get("AWS_REGION") or None)


@cache
def _descriptions(path: str | None) -> Loader:
    """What botocore knows of AWS's services; reading it again for each client is most of what making one takes."""
    from botocore.loaders import create_loader

    return create_loader(path)


def make_aws_client(
    kind: str,
    *,
    read_timeout_seconds: float = 10,
    max_concurrent_calls: int = 8,
    addressing_style: Literal["auto", "path", "virtual"] = "auto",
) -> AwsClient:
    """A client of an AWS service ("s3", "dynamodb", …), at most three tries a call, with growing pauses.

    Region, endpoint and credentials come from where boto3 looks for them (AWS_ENDPOINT_URL_S3 among others) at this
    moment. Importing boto3 is the larger part of a cold start, so it happens here. `addressing_style` is S3's.

    Raises: botocore.exceptions.BotoCoreError: no region is set, for one.
    """
    client = make_boto_client(
        kind,
        read_timeout_seconds=read_timeout_seconds,
        max_concurrent_calls=max_concurrent_calls,
        addressing_style=addressing_style,
    )
    return AwsClient(client, max_concurrent_calls=max_concurrent_calls)


def make_boto_client(
    kind: str,
    *,
    read_timeout_seconds: float,
    max_concurrent_calls: int,
    max_attempts: int = _MAX_ATTEMPTS,
    addressing_style: Literal["auto", "path", "virtual"] = "auto",
) -> Any:
    """The same without threads of its own, for code that runs before there is an event loop."""
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        read_timeout=read_timeout_seconds,
        max_pool_connections=max_concurrent_calls + 1,  # and a probe
        tcp_keepalive=True,
        retries={"total_max_attempts": max_attempts, "mode": "standard"},
        s3={"addressing_style": addressing_style},
        signature_version="s3v4" if kind == "s3" else None,
        user_agent_extra="diglot",
    )
    make_client: Callable[..., BaseClient] = aws_session().client
    return make_client(kind, config=config)
