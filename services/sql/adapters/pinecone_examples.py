"""Approved examples in Pinecone: one namespace for each tenant and database, one record for each question."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pinecone.errors import PineconeError

from services.sql.errors import ExamplesUnavailable
from services.sql.models import Example
from services.sql.ports import QuestionEmbedder

if TYPE_CHECKING:
    from pinecone import AsyncIndex, AsyncPinecone

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_MAX_EXAMPLE_BYTES = 32_000  # a record's metadata may have 40 KB
_LEAST_SIMILARITY = 0.3  # below, a question has nothing to do with the other


class PineconeExamples:
    """ExampleStore over one index, looked up when first needed. An example too large for a record is not kept."""

    kind = "pinecone"

    def __init__(
        self,
        client: AsyncPinecone,
        embedder: QuestionEmbedder,
        *,
        index_name: str,
        database: str,
        wait_seconds: float = 5,
    ) -> None:
        """`database` tells apart what was approved for different databases; `wait_seconds` is for one request."""
        self._client = client
        self._embedder = embedder
        self._index_name = index_name
        self._database = database
        self._wait_seconds = wait_seconds
        self._index: AsyncIndex | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Release the connections."""
        if self._index is not None:
            await self._index.close()
        await self._client.close()

    async def add(self, tenant: str, example: Example) -> None:
        if len(example.question.encode()) + len(example.sql.encode()) > _MAX_EXAMPLE_BYTES:
            return
        values = [float(value) for value in await self._embedder.embed(example.question)]
        record_id = hashlib.sha256(example.question.encode()).hexdigest()
        metadata = {"question": example.question, "sql": example.sql}
        await self._ask(
            lambda index: index.upsert(
                vectors=[{"id": record_id, "values": values, "metadata": metadata}],
                namespace=self._namespace(tenant),
            )
        )

    async def similar(self, tenant: str, question: str, *, limit: int) -> list[Example]:
        values = [float(value) for value in await self._embedder.embed(question)]
        response = await self._ask(
            lambda index: index.query(
                vector=values, top_k=limit, include_metadata=True, namespace=self._namespace(tenant)
            )
        )
        near = [_read(match.metadata or {}) for match in response.matches if match.score >= _LEAST_SIMILARITY]
        return [example for example in near if example is not None][:limit]

    def _namespace(self, tenant: str) -> str:
        return hashlib.sha256(f"{self._database}\0{tenant}".encode()).hexdigest()

    async def _ask(self, call: Callable[[AsyncIndex], Awaitable[Answer]]) -> Answer:
        try:
            async with asyncio.timeout(self._wait_seconds):
                return await call(self._index or await self._look_up())
        except (PineconeError, TimeoutError) as error:
            # Which index, because a missing one is the operator's to make: 1536 dimensions, cosine.
            facts = {"index": self._index_name, "error_kind": type(error).__name__}
            logger.warning("examples.failed", extra=facts)
            raise ExamplesUnavailable("approved examples cannot be reached") from error

    async def _look_up(self) -> AsyncIndex:
        async with self._opening:  # of two clients one would never be closed
            if self._index is None:
                self._index = await self._client.index(name=self._index_name)
        return self._index


def _read(metadata: Mapping[str, Any]) -> Example | None:
    """The example in a record; None for a record that is not of our making."""
    question, sql = metadata.get("question"), metadata.get("sql")
    return Example(question, sql) if isinstance(question, str) and isinstance(sql, str) else None
