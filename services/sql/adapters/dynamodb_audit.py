"""Lists of the audit log in DynamoDB: by query from the table, by owner and by tenant from the indexes of queries.

A list by index may lag behind by a moment. Its order is that of the clocks of the processes that made the steps. Steps
from before the log was listed are in no index: they stand in the lists of their queries alone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime

from services.sql.adapters.dynamodb_query_items import (
    audit_of_owner,
    audit_of_tenant,
    audit_sort,
    newest_step,
    query_key,
    read_entry,
)
from services.sql.audit import AuditEntry, AuditPosition, AuditScope
from services.sql.models import Owner, SqlQuery
from services.storage.dynamodb import DynamoTable
from services.storage.dynamodb_items import Value, time_text

_LAST_NUMBER = 999_999
_LAST_TIME = time_text(datetime.max.replace(tzinfo=UTC))


async def steps_of_query(
    table: DynamoTable, query: SqlQuery, scope: AuditScope, after: AuditPosition | None, limit: int
) -> AsyncGenerator[AuditEntry]:
    """Steps of one query that lie within the scope's times, last first."""
    values: dict[str, Value] = {
        "pk": query_key(query.owner.tenant, query.id).partition,
        "first": audit_sort(1),
        "last": audit_sort(_LAST_NUMBER if after is None else after.number - 1),
    }
    if after is not None and after.number <= 1:
        return
    condition = "#pk = :pk AND #sk BETWEEN :first AND :last"
    rows = table.query(condition, values, newest_first=True, page_size=limit + 1)
    async with aclosing(rows):
        async for row in rows:
            entry = read_entry(row, query.owner)
            in_time = scope.start_time is None or entry.at_time >= scope.start_time
            if in_time and (scope.end_time is None or entry.at_time < scope.end_time):
                yield entry


async def steps_of_many(
    table: DynamoTable, scope: AuditScope, after: AuditPosition | None, limit: int
) -> AsyncGenerator[AuditEntry]:
    """Steps of a tenant's queries, or of an owner's, newest first."""
    # A step's place begins with its time and goes on: it lies behind its own time, and before the time that follows.
    first = time_text(scope.start_time) if scope.start_time is not None else "0"
    last = time_text(scope.end_time) if scope.end_time is not None else _LAST_TIME
    if after is not None:
        last = min(last, newest_step(after.at_time, after.query_id, after.number - 1))
    if last < first:
        return
    values: dict[str, Value] = {"first": first, "last": last}
    if scope.owner is None:
        index, condition = "newest-by-state", "#owner_state = :partition AND #newest BETWEEN :first AND :last"
        values["partition"] = audit_of_tenant(scope.tenant)
    else:
        index, condition = "newest", "#owner_key = :partition AND #newest BETWEEN :first AND :last"
        values["partition"] = audit_of_owner(Owner(scope.tenant, scope.owner))
    rows = table.query(condition, values, index=index, newest_first=True, page_size=limit + 1)
    async with aclosing(table.read_again(rows, batch=limit + 1)) as items:
        async for item in items:
            yield read_entry(item, Owner(scope.tenant, item["owner_subject"]))
