"""Domain types as messages of the contract."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

from google.protobuf.struct_pb2 import NULL_VALUE
from google.protobuf.timestamp_pb2 import Timestamp

from protos.sql.v1 import sql_query_pb2, sql_service_pb2
from services.sql.audit import AuditEntry
from services.sql.errors import TimeInvalid
from services.sql.models import (
    Assessment,
    JsonText,
    NoDraft,
    QueryState,
    ResultTable,
    Schema,
    SqlQuery,
    SqlValue,
    Table,
)

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
_INT64 = range(-(2**63), 2**63)


def query_message(query: SqlQuery) -> sql_query_pb2.SqlQuery:
    """A query as callers see it; its tenant is theirs and goes without saying."""
    return sql_query_pb2.SqlQuery(
        name=f"queries/{query.id}",
        question=query.question,
        sql=query.sql,
        sql_hash=query.sql_hash,
        explanation=query.explanation,
        state=sql_query_pb2.SqlQuery.State.Value(query.state),
        confidence=query.confidence,
        tables=query.tables,
        create_time=timestamp_message(query.create_time),
        expire_time=timestamp_message(query.expire_time),
        decide_time=timestamp_message(query.decide_time),
        execute_time=timestamp_message(query.execute_time),
        owner=query.owner.subject,
        state_reason=query.state_reason,
        row_count=query.row_count,
        plan_cost=query.plan_cost,
    )


def audit_message(entry: AuditEntry) -> sql_query_pb2.AuditEntry:
    """A step of a query."""
    states = sql_query_pb2.SqlQuery.State
    return sql_query_pb2.AuditEntry(
        query=f"queries/{entry.query_id}",
        owner=entry.owner.subject,
        subject=entry.subject,
        from_state=states.Value(entry.from_state or "STATE_UNSPECIFIED"),
        to_state=states.Value(entry.to_state),
        step_time=timestamp_message(entry.at_time),
        sql_hash=entry.sql_hash,
        previous_sql_hash=entry.previous_sql_hash,
        sql=entry.sql,
        note=entry.note,
        refused_sql=entry.refused_sql,
    )


def time_of(
    request: sql_service_pb2.ListAuditEntriesRequest, field: Literal["start_time", "end_time"]
) -> datetime | None:
    """The time in a field, None where there is none. Raises TimeInvalid."""
    if not request.HasField(field):
        return None
    try:
        moment: datetime = getattr(request, field).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise TimeInvalid(f"{field} is no time, such as 2026-11-21T12:00:00Z is", field=field) from None
    return moment


def state_filter(state: int) -> QueryState | None:
    """The state asked for; None for all, and for a number that this version gives no name."""
    names = {int(number): name for name, number in sql_query_pb2.SqlQuery.State.items()}
    return QueryState.__members__.get(names.get(state, ""))


def page_limit(page_size: int) -> int:
    """How many entries a page of a list has."""
    return min(page_size, MAX_PAGE_SIZE) if page_size > 0 else DEFAULT_PAGE_SIZE


def no_answer_message(no_draft: NoDraft) -> sql_service_pb2.NoAnswer:
    """Why there is no query."""
    return sql_service_pb2.NoAnswer(reason=no_draft.reason, unmatched_words=no_draft.unmatched_words)


def result_message(result: ResultTable | None) -> sql_query_pb2.ResultTable | None:
    """Rows, when there was a run."""
    if result is None:
        return None
    return sql_query_pb2.ResultTable(
        columns=(sql_query_pb2.Column(name=column.name, type=column.type) for column in result.columns),
        rows=(sql_query_pb2.Row(values=map(value_message, row)) for row in result.rows),
        truncated=result.truncated,
    )


def value_message(value: SqlValue) -> sql_query_pb2.Value:
    """One value under the kind the contract gives it."""
    match value:
        case None:
            return sql_query_pb2.Value(null_value=NULL_VALUE)
        case bool():
            return sql_query_pb2.Value(bool_value=value)
        case int():
            return (
                sql_query_pb2.Value(integer_value=value)
                if value in _INT64
                else sql_query_pb2.Value(decimal_value=str(value))
            )
        case float():
            return sql_query_pb2.Value(double_value=value)
        case Decimal():
            return sql_query_pb2.Value(decimal_value=f"{value:f}")
        case str():
            return sql_query_pb2.Value(text_value=value)
        case bytes():
            return sql_query_pb2.Value(bytes_value=value)
        case JsonText():
            return sql_query_pb2.Value(json_value=value.text)
        case _:
            elements = sql_query_pb2.ValueList(values=map(value_message, value))
            return sql_query_pb2.Value(list_value=elements)


def schema_message(schema: Schema) -> sql_service_pb2.DescribeSchemaResponse:
    """Everything that questions can reach."""
    return sql_service_pb2.DescribeSchemaResponse(
        tables=map(_table_message, schema.tables),
        fingerprint=schema.fingerprint,
        sync_time=timestamp_message(schema.read_time),
    )


def assessment_message(assessment: Assessment) -> sql_service_pb2.Assessment:
    """How well the database answers one text."""
    return sql_service_pb2.Assessment(score=assessment.score, reason=assessment.reason, tables=assessment.tables)


def assessment_messages(assessments: Iterable[Assessment]) -> list[sql_service_pb2.Assessment]:
    """The same for several."""
    return [assessment_message(assessment) for assessment in assessments]


def _table_message(table: Table) -> sql_service_pb2.Table:
    return sql_service_pb2.Table(
        name=table.full_name,
        comment=table.comment,
        estimated_row_count=table.estimated_row_count,
        columns=(
            sql_service_pb2.TableColumn(
                name=column.name,
                type=column.type,
                comment=column.comment,
                nullable=column.nullable,
                sample_values=column.sample_values,
            )
            for column in table.columns
        ),
        primary_key=table.primary_key,
        foreign_keys=(
            sql_service_pb2.ForeignKey(
                columns=key.columns,
                referenced_table=key.referenced_name,
                referenced_columns=key.referenced_columns,
            )
            for key in table.foreign_keys
        ),
    )


def timestamp_message(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment)
    return message
