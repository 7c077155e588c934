"""What becomes an example for questions to come, and what never does."""

from dataclasses import replace

import pytest

from services.sql.errors import QueryFailed
from services.sql.guidance import Guidance, SimilarExample, Term
from services.sql.models import QueryState, SqlDraft, SqlQuery
from services.sql.training import Teacher
from services.sql.training_content import read_example
from services.sql.training_models import TrainingContent, TrainingKind, TrainingSource, TrainingState
from tests.fakes.sql import FakeBriefing
from tests.unit.sql.service_parts import ADA, Parts


async def test_a_query_that_a_person_approved_and_that_ran_becomes_an_example() -> None:
    parts = Parts()
    query = await parts.approved()

    await parts.approvals.run(ADA, query.id, sql_hash=query.sql_hash, may_teach=True)

    [learned] = parts.training_store.items.values()
    assert learned.content == TrainingContent(TrainingKind.EXAMPLE, query.question, query.sql)
    assert learned.state is TrainingState.APPROVED
    assert (learned.source, learned.query_id) == (TrainingSource.APPROVED_QUERY, query.id)
    assert (learned.author, learned.decided_by) == ("ada", "ada")
    assert learned.explanation == query.explanation != ""


async def test_what_somebody_approved_who_may_not_decide_on_training_waits_for_who_may() -> None:
    parts = Parts()
    query = await parts.approved()

    await parts.approvals.run(ADA, query.id, sql_hash=query.sql_hash)

    [learned] = parts.training_store.items.values()
    assert (learned.state, learned.author, learned.decided_by) == (TrainingState.PENDING, "ada", "")
    assert learned.query_id == query.id


async def test_a_query_of_one_who_may_decide_leaves_a_similar_text_of_another_waiting() -> None:
    parts = Parts()
    query = await parts.approved()
    other = query.sql.replace(" ", "  ", 1)
    await parts.training.add(Teacher("acme", "bo", may_decide=False), read_example(query.question, other))

    await parts.approvals.run(ADA, query.id, sql_hash=query.sql_hash, may_teach=True)

    states = {item.content.sql: item.state for item in parts.training_store.items.values()}
    assert states == {other: TrainingState.PENDING, query.sql: TrainingState.APPROVED}


GUIDES = [
    Guidance(terms=(Term("A customer is whoever we say.", "glossary.md"),)),
    Guidance(examples=(SimilarExample("How many clients?", "SELECT count(*) FROM customers", 0.9),)),
]


@pytest.mark.parametrize(("guidance", "named"), [(GUIDES[0], "glossary.md"), (GUIDES[1], "approved examples (1)")])
async def test_what_a_document_or_an_example_had_a_part_in_says_so_and_waits(guidance: Guidance, named: str) -> None:
    parts = Parts(briefing=FakeBriefing({"acme": guidance}))
    query = await parts.approved()

    await parts.approvals.run(ADA, query.id, sql_hash=query.sql_hash, may_teach=True)

    [learned] = parts.training_store.items.values()
    assert named in query.explanation
    assert learned.state is TrainingState.PENDING
    assert learned.explanation
    assert named not in learned.explanation


async def test_a_text_that_somebody_wrote_over_a_query_is_never_learned() -> None:
    parts = Parts()
    pending = await parts.pending()
    edited = await parts.approvals.edit(ADA, pending.id, sql="SELECT count(DISTINCT customer_id) FROM customers")
    await parts.approvals.approve(ADA, edited.id, sql_hash=edited.sql_hash)

    await parts.approvals.run(ADA, edited.id, sql_hash=edited.sql_hash)

    assert parts.training_store.items == {}


async def test_what_is_pending_rejected_or_failed_is_never_learned() -> None:
    parts = Parts()
    await parts.pending()
    rejected = await parts.pending()
    await parts.approvals.reject(ADA, rejected.id, reason="wrong")
    failing = await parts.approved()
    parts.target.error = QueryFailed("division by zero", sqlstate="22012")

    with pytest.raises(QueryFailed):
        await parts.approvals.run(ADA, failing.id, sql_hash=failing.sql_hash)

    assert parts.training_store.items == {}


async def test_what_policy_approved_is_never_learned() -> None:
    parts = Parts()
    query, _ = await parts.answering.answer(ADA, "How many customers do we have?", auto_approve=True)
    assert isinstance(query, SqlQuery)
    assert query.state is QueryState.EXECUTED

    assert parts.training_store.items == {}


async def test_a_store_of_examples_that_is_away_does_not_spoil_a_run() -> None:
    parts = Parts()
    parts.training_store.is_down = True
    query = await parts.approved()

    executed, _ = await parts.approvals.run(ADA, query.id, sql_hash=query.sql_hash)

    assert executed.state is QueryState.EXECUTED


async def test_a_fault_of_the_examples_does_not_spoil_a_run_either() -> None:
    parts = Parts()
    query = await parts.approved()
    parts.training_store.fault = KeyError("values")

    executed, _ = await parts.approvals.run(ADA, query.id, sql_hash=query.sql_hash)

    assert executed.state is QueryState.EXECUTED


async def test_examples_that_had_no_part_in_a_query_are_not_named_and_keep_nothing_waiting() -> None:
    parts = Parts(briefing=FakeBriefing({"acme": GUIDES[1]}))
    assert isinstance(parts.generator.outcome, SqlDraft)
    parts.generator.outcome = replace(parts.generator.outcome, uses_examples=False)
    query = await parts.approved()

    await parts.approvals.run(ADA, query.id, sql_hash=query.sql_hash, may_teach=True)

    [learned] = parts.training_store.items.values()
    assert "approved examples" not in query.explanation
    assert learned.state is TrainingState.APPROVED
