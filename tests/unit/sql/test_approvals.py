"""Which decisions may be made when, and that a query is run once at most."""

import asyncio

import pytest

from services.sql.errors import (
    DatabaseUnavailable,
    QueryFailed,
    QueryNotFound,
    QueryStateConflict,
    QueryTooCostly,
    SqlError,
    SqlHashMismatch,
    SqlRefused,
    StatementTimeout,
)
from services.sql.models import Owner, QueryState, Schema, sql_hash
from services.sql.visibility import Visibility
from tests.unit.sql.service_parts import ADA, BO, HOUR, Parts


async def test_an_approved_query_is_run_with_exactly_its_text() -> None:
    parts = Parts()
    query = await parts.approved()

    executed, result = await parts.approvals.run(ADA, query.id, sql_hash=query.sql_hash)

    assert parts.target.ran == [query.sql]
    assert executed.state is QueryState.EXECUTED
    assert executed.row_count == 1
    assert result == parts.target.result


async def test_approving_and_rejecting_again_changes_nothing() -> None:
    parts = Parts()
    approved, rejected = await parts.approved(), await parts.pending()
    await parts.approvals.reject(ADA, rejected.id, reason="no")
    rows = len(parts.store.log)

    again = await parts.approvals.approve(ADA, approved.id, sql_hash=approved.sql_hash)
    refused = await parts.approvals.reject(ADA, rejected.id, reason="no")

    assert (again.state, refused.state) == (QueryState.APPROVED, QueryState.REJECTED)
    assert len(parts.store.log) == rows


@pytest.mark.parametrize("owner", [BO, Owner("umbrella", "ada")])
async def test_a_foreign_query_is_unknown_to_every_call(owner: Owner) -> None:
    parts = Parts()
    query = await parts.approved()

    calls = [
        parts.approvals.get(owner, query.id),
        parts.approvals.approve(owner, query.id, sql_hash=query.sql_hash),
        parts.approvals.reject(owner, query.id, reason=""),
        parts.approvals.edit(owner, query.id, sql="SELECT 1"),
        parts.approvals.run(owner, query.id, sql_hash=query.sql_hash),
        parts.approvals.get(ADA, "0" * 32),
    ]

    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, QueryNotFound)


async def test_the_hash_of_another_text_is_refused() -> None:
    parts = Parts()
    pending, approved = await parts.pending(), await parts.approved()

    with pytest.raises(SqlHashMismatch):
        await parts.approvals.approve(ADA, pending.id, sql_hash="")
    with pytest.raises(SqlHashMismatch):
        await parts.approvals.approve(ADA, approved.id, sql_hash=sql_hash("SELECT 2"))
    with pytest.raises(SqlHashMismatch):
        await parts.approvals.run(ADA, approved.id, sql_hash=sql_hash("SELECT 2"))
    assert parts.target.ran == []


async def test_what_is_decided_or_used_conflicts_and_says_where_it_stands() -> None:
    parts = Parts()
    pending, rejected, executed, expired = [await parts.pending() for _ in range(4)]
    await parts.approvals.reject(ADA, rejected.id, reason="")
    await parts.approvals.approve(ADA, executed.id, sql_hash=executed.sql_hash)
    await parts.approvals.run(ADA, executed.id, sql_hash=executed.sql_hash)
    digest = pending.sql_hash

    async def conflict(call: object) -> str:
        with pytest.raises(QueryStateConflict) as caught:
            await call  # type: ignore[misc]
        return caught.value.metadata["state"]

    assert await conflict(parts.approvals.run(ADA, pending.id, sql_hash=digest)) == "PENDING"
    assert await conflict(parts.approvals.approve(ADA, rejected.id, sql_hash=digest)) == "REJECTED"
    assert await conflict(parts.approvals.run(ADA, rejected.id, sql_hash=digest)) == "REJECTED"
    assert await conflict(parts.approvals.edit(ADA, rejected.id, sql="SELECT 1")) == "REJECTED"
    assert await conflict(parts.approvals.run(ADA, executed.id, sql_hash=digest)) == "EXECUTED"
    assert await conflict(parts.approvals.reject(ADA, executed.id, reason="")) == "EXECUTED"
    parts.clock.moment += 2 * HOUR
    assert await conflict(parts.approvals.approve(ADA, expired.id, sql_hash=digest)) == "EXPIRED"
    assert await conflict(parts.approvals.run(ADA, expired.id, sql_hash=digest)) == "EXPIRED"
    assert await conflict(parts.approvals.reject(ADA, expired.id, reason="")) == "EXPIRED"
    assert len(parts.target.ran) == 1


