"""The audit log through the whole service, its policy by cost, and the log of a store that is older than it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from protos.sql.v1 import sql_query_pb2, sql_service_pb2
from services.sql.adapters.postgres_queries import PostgresQueryStore
from services.sql.answering import AutoApprovePolicy
from services.sql.audit import AuditScope
from services.sql.models import Owner
from services.sql.wiring_stores import MIGRATIONS
from services.storage.postgres import open_store
from services.transport.identity import Caller, acting_as
from tests.contract.sql.query_store_contract import draft
from tests.integration.sql.running_service import ADA, BO, OUTSIDER, failure_of, running, settings_for

if TYPE_CHECKING:
    from protos.sql.v1.sql_service_pb2_grpc import SqlServiceAsyncStub

State = sql_query_pb2.SqlQuery.State
HOW_MANY = "How many customers do we have?"
AUDITOR = Caller("acme", "cy", frozenset({"sql_auditor"}))
FOREIGN_AUDITOR = Caller("umbrella", "cy", frozenset({"sql_auditor"}))


@pytest.fixture
async def sql(shop_url: str, store_url: str, tmp_path: Path) -> AsyncIterator[SqlServiceAsyncStub]:
    async with running(settings_for(shop_url, store_url), tmp_path) as stub:
        with acting_as(ADA):
            yield stub


async def generate(sql: SqlServiceAsyncStub) -> sql_query_pb2.SqlQuery:
    return (await sql.GenerateSql(sql_service_pb2.GenerateSqlRequest(question=HOW_MANY))).query


async def log(sql: SqlServiceAsyncStub, **asked: object) -> sql_service_pb2.ListAuditEntriesResponse:
    return await sql.ListAuditEntries(sql_service_pb2.ListAuditEntriesRequest(**asked))  # type: ignore[arg-type]


async def test_the_log_tells_what_was_written_edited_approved_and_run(sql: SqlServiceAsyncStub) -> None:
    query = await generate(sql)
    text = "select count(*) from orders"
    edited = (await sql.EditQuery(sql_service_pb2.EditQueryRequest(name=query.name, sql=text))).query
    await sql.ApproveQuery(sql_service_pb2.ApproveQueryRequest(name=query.name, sql_hash=edited.sql_hash))
    await sql.RunQuery(sql_service_pb2.RunQueryRequest(name=query.name, sql_hash=edited.sql_hash))

    entries = (await log(sql, query=query.name)).audit_entries

    assert [(State.Name(entry.from_state), State.Name(entry.to_state)) for entry in reversed(entries)] == [
        ("STATE_UNSPECIFIED", "PENDING"),
        ("PENDING", "PENDING"),
        ("PENDING", "APPROVED"),
        ("APPROVED", "EXECUTING"),
        ("EXECUTING", "EXECUTED"),
    ]
    first, edit, *rest = reversed(entries)
    assert (first.sql, first.sql_hash, first.previous_sql_hash) == (query.sql, query.sql_hash, "")
    assert (edit.sql, edit.sql_hash, edit.previous_sql_hash) == (edited.sql, edited.sql_hash, query.sql_hash)
    assert {(entry.sql, entry.sql_hash) for entry in rest} == {("", edited.sql_hash)}
    assert {(entry.owner, entry.subject, entry.query) for entry in entries} == {("ada", "ada", query.name)}
    assert first.step_time.ToDatetime() == query.create_time.ToDatetime()
    assert edited.plan_cost > 0
    assert (query.state_reason, edited.state_reason) == ("NOT_ASKED", "EDITED")


async def test_others_see_nothing_of_a_query_and_an_auditor_of_the_tenant_sees_its_log(
    sql: SqlServiceAsyncStub,
) -> None:
    query = await generate(sql)

    for caller in (BO, OUTSIDER, FOREIGN_AUDITOR):
        with acting_as(caller):
            assert list((await log(sql)).audit_entries) == []
            failure = await failure_of(log(sql, query=query.name))
            assert (failure.code, failure.reason) == (grpc.StatusCode.NOT_FOUND, "QUERY_NOT_FOUND")
    with acting_as(AUDITOR):
        assert [entry.query for entry in (await log(sql)).audit_entries] == [query.name]
        assert [entry.sql for entry in (await log(sql, query=query.name)).audit_entries] == [query.sql]
        unknown = await failure_of(log(sql, query=f"queries/{'0' * 32}"))
        foreign = await failure_of(sql.GetQuery(sql_service_pb2.GetQueryRequest(name=query.name)))
    assert (unknown.reason, foreign.reason) == ("QUERY_NOT_FOUND", "QUERY_NOT_FOUND")


async def test_pages_of_the_log_are_bound_to_their_filter_and_reader(sql: SqlServiceAsyncStub) -> None:
    for _ in range(3):
        query = await generate(sql)

    whole = await log(sql)
    first = await log(sql, page_size=2)
    second = await log(sql, page_size=2, page_token=first.next_page_token)
    mixed = [await failure_of(log(sql, page_token=first.next_page_token, query=query.name))]
    with acting_as(AUDITOR):
        mixed.append(await failure_of(log(sql, page_token=first.next_page_token)))

    assert [*first.audit_entries, *second.audit_entries] == list(whole.audit_entries)
    assert (len(first.audit_entries), len(second.audit_entries), second.next_page_token) == (2, 1, "")
    assert {failure.reason for failure in mixed} == {"PAGE_TOKEN_INVALID"}


async def test_a_time_narrows_the_log(sql: SqlServiceAsyncStub) -> None:
    query = await generate(sql)
    moment, later = query.create_time, Timestamp()
    later.FromDatetime(moment.ToDatetime(tzinfo=UTC) + timedelta(microseconds=1))

    assert len((await log(sql, start_time=moment, end_time=later)).audit_entries) == 1
    assert list((await log(sql, start_time=later)).audit_entries) == []
    assert list((await log(sql, end_time=moment, query=query.name)).audit_entries) == []


async def test_bad_fields_of_the_log_are_named(sql: SqlServiceAsyncStub) -> None:
    early, late = Timestamp(seconds=1), Timestamp(seconds=2)
    cases = [
        (log(sql, query="jobs/1"), "NAME_INVALID", "query"),
        (log(sql, page_token="x"), "PAGE_TOKEN_INVALID", "page_token"),
        (log(sql, start_time=late, end_time=early), "TIME_INVALID", "end_time"),
        (log(sql, start_time=Timestamp(seconds=1, nanos=-1)), "TIME_INVALID", "start_time"),
        (log(sql, end_time=Timestamp(seconds=10**15)), "TIME_INVALID", "end_time"),
    ]

    for call, reason, field in cases:
        failure = await failure_of(call)
        assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
        assert [violation.field for violation in failure.fields] == [field]


@pytest.mark.parametrize(("cost_below", "state"), [(0.5, "PENDING"), (10_000, "EXECUTED")])
async def test_a_policy_by_cost_lets_cheap_queries_run(
    shop_url: str, store_url: str, tmp_path: Path, cost_below: float, state: str
) -> None:
    settings = settings_for(shop_url, store_url, policy=AutoApprovePolicy.COST_BELOW, auto_approve_cost=cost_below)
    async with running(settings, tmp_path) as sql:
        with acting_as(ADA):
            request = sql_service_pb2.AnswerQuestionRequest(question=HOW_MANY, auto_approve=True)
            query = (await sql.AnswerQuestion(request)).query
            stats = await sql.GetStats(sql_service_pb2.GetStatsRequest())

    assert State.Name(query.state) == state
    assert query.state_reason == ("COST_ABOVE_POLICY" if state == "PENDING" else "")
    assert 0.5 < query.plan_cost < 10_000
    assert (stats.auto_approve_policy, stats.auto_approve_cost) == ("cost_below", cost_below)


async def test_an_edit_that_the_database_cannot_plan_is_refused_in_its_words(sql: SqlServiceAsyncStub) -> None:
    query = await generate(sql)
    request = sql_service_pb2.EditQueryRequest(name=query.name, sql="SELECT name FROM customers WHERE name > 1")

    failure = await failure_of(sql.EditQuery(request))

    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "QUERY_FAILED")
    assert "operator does not exist" in failure.message
    assert failure.metadata["sqlstate"] == "42883"
    assert await sql.GetQuery(sql_service_pb2.GetQueryRequest(name=query.name)) == query


async def test_a_store_from_before_the_log_was_listed_keeps_its_queries_and_their_steps(
    store_url: str, tmp_path: Path
) -> None:
    before = tmp_path / "migrations"
    before.mkdir()
    (before / "0001_queries.sql").write_text((MIGRATIONS / "0001_queries.sql").read_text())
    query, day = draft(Owner("acme", "ada")), datetime(2026, 1, 2, tzinfo=UTC)
    async with open_store(store_url, schema="sql", migrations=before) as pool, pool.connection() as connection:
        await connection.execute(
            "INSERT INTO queries (id, tenant, owner, question, sql, sql_hash, explanation, confidence, tables, state,"
            " create_time, expire_time) VALUES (%s, 'acme', 'ada', 'q', %s, %s, '', 1, '{}', 'PENDING', %s, %s)",
            (query.id, query.sql, query.sql_hash, day, datetime.now(UTC) + timedelta(hours=1)),
        )
        for to_state, sql_hash in (("PENDING", "0" * 64), ("PENDING", query.sql_hash), ("APPROVED", query.sql_hash)):
            await connection.execute(
                "INSERT INTO query_audit (query_id, tenant, subject, from_state, to_state, sql_hash, at_time)"
                " VALUES (%s, 'acme', 'ada', '', %s, %s, %s)",
                (query.id, to_state, sql_hash, day),
            )

    async with open_store(store_url, schema="sql", migrations=MIGRATIONS) as pool:
        store = PostgresQueryStore(pool, run_lease=timedelta(hours=1))
        stored = await store.get(query.owner, query.id)
        page = await store.audit(AuditScope("acme", "ada"), after=None, limit=9)

    assert stored is not None
    assert (stored.sql, stored.plan_cost, stored.state_reason) == (query.sql, None, "")
    assert [(entry.owner.subject, entry.to_state, entry.sql) for entry in page.entries] == [
        ("ada", "APPROVED", ""),
        ("ada", "PENDING", query.sql),
        ("ada", "PENDING", ""),
    ]
