"""Queries as items of DynamoDB, and the writes by which one comes about and moves on. Calls nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from services.sql.audit import AuditEntry
from services.sql.models import Owner, QueryState, SqlQuery
from services.storage.dynamodb_items import Item, Key, Value, Write, epoch_seconds, key_part, time_from, time_text

UNDECIDED = (QueryState.PENDING, QueryState.APPROVED)
_COUNT_SHARDS = 4  # so that queries that move at the same time seldom wait for each other
_FIELDS = ("question", "sql", "sql_hash", "explanation", "confidence", "state_reason", "row_count")
_TIMES = ("create_time", "expire_time", "decide_time", "execute_time")


@dataclass(frozen=True)
class Record:
    """A query as it is kept: with the number of its audit rows, a `revision` that each write renews, and when it is
    forgotten, in seconds since 1970; that is settled when it is made, whatever the settings become."""

    query: SqlQuery
    audit_count: int
    revision: str
    expires_at: int


@dataclass(frozen=True)
class Step:
    """A transition for the audit log. `subject` is empty where policy or time made it.

    `replaced_hash` is that of the text it put another one in the place of, `refused_sql` one that it did not take.
    """

    subject: str
    before: str
    after: SqlQuery
    note: str
    replaced_hash: str = ""
    refused_sql: str = ""


@dataclass(frozen=True)
class QueryItems:
    """Makes items of queries: how long a run may last, and how long a query is kept after its `expire_time`."""

    run_lease: timedelta
    keeps_ended: timedelta

    def overdue(self, query: SqlQuery, now: datetime) -> SqlQuery | None:
        """What time has made of the query; None when it is in time."""
        if query.state in UNDECIDED and query.expire_time <= now:
            return replace(query, state=QueryState.EXPIRED, state_reason="EXPIRED")
        if query.state is QueryState.EXECUTING and _begun(query) + self.run_lease <= now:
            return replace(query, state=QueryState.FAILED, state_reason="OUTCOME_UNKNOWN")
        return None

    def first_writes(self, query: SqlQuery, steps: Sequence[Step], now: datetime) -> list[Write]:
        """The query, one audit row for each step, and the counts."""
        key, expires_at = query_key(query.owner.tenant, query.id), self.forgotten_at(query)
        return [
            Write(key, self._item(query, len(steps), expires_at), condition="attribute_not_exists(#pk)"),
            *(_audit(step, number, now, expires_at) for number, step in enumerate(steps, start=1)),
            _counted(query, {query.state: 1}, expires_at),
        ]

    def next_writes(self, record: Record, step: Step, now: datetime) -> list[Write]:
        """The query after the step, on condition that it still is as it was read; its audit row; the counts."""
        moved, number = step.after, record.audit_count + 1
        writes = [
            Write(
                query_key(moved.owner.tenant, moved.id),
                self._item(moved, number, record.expires_at),
                condition="#revision = :revision",
                values={"revision": record.revision},
            ),
            _audit(step, number, now, record.expires_at),
        ]
        if record.query.state is not moved.state:
            writes.append(_counted(moved, {record.query.state: -1, moved.state: 1}, record.expires_at))
        return writes

    def _item(self, query: SqlQuery, audit_count: int, expires_at: int) -> dict[str, Value]:
        item: dict[str, Value] = {
            "query_id": query.id,
            "tenant": query.owner.tenant,
            "owner_subject": query.owner.subject,
            **{name: getattr(query, name) for name in _FIELDS},
            "tables": list(query.tables),
            "refused_edits": query.refused_edits,
            "query_state": query.state,
            # As text: a planner's number may be larger than DynamoDB's numbers go.
            **({} if query.plan_cost is None else {"plan_cost": repr(query.plan_cost)}),
            **{name: time_text(time) for name in _TIMES if (time := getattr(query, name)) is not None},
            "audit_count": audit_count,
            "revision": uuid4().hex,
            "expires_at": expires_at,
            "owner_key": owner_key(query.owner),
            "owner_state": owner_state(query.owner, query.state),
            "newest": newest(query.create_time, query.id),
        }
        settle_time = query.expire_time if query.state in UNDECIDED else None
        if query.state is QueryState.EXECUTING:
            settle_time = _begun(query) + self.run_lease
        if settle_time is not None:
            item["unsettled_tenant"] = key_part(query.owner.tenant)
            item["settle_at"] = time_text(settle_time)
        return item

    def forgotten_at(self, query: SqlQuery) -> int:
        """The end of the last day the query is kept, when the day's counters go too: what is counted is there."""
        last_day = (query.expire_time + self.keeps_ended).replace(hour=0, minute=0, second=0, microsecond=0)
        return epoch_seconds(last_day + timedelta(days=1))


