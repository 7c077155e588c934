"""When a question is answered at once, why it is not, and what becomes of a query that fails as it runs."""

import pytest

from services.sql.answering import AutoApprovePolicy
from services.sql.errors import DatabaseUnavailable, QueryFailed, QueryTooCostly, StatementTimeout
from services.sql.guidance import Objection
from services.sql.models import NoDraft, QueryState, ResultTable, SqlDraft, SqlQuery
from tests.unit.sql.service_parts import ADA, Parts

HOW_MANY = "How many customers do we have?"
DIVISION = QueryFailed("a value cannot be computed or converted", sqlstate="22012")
COUNT = "SELECT COUNT(*) FROM public.customers LIMIT 1001"
NAMES = "SELECT name FROM public.customers LIMIT 1001"


def draft(sql: str) -> SqlDraft:
    return SqlDraft(sql, "", 1, ())


def failing_first(parts: Parts, *errors: QueryFailed) -> None:
    """The first runs fail, each with its error."""
    waiting, run = list(errors), parts.target.run

    async def fail_first(sql: str) -> ResultTable:
        result = await run(sql)
        if waiting:
            raise waiting.pop(0)
        return result

    parts.target.run = fail_first  # type: ignore[method-assign]


async def test_an_answer_runs_at_once_when_both_caller_and_policy_say_so() -> None:
    parts = Parts()

    query, result = await parts.answering.answer(ADA, HOW_MANY, auto_approve=True)

    assert isinstance(query, SqlQuery)
    assert (query.state, query.state_reason) == (QueryState.EXECUTED, "")
    assert result == parts.target.result
    approvals = [entry for entry in parts.store.log if entry.to_state is QueryState.APPROVED]
    assert [(entry.subject, entry.note) for entry in approvals] == [("", "AUTO_APPROVED")]


@pytest.mark.parametrize(
    ("policy", "auto_approve", "cost", "reason"),
    [
        (AutoApprovePolicy.NEVER, True, 1.0, "POLICY_NEVER"),
        (AutoApprovePolicy.NEVER, False, 1.0, "NOT_ASKED"),
        (AutoApprovePolicy.ALLOWED, False, 1.0, "NOT_ASKED"),
        (AutoApprovePolicy.COST_BELOW, False, 1.0, "NOT_ASKED"),
        (AutoApprovePolicy.COST_BELOW, True, 10_000.0, "COST_ABOVE_POLICY"),
        (AutoApprovePolicy.COST_BELOW, True, float("inf"), "COST_ABOVE_POLICY"),
        (AutoApprovePolicy.COST_BELOW, True, float("nan"), "COST_ABOVE_POLICY"),
    ],
)
async def test_an_answer_waits_for_a_decision_otherwise_and_says_why(
    policy: AutoApprovePolicy, auto_approve: bool, cost: float, reason: str
) -> None:
    parts = Parts(policy=policy)
    parts.target.cost = cost

    query, result = await parts.answering.answer(ADA, HOW_MANY, auto_approve=auto_approve)

    assert isinstance(query, SqlQuery)
    assert (query.state, query.state_reason) == (QueryState.PENDING, reason)
    assert result is None
    assert parts.target.ran == []
    approved = await parts.approvals.approve(ADA, query.id, sql_hash=query.sql_hash)
    assert approved.state_reason == ""


async def test_a_query_below_the_cost_of_the_policy_runs_at_once() -> None:
    parts = Parts(policy=AutoApprovePolicy.COST_BELOW)
    parts.target.cost = 9_999.9

    query, _ = await parts.answering.answer(ADA, HOW_MANY, auto_approve=True)

    assert isinstance(query, SqlQuery)
    assert query.state is QueryState.EXECUTED


async def test_a_policy_that_goes_by_cost_lets_nothing_run_whose_cost_is_unknown() -> None:
    parts = Parts(policy=AutoApprovePolicy.COST_BELOW)
    parts.target.plan_errors = [DatabaseUnavailable()]

    query, result = await parts.answering.answer(ADA, HOW_MANY, auto_approve=True)

    assert isinstance(query, SqlQuery)
    assert (query.state, query.state_reason, result) == (QueryState.PENDING, "PLAN_UNKNOWN", None)


async def test_no_answer_has_no_rows() -> None:
    parts = Parts()
    parts.generator.outcome = NoDraft("no")

    assert await parts.answering.answer(ADA, "Why?", auto_approve=True) == (NoDraft("no"), None)