async def test_of_many_concurrent_runs_one_runs() -> None:
    parts = Parts()
    query = await parts.approved()

    outcomes = await asyncio.gather(
        *(parts.approvals.run(ADA, query.id, sql_hash=query.sql_hash) for _ in range(20)), return_exceptions=True
    )

    assert len(parts.target.ran) == 1
    assert sum(isinstance(outcome, tuple) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, QueryStateConflict) for outcome in outcomes) == 19


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (QueryFailed("no", sqlstate="22012"), "QUERY_FAILED"),
        (QueryTooCostly(), "QUERY_TOO_COSTLY"),
        (StatementTimeout(), "STATEMENT_TIMEOUT"),
        (DatabaseUnavailable(), "DATABASE_UNAVAILABLE"),
        (RuntimeError("a fault of ours"), "OUTCOME_UNKNOWN"),
    ],
)
async def test_a_failed_run_is_told_kept_and_never_repeated(error: Exception, reason: str) -> None:
    parts = Parts()
    query = await parts.approved()
    parts.target.error = error

    with pytest.raises(type(error)):
        await parts.approvals.run(ADA, query.id, sql_hash=query.sql_hash)
    parts.target.error = None

    failed = await parts.approvals.get(ADA, query.id)
    assert (failed.state, failed.state_reason) == (QueryState.FAILED, reason)
    with pytest.raises(QueryStateConflict):
        await parts.approvals.run(ADA, query.id, sql_hash=query.sql_hash)
    assert len(parts.target.ran) == 1


async def test_a_run_that_is_called_off_ends_with_unknown_outcome() -> None:
    parts = Parts()
    query = await parts.approved()
    parts.target.gate = asyncio.Event()
    run = asyncio.create_task(parts.approvals.run(ADA, query.id, sql_hash=query.sql_hash))
    await parts.target.started.wait()

    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    failed = await parts.approvals.get(ADA, query.id)
    assert (failed.state, failed.state_reason) == (QueryState.FAILED, "OUTCOME_UNKNOWN")


async def test_a_store_that_is_lost_during_a_run_does_not_hide_what_went_wrong() -> None:
    parts = Parts()
    query = await parts.approved()
    parts.target.gate = asyncio.Event()
    parts.target.error = StatementTimeout()
    run = asyncio.create_task(parts.approvals.run(ADA, query.id, sql_hash=query.sql_hash))
    await parts.target.started.wait()

    parts.store.is_down = True
    parts.target.gate.set()

    with pytest.raises(StatementTimeout):
        await run


async def test_an_approved_text_is_guarded_again_under_the_schema_of_now() -> None:
    parts = Parts()
    query = await parts.approved()
    parts.reader.schema = Schema(parts.reader.schema.tables[2:], "other")
    await parts.knowledge.sync()

    with pytest.raises(SqlRefused) as caught:
        await parts.approvals.run(ADA, query.id, sql_hash=query.sql_hash)

    assert caught.value.metadata == {"refusal": "UNKNOWN_TABLE"}
    assert parts.target.ran == []
    assert (await parts.approvals.get(ADA, query.id)).state is QueryState.APPROVED


async def test_what_reads_more_than_may_be_shown_by_now_is_neither_approved_nor_run() -> None:
    parts = Parts()
    pending, approved = await parts.pending(), await parts.pending()
    pending = await parts.approvals.edit(ADA, pending.id, sql="SELECT * FROM customers")
    approved = await parts.approvals.edit(ADA, approved.id, sql="SELECT * FROM customers")
    await parts.approvals.approve(ADA, approved.id, sql_hash=approved.sql_hash)
    shown = Visibility.parse("", "*.segment").shown(parts.reader.schema.tables)
    parts.reader.schema = Schema(tuple(shown), "other")
    await parts.knowledge.sync()

    for call in (parts.approvals.approve, parts.approvals.run):
        query = pending if call == parts.approvals.approve else approved
        with pytest.raises(SqlRefused, match="ask again") as caught:
            await call(ADA, query.id, sql_hash=query.sql_hash)
        assert caught.value.metadata == {"refusal": "OUTDATED"}
    again = await parts.approvals.approve(ADA, approved.id, sql_hash=approved.sql_hash)

    assert parts.target.ran == []
    assert (await parts.approvals.get(ADA, pending.id)).state is QueryState.PENDING
    assert again.state is QueryState.APPROVED


async def test_what_was_written_under_hidden_columns_is_approved_and_run_as_it_is() -> None:
    parts = Parts()
    shown = Visibility.parse("", "*.segment").shown(parts.reader.schema.tables)
    parts.reader.schema = Schema(tuple(shown), "other")
    pending = await parts.pending()

    edited = await parts.approvals.edit(ADA, pending.id, sql="SELECT * FROM customers")
    await parts.approvals.approve(ADA, edited.id, sql_hash=edited.sql_hash)
    await parts.approvals.run(ADA, edited.id, sql_hash=edited.sql_hash)

    assert parts.target.ran == [edited.sql]
    assert "segment" not in edited.sql


async def test_the_reason_of_a_rejection_is_kept_on_one_line_of_500_characters() -> None:
    parts = Parts()
    query = await parts.pending()

    await parts.approvals.reject(ADA, query.id, reason="not\nneeded\0 " + "x" * 900)

    note = parts.store.log[-1].note
    assert note.startswith("not needed xxx")
    assert len(note) == 500


async def test_the_reason_of_a_rejection_commands_no_terminal_and_turns_no_text_around() -> None:
    parts = Parts()
    query = await parts.pending()

    await parts.approvals.reject(ADA, query.id, reason="a\x1b[2J\x07b\u009bc\u202ed\u2066e\u2028f می\u200cخواهم")

    assert parts.store.log[-1].note == "a [2J b c d e f می\u200cخواهم"


def test_every_error_of_the_service_is_told_without_details_of_the_driver() -> None:
    assert all(str(error) for error in (QueryNotFound(), SqlHashMismatch(), StatementTimeout(), DatabaseUnavailable()))
    assert issubclass(SqlRefused, SqlError)