def _audit(step: Step, number: int, now: datetime, expires_at: int) -> Write:
    query = step.after
    row: dict[str, Value] = {
        "query_id": query.id,
        "tenant": query.owner.tenant,
        "owner_subject": query.owner.subject,
        "subject": step.subject,
        "from_state": step.before,
        "to_state": query.state,
        "sql_hash": query.sql_hash,
        "note": step.note,
        "at_time": time_text(now),
        "expires_at": expires_at,
        "owner_key": audit_of_owner(query.owner),
        "owner_state": audit_of_tenant(query.owner.tenant),
        "newest": newest_step(now, query.id, number),
    }
    if step.replaced_hash:
        row["previous_sql_hash"] = step.replaced_hash
    if step.replaced_hash or not step.before:
        row["sql"] = query.sql
    if step.refused_sql:
        row["refused_sql"] = step.refused_sql
    # A row of the log is never written over.
    key = Key(query_key(query.owner.tenant, query.id).partition, audit_sort(number))
    return Write(key, row, condition="attribute_not_exists(#pk)")


def _counted(query: SqlQuery, changes: Mapping[QueryState, int], expires_at: int) -> Write:
    return Write(
        Key(f"COUNT#{key_part(query.owner.tenant)}", f"{expires_at}#{ord(query.id[-1]) % _COUNT_SHARDS}"),
        update="SET #expires_at = :expires_at ADD " + ", ".join(f"#{state} :{state}" for state in changes),
        values={"expires_at": expires_at, **{str(state): by for state, by in changes.items()}},
    )


def _begun(query: SqlQuery) -> datetime:
    return query.execute_time or query.create_time


def query_key(tenant: str, query_id: str) -> Key:
    return Key(f"QUERY#{key_part(tenant)}#{query_id}", "QUERY")


def request_key(owner: Owner, request_id: str) -> Key:
    return Key(f"REQUEST#{owner_key(owner)}#{request_id}", "REQUEST")


def owner_key(owner: Owner) -> str:
    return f"{key_part(owner.tenant)}#{key_part(owner.subject)}"


def owner_state(owner: Owner, state: QueryState) -> str:
    return f"{owner_key(owner)}#{state}"


def newest(create_time: datetime, query_id: str) -> str:
    return f"{time_text(create_time)}#{query_id}"


# Steps stand in the indexes of queries under partitions that no tenant's name gives: `key_part` leaves no @.
def audit_of_owner(owner: Owner) -> str:
    return f"@AUDIT#{owner_key(owner)}"


def audit_of_tenant(tenant: str) -> str:
    return f"@AUDIT#{key_part(tenant)}"


def newest_step(at_time: datetime, query_id: str, number: int) -> str:
    return f"{newest(at_time, query_id)}#{number:06}"


def audit_sort(number: int) -> str:
    return f"AUDIT#{number:06}"


def read_entry(item: Item, owner: Owner) -> AuditEntry:
    """A step of a query of this owner."""
    return AuditEntry(
        query_id=item["query_id"],
        owner=owner,
        number=int(item["sk"].removeprefix("AUDIT#")),
        subject=item["subject"],
        from_state=QueryState(item["from_state"]) if item["from_state"] else None,
        to_state=QueryState(item["to_state"]),
        at_time=time_from(item["at_time"]),
        sql_hash=item["sql_hash"],
        # Rows that are older than these attributes lack them.
        previous_sql_hash=item.get("previous_sql_hash", ""),
        sql=item.get("sql", ""),
        note=item["note"],
        refused_sql=item.get("refused_sql", ""),
    )


def read_record(item: Item) -> Record:
    facts: dict[str, Any] = {name: item[name] for name in _FIELDS}
    times: dict[str, Any] = {name: time_from(item[name]) for name in _TIMES if name in item}
    query = SqlQuery(
        id=item["query_id"],
        owner=Owner(item["tenant"], item["owner_subject"]),
        state=QueryState(item["query_state"]),
        tables=tuple(item["tables"]),
        plan_cost=float(item["plan_cost"]) if "plan_cost" in item else None,
        refused_edits=int(item.get("refused_edits", 0)),
        **{**facts, "confidence": float(item["confidence"])},
        **times,
    )
    return Record(query, item["audit_count"], item["revision"], item["expires_at"])
