"""Vectors of training in Pinecone: one namespace for each tenant and database, one record for each item and model.

A record's id names the model besides the item, so that a list of ids tells which vectors another model has made.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, unquote

from pinecone.errors import NotFoundError, PineconeError

from services.sql.errors import KnowledgeUnavailable
from services.sql.training_models import (
    HeldVector,
    Nearness,
    TrainingKind,
    TrainingScope,
    TrainingVector,
    Vector,
)

if TYPE_CHECKING:
    from pinecone import AsyncIndex, AsyncPinecone

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_IDS_A_CALL = 1_000
_LOOK_UP_SECONDS = 10.0
_SEPARATOR = "#"


class PineconeTrainingIndex:
    """TrainingIndex over one index of Pinecone, looked up when first needed."""

    kind = "pinecone"

    def __init__(self, client: AsyncPinecone, *, index_name: str, wait_seconds: float = 5) -> None:
        """`wait_seconds` is for one request."""
        self._client = client
        self._index_name = index_name
        self._wait_seconds = wait_seconds
        self._index: AsyncIndex | None = None
        self._looking_up: asyncio.Task[AsyncIndex] | None = None

    async def close(self) -> None:
        """Release the connections."""
        if self._looking_up is not None:
            self._looking_up.cancel()
            await asyncio.gather(self._looking_up, return_exceptions=True)
        if self._index is not None:
            await self._index.close()
        await self._client.close()

    async def put(self, scope: TrainingScope, vectors: Sequence[TrainingVector], *, model: str) -> None:
        """See the port."""
        records = [
            {
                "id": _record_id(each.id, model),
                "values": [float(value) for value in each.vector],
                "metadata": {"item": each.id, "kind": each.kind.value, "model": model},
            }
            for each in vectors
        ]
        await self._ask(lambda index: index.upsert(vectors=records, namespace=_namespace(scope)))

    async def remove(self, scope: TrainingScope, held: Sequence[HeldVector]) -> None:
        """See the port."""
        ids = [_record_id(each.id, each.model) for each in held]
        for start in range(0, len(ids), _IDS_A_CALL):
            await self._ask(partial(_delete, ids=ids[start : start + _IDS_A_CALL], namespace=_namespace(scope)))

    async def held(self, scope: TrainingScope) -> list[HeldVector]:
        """See the port."""
        found: list[HeldVector] = []
        token: str | None = None
        while True:
            page = await self._ask(partial(_list, namespace=_namespace(scope), token=token))
            found += [_read_id(record.id) for record in page.vectors if record.id]
            token = page.pagination.next if page.pagination else None
            if not token:
                return found

    async def nearest(
        self, scope: TrainingScope, vector: Vector, *, model: str, kinds: Sequence[TrainingKind], limit: int
    ) -> list[Nearness]:
        """See the port."""
        wanted = {"kind": {"$in": [kind.value for kind in kinds]}, "model": {"$eq": model}}
        response = await self._ask(
            lambda index: index.query(
                vector=[float(value) for value in vector],
                top_k=limit,
                filter=wanted,
                include_metadata=False,
                namespace=_namespace(scope),
            )
        )
        return [Nearness(_read_id(match.id).id, min(1.0, match.score)) for match in response.matches]

    async def _ask(self, call: Callable[[AsyncIndex], Awaitable[Answer]]) -> Answer:
        try:
            async with asyncio.timeout(self._wait_seconds):
                return await call(self._index or await self._looked_up())
        except (PineconeError, TimeoutError) as error:
            # Which index, because a missing one is the operator's to make: rag's dimensions, cosine.
            facts = {"index": self._index_name, "error_kind": type(error).__name__}
            logger.warning("training.index_failed", extra=facts)
            raise KnowledgeUnavailable("the vectors of training cannot be reached") from error

    async def _looked_up(self) -> AsyncIndex:
        """The index; looked up once, whoever waits and however long: the first time takes longer than a request."""
        if self._looking_up is None or (self._looking_up.done() and self._index is None):
            self._looking_up = asyncio.create_task(self._look_up())
            # Looked at also where nobody waits any more, so that nobody complains that it was not.
            self._looking_up.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._looking_up)

    async def _look_up(self) -> AsyncIndex:
        async with asyncio.timeout(_LOOK_UP_SECONDS):
            self._index = await self._client.index(name=self._index_name)
        return self._index


async def _delete(index: AsyncIndex, *, ids: list[str], namespace: str) -> None:
    try:
        await index.delete(ids=ids, namespace=namespace)
    except NotFoundError:
        return  # nothing was ever written there


async def _list(index: AsyncIndex, *, namespace: str, token: str | None):  # type: ignore[no-untyped-def]
    return await index.list_paginated(namespace=namespace, pagination_token=token)


def _namespace(scope: TrainingScope) -> str:
    return hashlib.sha256(f"{scope.database}\0{scope.tenant}".encode()).hexdigest()


def _record_id(item_id: str, model: str) -> str:
    """Empty models are of records that are not of our making; their ids are what was read."""
    return f"{quote(model, safe='')}{_SEPARATOR}{item_id}" if model else item_id


def _read_id(record_id: str) -> HeldVector:
    model, _, item_id = record_id.rpartition(_SEPARATOR)
    return HeldVector(item_id, unquote(model))
