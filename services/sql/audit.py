"""What the audit log tells: every step of every query, by whom it was made, and with which text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.sql.models import Owner, QueryState

MAX_REFUSED_EDITS = 10  # told of one query, so that nobody fills the log with what never was a query


@dataclass(frozen=True)
class AuditEntry:
    """One step of one query.

    `number` grows from step to step of a query. `subject` is empty where nobody decided: policy or time did.
    `from_state` is None where the query came about. `sql` is the text where this step brought it, and empty where it is
    still that of the step before; `previous_sql_hash` is the hash of the text that an edit replaced. `refused_sql` is
    the text of an edit that was refused: the step leads nowhere, and the query keeps its own.
    """

    query_id: str
    owner: Owner
    number: int
    subject: str
    from_state: QueryState | None
    to_state: QueryState
    at_time: datetime
    sql_hash: str
    previous_sql_hash: str = ""
    sql: str = ""
    note: str = ""
    refused_sql: str = ""


@dataclass(frozen=True)
class AuditScope:
    """Which entries are asked for: those of a tenant, narrowed by whatever is not None.

    `owner` is the subject whose queries they are of. `start_time` is included, `end_time` is not.
    """

    tenant: str
    owner: str | None
    query_id: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None


@dataclass(frozen=True)
class AuditPosition:
    """The place of one entry in the order newest first: by time, query and number, all descending."""

    at_time: datetime
    query_id: str
    number: int


@dataclass(frozen=True)
class AuditPage:
    """Entries newest first, and where the next page begins; None when this is the last."""

    entries: tuple[AuditEntry, ...]
    next_after: AuditPosition | None


def audit_page(entries: tuple[AuditEntry, ...], limit: int) -> AuditPage:
    """A page of at most `limit`, from that many entries and one more where there is one."""
    if len(entries) <= limit:
        return AuditPage(entries, None)
    last = entries[limit - 1]
    return AuditPage(entries[:limit], AuditPosition(last.at_time, last.query_id, last.number))
