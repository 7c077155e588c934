"""What the service is taught, in DynamoDB, in the table of the queries.

    TRAINING#{tenant}#{database} / {id}       an item
    TRAINING#{tenant}#{database} / CENSUS     how many there are, how many are approved of each kind, and a revision

Each change writes the item on condition that it is as it was read, and the census, in one transaction, so that of two
processes one decides and the limit of a scope is never passed. Lists come from the index "newest" and may lag behind by
a moment; what they show is read again.

Costs, in write and read units for an item of N KB: add 2N + 2 and N/4 reads, approve the same, delete the same, and 1
or 2 for the index; census one read; a page, and all approved items, one read for the index and N/4 for each item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

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
from services.storage.dynamodb import DynamoTable
from services.storage.dynamodb_items import Item, Key, Value, Write, key_part, time_from, time_text, utc_now

_CENSUS = "CENSUS"
_PAGE_SIZE = 100


class DynamoTrainingStore:
    """TrainingStore in one table of DynamoDB."""

    def __init__(self, table: DynamoTable, *, now: Callable[[], datetime] = utc_now) -> None:
        self._table = table
        self._now = now

    async def add(self, scope: TrainingScope, item: TrainingItem, *, most: int) -> tuple[TrainingItem, bool] | None:
        """See the port."""

        async def attempt() -> tuple[TrainingItem, bool] | None:
            known = await self._table.get(_key(scope, item.id))
            if known is not None:
                return _read(known), False
            census = await self._table.get(_census_key(scope)) or {}
            if census.get("items", 0) >= most:
                return None
            now = self._now()
            approved = item.state is TrainingState.APPROVED
            stored = replace(item, create_time=now, decide_time=now if approved else None)
            put = Write(_key(scope, item.id), _written(scope, stored), condition="attribute_not_exists(#pk)")
            counted = _counted(scope, census, item.content.kind, items=1, approved=int(approved))
            await self._table.transact([put, counted])
            return stored, True

        return await self._table.until_it_holds(attempt)

    async def get_many(self, scope: TrainingScope, ids: Sequence[str]) -> list[TrainingItem]:
        """See the port."""
        keys = list(dict.fromkeys(_key(scope, item_id) for item_id in ids))
        return list(map(_read, await self._table.get_many(keys)))

    async def approve(self, scope: TrainingScope, item_id: str, *, by: str) -> TrainingItem | None:
        """See the port."""

        async def attempt() -> TrainingItem | None:
            known = await self._table.get(_key(scope, item_id))
            if known is None:
                return None
            item = _read(known)
            if item.state is TrainingState.APPROVED:
                return item
            approved = replace(item, state=TrainingState.APPROVED, decided_by=by, decide_time=self._now())
            put = Write(
                _key(scope, item_id),
                _written(scope, approved),
                condition="#state = :pending",
                values={"pending": TrainingState.PENDING},
            )
            census = await self._table.get(_census_key(scope)) or {}
            await self._table.transact([put, _counted(scope, census, item.content.kind, items=0, approved=1)])
            return approved

        return await self._table.until_it_holds(attempt)

    async def delete(self, scope: TrainingScope, item_id: str) -> bool:
        """See the port."""

        async def attempt() -> bool:
            known = await self._table.get(_key(scope, item_id))
            if known is None:
                return False
            item = _read(known)
            gone = Write(_key(scope, item_id), condition="#state = :state", values={"state": item.state})
            census = await self._table.get(_census_key(scope)) or {}
            approved = -int(item.state is TrainingState.APPROVED)
            await self._table.transact([gone, _counted(scope, census, item.content.kind, items=-1, approved=approved)])
            return True

        return await self._table.until_it_holds(attempt)

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
        condition, values = "#owner_key = :partition", {"partition": _partition(scope)}
        if after is not None:
            condition += " AND #newest < :after"
            values["after"] = _newest(after.create_time, after.id)
        entries = self._table.query(condition, values, index="newest", newest_first=True, page_size=limit + 1)
        found: list[TrainingItem] = []
        async with aclosing(self._table.read_again(entries, batch=min(limit + 1, _PAGE_SIZE))) as items:
            async for read in items:
                item = _read(read)
                if kind in (None, item.content.kind) and state in (None, item.state):
                    found.append(item)
                if len(found) > limit:
                    break
        shown = tuple(found[:limit])
        more = len(found) > limit
        return TrainingPage(shown, TrainingPosition(shown[-1].create_time, shown[-1].id) if more else None)

    async def approved(self, scope: TrainingScope) -> list[TrainingItem]:
        """See the port."""
        values = {"pk": _partition(scope)}
        items = [_read(item) async for item in self._table.query("#pk = :pk", values) if item["sk"] != _CENSUS]
        decided = [(item.decide_time, item) for item in items if item.decide_time is not None]
        return [item for _, item in sorted(decided, key=lambda pair: (pair[0], pair[1].id), reverse=True)]

    async def approved_ids(self, scope: TrainingScope) -> list[str]:
        """See the port."""
        rows = self._table.query("#pk = :pk", {"pk": _partition(scope)}, only=("state",))
        return [row["sk"] async for row in rows if row.get("state") == TrainingState.APPROVED]

    async def census(self, scope: TrainingScope) -> TrainingCensus:
        """See the port."""
        census = await self._table.get(_census_key(scope))
        if census is None:
            return TrainingCensus({}, "")
        return TrainingCensus({kind: census.get(_counter(kind), 0) for kind in TrainingKind}, census["revision"])


def _counted(scope: TrainingScope, census: Item, kind: TrainingKind, *, items: int, approved: int) -> Write:
    """The census after the change, on condition that it still is as it was read."""
    values: dict[str, Value] = {"revision": uuid4().hex, "items": items, "approved": approved}
    if census:
        condition = "#revision = :known"
        values["known"] = census["revision"]
    else:
        condition = "attribute_not_exists(#pk)"
    update = f"SET #revision = :revision ADD #items :items, #{_counter(kind)} :approved"
    return Write(_census_key(scope), update=update, condition=condition, values=values)


def _counter(kind: TrainingKind) -> str:
    return f"approved_{kind.value.lower()}"


def _written(scope: TrainingScope, item: TrainingItem) -> dict[str, Value]:
    written: dict[str, Value] = {
        "training_id": item.id,
        "kind": item.content.kind,
        "text": item.content.text,
        "sql": item.content.sql,
        "state": item.state,
        "source": item.source,
        "query_id": item.query_id,
        "author": item.author,
        "decided_by": item.decided_by,
        "explanation": item.explanation,
        "create_time": time_text(item.create_time),
        "owner_key": _partition(scope),
        "newest": _newest(item.create_time, item.id),
    }
    if item.decide_time is not None:
        written["decide_time"] = time_text(item.decide_time)
    return written


def _read(item: Item) -> TrainingItem:
    decided: Any = item.get("decide_time")
    return TrainingItem(
        id=item["training_id"],
        content=TrainingContent(TrainingKind(item["kind"]), item["text"], item["sql"]),
        state=TrainingState(item["state"]),
        source=TrainingSource(item["source"]),
        author=item["author"],
        create_time=time_from(item["create_time"]),
        query_id=item["query_id"],
        decided_by=item["decided_by"],
        decide_time=time_from(decided) if decided else None,
        explanation=item.get("explanation", ""),  # older items lack it
    )


def _partition(scope: TrainingScope) -> str:
    return f"TRAINING#{key_part(scope.tenant)}#{key_part(scope.database)}"


def _key(scope: TrainingScope, item_id: str) -> Key:
    return Key(_partition(scope), item_id)


def _census_key(scope: TrainingScope) -> Key:
    return Key(_partition(scope), _CENSUS)


def _newest(create_time: datetime, item_id: str) -> str:
    return f"{time_text(create_time)}#{item_id}"
