"""What the service is taught, in PostgreSQL. A scope's row in the census is locked by whoever changes its items."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncCursor
from psycopg.rows import DictRow, dict_row

from services.sql.adapters.postgres_queries import StorePool
from services.sql.errors import QueryStoreUnavailable
from services.sql.training_models import (
    TrainingCensus,
    TrainingContent,
    TrainingItem,
    TrainingKind,
    TrainingPage,
    TrainingPosition,
    TrainingScope,
    TrainingSource,
    TrainingState,
)

_SCOPE = "tenant = %(tenant)s AND database = %(database)s"
_COLUMNS = "id, kind, content, sql, state, source, query_id, author, decided_by, explanation, create_time, decide_time"
_LOCK = """
INSERT INTO training_census (tenant, database) VALUES (%(tenant)s, %(database)s)
ON CONFLICT (tenant, database) DO UPDATE SET items = training_census.items
RETURNING items
"""
_GET_MANY = f"SELECT {_COLUMNS} FROM training WHERE {_SCOPE} AND id = ANY(%(ids)s)"  # noqa: S608
_ADD = f"""
INSERT INTO training (tenant, database, {_COLUMNS})
SELECT %(tenant)s, %(database)s, %(id)s, %(kind)s, %(content)s, %(sql)s, %(state)s, %(source)s, %(query_id)s,
       %(author)s, %(decided_by)s, %(explanation)s, now, CASE WHEN %(state)s = 'APPROVED' THEN now END
FROM clock_timestamp() AS now
RETURNING {_COLUMNS}
"""  # noqa: S608
_APPROVE = f"""
UPDATE training SET state = 'APPROVED', decided_by = %(by)s, decide_time = clock_timestamp()
WHERE {_SCOPE} AND id = %(id)s AND state = 'PENDING' RETURNING {_COLUMNS}
"""  # noqa: S608
_DELETE = f"DELETE FROM training WHERE {_SCOPE} AND id = %(id)s RETURNING kind, state"  # noqa: S608
_COUNT = f"""
UPDATE training_census SET items = items + %(items)s,
    ddl = ddl + %(approved)s * (%(kind)s = 'DDL')::integer,
    documentation = documentation + %(approved)s * (%(kind)s = 'DOCUMENTATION')::integer,
    example = example + %(approved)s * (%(kind)s = 'EXAMPLE')::integer,
    revision = revision + abs(%(approved)s)
WHERE {_SCOPE}
"""  # noqa: S608
_PAGE = f"""
SELECT {_COLUMNS} FROM training
WHERE {_SCOPE} AND (%(kind)s::text IS NULL OR kind = %(kind)s) AND (%(state)s::text IS NULL OR state = %(state)s)
AND (%(after_time)s::timestamptz IS NULL OR (create_time, id) < (%(after_time)s, %(after_id)s))
ORDER BY create_time DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608
_APPROVED = f"""
SELECT {_COLUMNS} FROM training WHERE {_SCOPE} AND state = 'APPROVED' ORDER BY decide_time DESC, id
"""  # noqa: S608
_APPROVED_IDS = f"SELECT id FROM training WHERE {_SCOPE} AND state = 'APPROVED'"  # noqa: S608
_CENSUS = f"SELECT ddl, documentation, example, revision FROM training_census WHERE {_SCOPE}"  # noqa: S608


