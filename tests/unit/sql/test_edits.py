"""What may be written over a query, and what the audit log tells of what may not."""

from dataclasses import replace

import pytest

from services.sql.audit import MAX_REFUSED_EDITS
from services.sql.errors import (
    DatabaseUnavailable,
    QueryFailed,
    QueryStateConflict,
    SqlHashMismatch,
    SqlRefused,
    StatementTimeout,
)
from services.sql.models import Plan, QueryState, sql_hash
from tests.unit.sql.service_parts import ADA, Parts


async def test_an_edit_is_guarded_hashed_and_says_that_it_is_one() -> None:
    parts = Parts()
    query = await parts.pending()

    edited = await parts.approvals.edit(ADA, query.id, sql="select name from customers limit 5 -- mine")

    assert edited.sql == "SELECT name FROM public.customers LIMIT 5"
    assert edited.sql_hash == sql_hash(edited.sql)
    assert edited.state is QueryState.PENDING
    assert "edited" in edited.explanation
    with pytest.raises(SqlHashMismatch):
        await parts.approvals.approve(ADA, query.id, sql_hash=query.sql_hash)


async def test_a_refused_edit_names_the_field_and_changes_nothing() -> None:
    parts = Parts()
    query = await parts.pending()

    with pytest.raises(SqlRefused) as caught:
        await parts.approvals.edit(ADA, query.id, sql="DELETE FROM customers")

    assert caught.value.field == "sql"
    assert caught.value.metadata == {"refusal": "NOT_A_SELECT"}
    assert await parts.approvals.get(ADA, query.id) == replace(query, refused_edits=1)


async def test_a_refused_edit_is_a_step_of_the_log_with_its_text_and_why() -> None:
    parts = Parts()
    query = await parts.pending()
    parts.target.plan_errors = [QueryFailed("operator does not exist: text > integer", sqlstate="42883")]

    for text in ("DELETE FROM customers", "SELECT name FROM customers WHERE name > 1"):
        with pytest.raises((SqlRefused, QueryFailed)):
            await parts.approvals.edit(ADA, query.id, sql=text)

    told = [(entry.subject, entry.refused_sql, entry.note) for entry in parts.store.log[-2:]]
    assert told == [
        ("ada", "DELETE FROM customers", "EDIT_REFUSED; NOT_A_SELECT"),
        ("ada", "SELECT name FROM customers WHERE name > 1", "EDIT_REFUSED; SQLSTATE 42883"),
    ]


async def test_a_refused_text_is_told_cut_and_without_signs_that_change_how_it_is_shown() -> None:
    parts = Parts()
    query = await parts.pending()

    for text in ("DROP\0 \x1b[2J\u202e x\n\ty", "x" * 30_000):
        with pytest.raises(SqlRefused):
            await parts.approvals.edit(ADA, query.id, sql=text)

    assert parts.store.log[-1].note == "EDIT_REFUSED; TOO_LONG; of 30000 characters"
    assert [entry.refused_sql for entry in parts.store.log[-2:]] == ["DROP\ufffd \ufffd[2J\ufffd x\n\ty", "x" * 4_000]


async def test_whoever_goes_on_with_refused_edits_does_not_fill_the_log() -> None:
    parts = Parts()
    query = await parts.pending()

    for number in range(2 * MAX_REFUSED_EDITS):
        with pytest.raises(SqlRefused):
            await parts.approvals.edit(ADA, query.id, sql=f"DROP TABLE t{number}")

    assert len(parts.store.log) == 1 + MAX_REFUSED_EDITS


async def test_an_edit_is_planned_anew_and_waits_because_it_is_one() -> None:
    parts = Parts()
    query = await parts.pending()
    parts.target.cost = 77.0

    edited = await parts.approvals.edit(ADA, query.id, sql="SELECT name FROM customers LIMIT 5")

    assert (query.plan_cost, query.state_reason) == (10.0, "NOT_ASKED")
    assert (edited.plan_cost, edited.state_reason) == (77.0, "EDITED")


async def test_an_edit_that_the_database_cannot_plan_says_why_and_changes_nothing() -> None:
    parts = Parts()
    query = await parts.pending()
    parts.target.plan_errors = [QueryFailed("operator does not exist: text > integer", sqlstate="42883")]

    with pytest.raises(QueryFailed, match="operator does not exist"):
        await parts.approvals.edit(ADA, query.id, sql="SELECT name FROM customers WHERE name > 1")

    assert await parts.approvals.get(ADA, query.id) == replace(query, refused_edits=1)


async def test_an_edit_that_cannot_be_planned_in_time_is_refused_and_changes_nothing() -> None:
    parts = Parts()
    query = await parts.pending()
    parts.target.plan_errors = [StatementTimeout()]

    with pytest.raises(QueryFailed, match="within its time limit"):
        await parts.approvals.edit(ADA, query.id, sql="SELECT name FROM customers LIMIT 5")

    assert await parts.approvals.get(ADA, query.id) == replace(query, refused_edits=1)


async def test_an_edit_is_kept_unplanned_while_the_planner_cannot_be_asked() -> None:
    parts = Parts()
    query = await parts.pending()
    parts.target.plan_errors = [DatabaseUnavailable()]

    edited = await parts.approvals.edit(ADA, query.id, sql="SELECT name FROM customers LIMIT 5")

    assert edited.plan_cost is None


async def test_of_two_edits_at_once_the_later_text_is_approved_by_its_own_hash_alone() -> None:
    parts = Parts()
    query = await parts.pending()
    mine = await parts.approvals.edit(ADA, query.id, sql="SELECT name FROM customers LIMIT 5")
    theirs = await parts.approvals.edit(ADA, query.id, sql="SELECT name FROM customers LIMIT 6")

    with pytest.raises(SqlHashMismatch):
        await parts.approvals.approve(ADA, query.id, sql_hash=mine.sql_hash)
    await parts.approvals.approve(ADA, query.id, sql_hash=theirs.sql_hash)
    with pytest.raises(SqlHashMismatch):
        await parts.approvals.run(ADA, query.id, sql_hash=mine.sql_hash)
    await parts.approvals.run(ADA, query.id, sql_hash=theirs.sql_hash)

    assert parts.target.ran == [theirs.sql]


async def test_an_edit_that_another_edit_came_before_is_told_so() -> None:
    parts = Parts()
    query = await parts.pending()
    plan = parts.target.plan

    async def edited_meanwhile(sql: str) -> Plan:
        parts.target.plan = plan  # type: ignore[method-assign]
        await parts.approvals.edit(ADA, query.id, sql="SELECT name FROM customers LIMIT 6")
        return await plan(sql)

    parts.target.plan = edited_meanwhile  # type: ignore[method-assign]

    with pytest.raises(QueryStateConflict):
        await parts.approvals.edit(ADA, query.id, sql="SELECT name FROM customers LIMIT 5")

    assert (await parts.approvals.get(ADA, query.id)).sql.endswith("LIMIT 6")


async def test_an_edit_to_the_same_text_leaves_the_query_as_it_is() -> None:
    parts = Parts()
    query = await parts.pending()

    assert await parts.approvals.edit(ADA, query.id, sql=query.sql) == query


async def test_an_edit_after_approval_conflicts() -> None:
    parts = Parts()
    query = await parts.approved()

    with pytest.raises(QueryStateConflict):
        await parts.approvals.edit(ADA, query.id, sql="SELECT 1")
