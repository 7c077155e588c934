"""Asking Pinecone, and what its refusals mean for a caller of rag."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from pinecone.errors import (
    ForbiddenError,
    NotFoundError,
    PaymentRequiredError,
    PineconeConnectionError,
    PineconeTimeoutError,
    RateLimitError,
    ResponseParsingError,
    ServiceError,
    UnauthorizedError,
)

from services.rag.errors import ChunkStoreUnavailable

Answer = TypeVar("Answer")

_TURNED_DOWN = (UnauthorizedError, ForbiddenError, PaymentRequiredError)
_AWAY = (
    PineconeConnectionError,
    PineconeTimeoutError,
    ServiceError,
    ResponseParsingError,
    NotFoundError,  # the index itself: what an index may lack is asked for in another way
    TimeoutError,
)


async def ask(call: Callable[[], Awaitable[Answer]], *, wait_seconds: float) -> Answer:
    """One request, with the retries that the SDK makes of its own within the time.

    Raises ChunkStoreUnavailable. That Pinecone finds a request wrong is an error of ours and stays one.
    """
    try:
        async with asyncio.timeout(wait_seconds):
            return await call()
    except RateLimitError as error:
        raise ChunkStoreUnavailable(
            "The index of chunks takes no more calls just now.", retry_after_seconds=error.retry_after
        ) from error
    except _TURNED_DOWN as error:
        raise ChunkStoreUnavailable("The index of chunks turns this service down: its key or its quota.") from error
    except _AWAY as error:
        raise ChunkStoreUnavailable("The index of chunks cannot be reached.") from error


async def together(*calls: Coroutine[Any, Any, Any]) -> list[Any]:
    """The answers of calls made at the same time. The first that fails ends the others and is raised itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]
