"""GET /sql/schema and POST /sql/schema/sync: what questions to the database can reach."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from gateway.answers import Answer, Milliseconds
from gateway.callees import Service, reply_of
from gateway.context import Asked, Stopwatch
from gateway.json_route import JsonRoute
from gateway.problems import problem_docs
from gateway.questions import NoFields
from gateway.values import iso_time
from protos.sql.v1 import sql_service_pb2

router = APIRouter(route_class=JsonRoute, prefix="/sql/schema", tags=["sql"])


class SchemaColumn(Answer):
    """One column."""

    name: str
    type: str = Field(description="PostgreSQL type.", examples=["numeric"])
    comment: str
    nullable: bool
    sample_values: list[str] = Field(
        description="Some of its values, the most frequent first, at most 20; none where it is not sampled."
    )


class SchemaKey(Answer):
    """A key that points to another table."""

    columns: list[str]
    referenced_table: str = Field(examples=["public.customers"])
    referenced_columns: list[str]


class SchemaTable(Answer):
    """One table or view."""

    name: str = Field(description="With its schema.", examples=["public.orders"])
    comment: str
    estimated_row_count: int | None = Field(description="Null where the database has no estimate.")
    columns: list[SchemaColumn]
    primary_key: list[str]
    foreign_keys: list[SchemaKey]


class DatabaseSchema(Answer):
    """Tables and views that questions can reach, sorted by name."""

    tables: list[SchemaTable]
    fingerprint: str = Field(description="Changes when the structure or sampled values do.")
    synced_at: str = Field(description="When it was last read from the database.")


class SchemaSync(Answer):
    """The schema after it was looked at again."""

    fingerprint: str
    table_count: int
    changed: bool = Field(description="Whether it differs from what was known before.")
    execution_time_ms: Milliseconds


@router.get("", summary="The database's schema", response_model=DatabaseSchema, responses=problem_docs(422, 503, 504))
async def schema(callees: Asked) -> DatabaseSchema:
    """Tables, columns, comments, keys, row estimates and sample values, as they were last read."""
    request = sql_service_pb2.DescribeSchemaRequest()
    reply = await reply_of(Service.SQL, callees.sql.DescribeSchema(request))
    return DatabaseSchema(
        tables=[_table(table) for table in reply.tables],
        fingerprint=reply.fingerprint,
        synced_at=iso_time(reply.sync_time),
    )


@router.post(
    "/sync",
    summary="Read the schema again",
    response_model=SchemaSync,
    responses=problem_docs(400, 413, 415, 422, 503, 504),
)
async def sync(callees: Asked, body: NoFields | None = None) -> SchemaSync:
    """Notice what has changed in the database. Calls that come together or in quick succession share one reading."""
    stopwatch = Stopwatch()
    reply = await reply_of(Service.SQL, callees.sql.SyncSchema(sql_service_pb2.SyncSchemaRequest()))
    return SchemaSync(
        fingerprint=reply.fingerprint,
        table_count=reply.table_count,
        changed=reply.changed,
        execution_time_ms=stopwatch.elapsed_ms,
    )


def _table(table: sql_service_pb2.Table) -> SchemaTable:
    return SchemaTable(
        name=table.name,
        comment=table.comment,
        estimated_row_count=table.estimated_row_count if table.estimated_row_count >= 0 else None,
        columns=[
            SchemaColumn(
                name=column.name,
                type=column.type,
                comment=column.comment,
                nullable=column.nullable,
                sample_values=list(column.sample_values),
            )
            for column in table.columns
        ],
        primary_key=list(table.primary_key),
        foreign_keys=[
            SchemaKey(
                columns=list(key.columns),
                referenced_table=key.referenced_table,
                referenced_columns=list(key.referenced_columns),
            )
            for key in table.foreign_keys
        ],
    )