class PostgresTrainingStore:
    """See `TrainingStore`."""

    def __init__(self, pool: StorePool) -> None:
        self._pool = pool

    async def add(self, scope: TrainingScope, item: TrainingItem, *, most: int) -> tuple[TrainingItem, bool] | None:
        """See the port."""
        values = {
            **_of(scope),
            "id": item.id,
            "kind": item.content.kind,
            "content": item.content.text,
            "sql": item.content.sql,
            "state": item.state,
            "source": item.source,
            "query_id": item.query_id,
            "author": item.author,
            "decided_by": item.decided_by,
            "explanation": item.explanation,
        }
        async with self._cursor() as cursor:
            held = await (await cursor.execute(_LOCK, values)).fetchone()
            known = await (await cursor.execute(_GET_MANY, {**values, "ids": [item.id]})).fetchone()
            if known is not None:
                return _item(known), False
            if held is None or held["items"] >= most:
                return None
            stored = await (await cursor.execute(_ADD, values)).fetchone()
            approved = int(item.state is TrainingState.APPROVED)
            await cursor.execute(_COUNT, {**values, "items": 1, "approved": approved})
            return (_item(stored), True) if stored is not None else None

    async def get_many(self, scope: TrainingScope, ids: Sequence[str]) -> list[TrainingItem]:
        """See the port."""
        async with self._cursor() as cursor:
            rows = await (await cursor.execute(_GET_MANY, {**_of(scope), "ids": list(ids)})).fetchall()
        found = {row["id"]: _item(row) for row in rows}
        return [found[item_id] for item_id in ids if item_id in found]

    async def approve(self, scope: TrainingScope, item_id: str, *, by: str) -> TrainingItem | None:
        """See the port."""
        values = {**_of(scope), "id": item_id, "by": by}
        async with self._cursor() as cursor:
            await cursor.execute(_LOCK, values)
            row = await (await cursor.execute(_APPROVE, values)).fetchone()
            if row is not None:
                await cursor.execute(_COUNT, {**values, "kind": row["kind"], "items": 0, "approved": 1})
            else:
                row = await (await cursor.execute(_GET_MANY, {**values, "ids": [item_id]})).fetchone()
        return _item(row) if row is not None else None

    async def delete(self, scope: TrainingScope, item_id: str) -> bool:
        """See the port."""
        values = {**_of(scope), "id": item_id}
        async with self._cursor() as cursor:
            await cursor.execute(_LOCK, values)
            row = await (await cursor.execute(_DELETE, values)).fetchone()
            if row is not None:
                approved = -int(row["state"] == TrainingState.APPROVED)
                await cursor.execute(_COUNT, {**values, "kind": row["kind"], "items": -1, "approved": approved})
        return row is not None

    async def page(
        self,
        scope: TrainingScope,
        *,
        kind: TrainingKind | None,
        state: TrainingState | None,
        after: TrainingPosition | None,
        limit: int,
    ) -> TrainingPage:
        """See the port."""
        values = {
            **_of(scope),
            "kind": kind,
            "state": state,
            "after_time": after.create_time if after else None,
            "after_id": after.id if after else None,
            "limit": limit + 1,
        }
        async with self._cursor() as cursor:
            rows = await (await cursor.execute(_PAGE, values)).fetchall()
        items = tuple(map(_item, rows[:limit]))
        more = len(rows) > limit
        return TrainingPage(items, TrainingPosition(items[-1].create_time, items[-1].id) if more else None)

    async def approved(self, scope: TrainingScope) -> list[TrainingItem]:
        """See the port."""
        async with self._cursor() as cursor:
            return list(map(_item, await (await cursor.execute(_APPROVED, _of(scope))).fetchall()))

    async def approved_ids(self, scope: TrainingScope) -> list[str]:
        """See the port."""
        async with self._cursor() as cursor:
            return [row["id"] for row in await (await cursor.execute(_APPROVED_IDS, _of(scope))).fetchall()]

    async def census(self, scope: TrainingScope) -> TrainingCensus:
        """See the port."""
        async with self._cursor() as cursor:
            row = await (await cursor.execute(_CENSUS, _of(scope))).fetchone()
        if row is None:
            return TrainingCensus({}, "")
        return TrainingCensus({kind: row[kind.value.lower()] for kind in TrainingKind}, str(row["revision"]))

    @asynccontextmanager
    async def _cursor(self) -> AsyncIterator[AsyncCursor[DictRow]]:
        """A cursor in a transaction of its own."""
        try:
            async with self._pool.connection() as connection:
                await connection.set_autocommit(False)
                async with connection.cursor(row_factory=dict_row) as cursor:
                    yield cursor
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise QueryStoreUnavailable from error


def _of(scope: TrainingScope) -> dict[str, Any]:
    return {"tenant": scope.tenant, "database": scope.database}


def _item(row: DictRow) -> TrainingItem:
    return TrainingItem(
        id=row["id"],
        content=TrainingContent(TrainingKind(row["kind"]), row["content"], row["sql"]),
        state=TrainingState(row["state"]),
        source=TrainingSource(row["source"]),
        author=row["author"],
        create_time=row["create_time"],
        query_id=row["query_id"],
        decided_by=row["decided_by"],
        decide_time=row["decide_time"],
        explanation=row["explanation"],
    )
