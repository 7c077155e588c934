"""Lists of the audit log in PostgreSQL."""

from __future__ import annotations

from dataclasses import asdict

from psycopg import AsyncCursor
from psycopg.rows import DictRow

from services.sql.audit import AuditEntry, AuditPage, AuditPosition, AuditScope, audit_page
from services.sql.models import Owner, QueryState

_COLUMNS = (
    "query_id, tenant, owner, sequence, subject, from_state, to_state, at_time, sql_hash, previous_sql_hash, sql, note,"
    " refused_sql"
)


async def read_audit(
    cursor: AsyncCursor[DictRow], scope: AuditScope, *, after: AuditPosition | None, limit: int
) -> AuditPage:
    """Steps newest first, from behind `after`."""
    conditions, order = ["tenant = %(tenant)s"], "at_time DESC, query_id DESC, sequence DESC"
    behind = "(at_time, query_id, sequence) < (%(after_time)s, %(after_id)s, %(after_number)s)"
    if scope.owner is not None:
        conditions.append("owner = %(owner)s")
    if scope.query_id is not None:
        # The steps of one query are in the order they were made, whatever the clock did in between.
        conditions.append("query_id = %(query_id)s")
        order, behind = "sequence DESC", "sequence < %(after_number)s"
    if scope.start_time is not None:
        conditions.append("at_time >= %(start_time)s")
    if scope.end_time is not None:
        conditions.append("at_time < %(end_time)s")
    values: dict[str, object] = {**asdict(scope), "limit": limit + 1}
    if after is not None:
        conditions.append(behind)
        values |= {"after_time": after.at_time, "after_id": after.query_id, "after_number": after.number}
    # Built from the constants above alone.
    statement = f"SELECT {_COLUMNS} FROM query_audit WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT %(limit)s"  # noqa: S608
    rows = await (await cursor.execute(statement.encode(), values)).fetchall()
    return audit_page(tuple(map(_entry, rows)), limit)


def _entry(row: DictRow) -> AuditEntry:
    return AuditEntry(
        query_id=row["query_id"],
        owner=Owner(row["tenant"], row["owner"]),
        number=row["sequence"],
        subject=row["subject"],
        from_state=QueryState(row["from_state"]) if row["from_state"] else None,
        to_state=QueryState(row["to_state"]),
        at_time=row["at_time"],
        sql_hash=row["sql_hash"],
        previous_sql_hash=row["previous_sql_hash"],
        sql=row["sql"],
        note=row["note"],
        refused_sql=row["refused_sql"],
    )
