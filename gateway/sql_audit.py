"""GET /sql/audit: who did what with which SQL, and when."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import AwareDatetime, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from gateway.answer_building import bare_id
from gateway.answers import Answer
from gateway.callees import Service, reply_of
from gateway.context import Asked
from gateway.json_route import JsonRoute
from gateway.paging import PageSize, PageToken
from gateway.problems import problem_docs
from gateway.sql_queries import QueryState, query_name
from gateway.values import iso_time
from protos.sql.v1 import sql_query_pb2, sql_service_pb2

router = APIRouter(route_class=JsonRoute, prefix="/sql", tags=["sql"])

_STATE = sql_query_pb2.SqlQuery.State
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _time_in_utc(value: object) -> object:
    """A time as ISO 8601 writes it; a looser reading would take `0` for one."""
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise PydanticCustomError("time_invalid", "Input should be a time with its zone, such as 2026-11-21T12:00:00Z")


Time = Annotated[AwareDatetime, BeforeValidator(_time_in_utc)]


class AuditEntry(Answer):
    """One step of one query."""

    query_id: str
    owner: str = Field(description="Whose query it is.")
    subject: str = Field(description="Who made the step; empty where no person decided: policy or time did.")
    from_state: QueryState = Field(default="PENDING", description="Left out where the query came about.")
    to_state: QueryState = Field(description="Where the query stood afterwards; an edit leaves it PENDING.")
    at: str
    sql_hash: str = Field(description="SHA-256 of the query's text after the step.")
    previous_sql_hash: str = Field(default="", description="That of the text an edit replaced; else left out.")
    sql: str = Field(
        default="", description="The text, where this step brought it; else that of an earlier step of the same hash."
    )
    note: str = Field(
        default="", description="The reason of a rejection, failure or refused edit, or by what it was approved."
    )
    refused_sql: str = Field(
        default="", description="The text of an edit that was refused; the first 10 of a query are told."
    )


class AuditLog(Answer):
    """Steps of queries, newest first."""

    entries: list[AuditEntry]
    next_page_token: str | None = Field(description="Token of the next page; null on the last.")


@router.get(
    "/audit",
    summary="Who did what with which SQL",
    response_model=AuditLog,
    response_model_exclude_unset=True,
    responses=problem_docs(400, 404, 422, 503, 504),
)
async def audit(
    callees: Asked,
    page_size: PageSize = 50,
    page_token: PageToken = "",
    query_id: Annotated[
        str | None,
        Query(description="Only steps of this query.", json_schema_extra={"pattern": "^[A-Za-z0-9_-]{1,128}$"}),
    ] = None,
    start_time: Annotated[Time | None, Query(description="Only steps made then or later.")] = None,
    end_time: Annotated[Time | None, Query(description="Only steps made before then.")] = None,
) -> AuditLog:
    """Steps of the caller's own queries; of the whole tenant's for callers with the role `sql_auditor`."""
    request = sql_service_pb2.ListAuditEntriesRequest(
        page_size=page_size,
        page_token=page_token,
        query="" if query_id is None else query_name(query_id),
        start_time=_timestamp(start_time),
        end_time=_timestamp(end_time),
    )
    fields = {"query": "query_id", "": "page_token" if query_id is None else "query_id"}
    reply = await reply_of(Service.SQL, callees.sql.ListAuditEntries(request), fields, unknown="QUERY_NOT_FOUND")
    return AuditLog(
        entries=[_entry(entry) for entry in reply.audit_entries], next_page_token=reply.next_page_token or None
    )


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def _entry(entry: sql_query_pb2.AuditEntry) -> AuditEntry:
    fields: dict[str, Any] = {
        "query_id": bare_id(entry.query),
        "owner": entry.owner,
        "subject": entry.subject,
        "to_state": _STATE.Name(entry.to_state),
        "at": iso_time(entry.step_time),
        "sql_hash": entry.sql_hash,
    }
    if entry.from_state:
        fields["from_state"] = _STATE.Name(entry.from_state)
    fields |= {
        name: text for name in ("previous_sql_hash", "sql", "note", "refused_sql") if (text := getattr(entry, name))
    }
    return AuditEntry(**fields)