@pytest.mark.parametrize("error", [StatementTimeout(), QueryTooCostly(), DatabaseUnavailable(), RuntimeError("ours")])
async def test_a_run_that_fails_otherwise_than_by_its_text_is_told_and_not_repeated(error: Exception) -> None:
    parts = Parts()
    parts.target.error = error

    with pytest.raises(type(error)):
        await parts.answering.answer(ADA, HOW_MANY, auto_approve=True)

    assert len(parts.generator.asked) == 1


async def test_a_query_that_fails_as_it_runs_goes_back_and_its_repair_is_a_query_of_its_own() -> None:
    parts = Parts()
    parts.generator.repairs = [draft("SELECT name FROM customers")]
    failing_first(parts, DIVISION)

    query, result = await parts.answering.answer(ADA, HOW_MANY, auto_approve=True)

    assert isinstance(query, SqlQuery)
    assert result == parts.target.result
    assert parts.target.ran == [COUNT, NAMES]
    failed, executed = parts.store.queries.values()
    assert (failed.sql, failed.state, failed.state_reason) == (COUNT, QueryState.FAILED, "QUERY_FAILED")
    assert (executed.id, executed.state) == (query.id, QueryState.EXECUTED)
    assert [entry.note for entry in parts.store.log if entry.to_state is QueryState.APPROVED] == [
        "AUTO_APPROVED",
        f"AUTO_APPROVED; REPAIRS queries/{failed.id}",
    ]


async def test_the_generator_is_told_the_class_of_the_error_and_no_word_of_the_database() -> None:
    parts = Parts()
    parts.generator.repairs = [draft("SELECT name FROM customers")]
    failing_first(parts, DIVISION)

    await parts.answering.answer(ADA, HOW_MANY, auto_approve=True)

    said = "a value cannot be computed or converted (SQLSTATE 22012)"
    assert parts.generator.guided[-1].objections == (Objection(COUNT, said),)


async def test_repairs_end_after_two_rounds_in_all_and_the_last_failure_is_told() -> None:
    parts = Parts()
    others = [f"SELECT {number} FROM customers" for number in range(9)]
    parts.generator.repairs = [draft(sql) for sql in others]
    # One round is taken by the planner, so that one is left for runs.
    parts.target.plan_errors = [QueryFailed("no such operator", sqlstate="42883")]
    last = QueryFailed("a subquery gave more than one row where one value is needed", sqlstate="21000")
    failing_first(parts, DIVISION, last)

    with pytest.raises(QueryFailed, match="more than one row"):
        await parts.answering.answer(ADA, HOW_MANY, auto_approve=True)

    assert len(parts.generator.asked) == 3
    assert [query.state for query in parts.store.queries.values()] == [QueryState.FAILED] * 2


async def test_a_generator_that_cannot_repair_is_not_asked_again() -> None:
    parts = Parts()
    parts.generator.can_repair = False
    parts.target.error = DIVISION

    with pytest.raises(QueryFailed):
        await parts.answering.answer(ADA, HOW_MANY, auto_approve=True)

    assert len(parts.generator.asked) == 1


@pytest.mark.parametrize("repair", [SqlDraft("SELECT count(*) FROM customers", "", 1, ()), NoDraft("no")])
async def test_without_another_draft_the_failure_is_told(repair: SqlDraft | NoDraft) -> None:
    parts = Parts()
    parts.generator.repairs = [repair]
    parts.target.error = DIVISION

    with pytest.raises(QueryFailed):
        await parts.answering.answer(ADA, HOW_MANY, auto_approve=True)

    assert parts.target.ran == [COUNT]


async def test_a_repair_that_costs_more_than_policy_lets_run_waits() -> None:
    parts = Parts(policy=AutoApprovePolicy.COST_BELOW)
    parts.generator.repairs = [draft("SELECT name FROM customers")]
    run = parts.target.run

    async def fail_and_grow(sql: str) -> ResultTable:
        parts.target.cost = 1e9
        await run(sql)
        raise DIVISION

    parts.target.run = fail_and_grow  # type: ignore[method-assign]

    query, result = await parts.answering.answer(ADA, HOW_MANY, auto_approve=True)

    assert isinstance(query, SqlQuery)
    assert (query.sql, query.state_reason, result) == (NAMES, "COST_ABOVE_POLICY", None)
