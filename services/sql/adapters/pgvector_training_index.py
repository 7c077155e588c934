"""Vectors of training in PostgreSQL, compared by pgvector. A scope has a thousand or so: the comparison is exact."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncCursor
from psycopg.rows import TupleRow

from services.sql.adapters.postgres_queries import StorePool
from services.sql.errors import KnowledgeUnavailable
from services.sql.training_models import (
    HeldVector,
    Nearness,
    TrainingKind,
    TrainingScope,
    TrainingVector,
    Vector,
)

_HAS_VECTOR = "SELECT to_regtype('vector') IS NOT NULL"
_PUT = """
INSERT INTO training_vectors (tenant, database, id, model, kind, embedding)
VALUES (%(tenant)s, %(database)s, %(id)s, %(model)s, %(kind)s, %(embedding)s)
ON CONFLICT (tenant, database, model, id) DO UPDATE SET kind = excluded.kind, embedding = excluded.embedding
"""
_REMOVE = """
DELETE FROM training_vectors
WHERE tenant = %(tenant)s AND database = %(database)s
AND (id, model) IN (SELECT * FROM unnest(%(ids)s::text[], %(models)s::text[]))
"""
_HELD = "SELECT id, model FROM training_vectors WHERE tenant = %(tenant)s AND database = %(database)s"
# Vectors have length 1, so the inner product is the cosine. The question's is read once: in a sub-select, because a
# plan that is kept for all questions would read it anew for each row.
_NEAREST = """
SELECT id, -(embedding::vector <#> (SELECT %(vector)s::text::vector)) AS similarity FROM training_vectors
WHERE tenant = %(tenant)s AND database = %(database)s AND model = %(model)s AND kind = ANY(%(kinds)s)
ORDER BY similarity DESC, id LIMIT %(limit)s
"""


async def compares_vectors(pool: StorePool) -> bool:
    """Whether the store has the extension. Raises as psycopg."""
    async with pool.connection() as connection:
        row = await (await connection.execute(_HAS_VECTOR)).fetchone()
    return bool(row and row[0])


class PgvectorTrainingIndex:
    """See `TrainingIndex`."""

    kind = "pgvector"

    def __init__(self, pool: StorePool) -> None:
        self._pool = pool

    async def put(self, scope: TrainingScope, vectors: Sequence[TrainingVector], *, model: str) -> None:
        """See the port."""
        rows = [
            {**_of(scope), "id": each.id, "model": model, "kind": each.kind, "embedding": _floats(each.vector)}
            for each in vectors
        ]
        async with self._cursor() as cursor:
            await cursor.executemany(_PUT, rows)

    async def remove(self, scope: TrainingScope, held: Sequence[HeldVector]) -> None:
        """See the port."""
        if not held:
            return
        values = {**_of(scope), "ids": [each.id for each in held], "models": [each.model for each in held]}
        async with self._cursor() as cursor:
            await cursor.execute(_REMOVE, values)

    async def held(self, scope: TrainingScope) -> list[HeldVector]:
        """See the port."""
        async with self._cursor() as cursor:
            await cursor.execute(_HELD, _of(scope))
            return [HeldVector(*row) for row in await cursor.fetchall()]

    async def nearest(
        self, scope: TrainingScope, vector: Vector, *, model: str, kinds: Sequence[TrainingKind], limit: int
    ) -> list[Nearness]:
        """See the port."""
        values = {**_of(scope), "vector": str(_floats(vector)), "model": model, "kinds": list(kinds), "limit": limit}
        async with self._cursor() as cursor:
            await cursor.execute(_NEAREST, values)
            return [Nearness(item_id, min(1.0, similarity)) for item_id, similarity in await cursor.fetchall()]

    @asynccontextmanager
    async def _cursor(self) -> AsyncIterator[AsyncCursor[TupleRow]]:
        try:
            async with self._pool.connection() as connection:
                await connection.set_autocommit(False)
                async with connection.cursor() as cursor:
                    yield cursor
        except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.DataError) as error:
            raise KnowledgeUnavailable("the vectors of training cannot be reached") from error


def _of(scope: TrainingScope) -> dict[str, Any]:
    return {"tenant": scope.tenant, "database": scope.database}


def _floats(vector: Vector) -> list[float]:
    return [float(value) for value in vector]
