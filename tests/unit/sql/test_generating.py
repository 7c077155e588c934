"""From a question to a pending query, or to the reason why there is none."""

from dataclasses import replace
from uuid import uuid4

import pytest

from services.sql.errors import DatabaseUnavailable, QueryFailed, QueryStoreUnavailable, StatementTimeout
from services.sql.fingerprints import schema_fingerprint
from services.sql.guidance import Objection
from services.sql.models import Assessment, NoDraft, QueryState, SqlDraft, SqlQuery, sql_hash
from tests.unit.sql.service_parts import ADA, BO, HOUR, START, Parts


async def test_a_draft_is_stored_guarded_and_pending() -> None:
    parts = Parts()

    query = await parts.generating.generate(ADA, "How many customers do we have?")

    assert isinstance(query, SqlQuery)
    assert query.sql == "SELECT COUNT(*) FROM public.customers LIMIT 1001"
    assert query.sql_hash == sql_hash(query.sql)
    assert query.state is QueryState.PENDING
    assert query.tables == ("public.customers",)
    assert (query.create_time, query.expire_time) == (START, START + HOUR)
    assert parts.target.ran == []
    assert (query.state_reason, query.plan_cost) == ("NOT_ASKED", parts.target.cost)


async def test_no_draft_stores_nothing_and_keeps_its_bounds() -> None:
    parts = Parts()
    parts.generator.outcome = NoDraft("because " * 100, ("weather",))

    outcome = await parts.generating.generate(ADA, "What is the weather?")

    assert isinstance(outcome, NoDraft)
    assert len(outcome.reason) == 500
    assert outcome.unmatched_words == ("weather",)
    assert parts.store.queries == {}


@pytest.mark.parametrize("sql", ["DROP TABLE customers", "SELECT pg_sleep(9)", "I cannot answer that.", ""])
async def test_a_draft_that_the_guard_refuses_is_no_answer(sql: str) -> None:
    parts = Parts()
    parts.generator.outcome = SqlDraft(sql, "", 1, ())

    outcome = await parts.generating.generate(ADA, "Drop everything")

    assert isinstance(outcome, NoDraft)
    assert parts.store.queries == {}


async def test_a_draft_that_the_guard_refuses_goes_back_with_the_reason() -> None:
    parts = Parts()
    parts.generator.outcome = SqlDraft("DROP TABLE customers", "", 1, ())
    parts.generator.repairs = [SqlDraft("SELECT count(*) FROM customers", "Counts.", 1, ())]

    query = await parts.generating.generate(ADA, "How many customers do we have?")

    assert isinstance(query, SqlQuery)
    assert parts.generator.guided[-1].objections == (Objection("DROP TABLE customers", "only SELECT is allowed"),)


async def test_a_draft_that_cannot_be_planned_goes_back_with_the_database_s_word() -> None:
    parts = Parts()
    parts.target.plan_errors = [QueryFailed("operator does not exist: text > integer", sqlstate="42883")]

    query = await parts.generating.generate(ADA, "How many customers do we have?")

    assert isinstance(query, SqlQuery)
    assert query.plan_cost == parts.target.cost
    [objection] = parts.generator.guided[-1].objections
    assert objection.reason == "operator does not exist: text > integer"


@pytest.mark.parametrize(("can_repair", "tries"), [(True, 3), (False, 1)])
async def test_repairs_end_after_two_rounds(can_repair: bool, tries: int) -> None:
    parts = Parts()
    parts.generator.can_repair = can_repair
    parts.target.plan_errors = [QueryFailed("no such operator", sqlstate="42883")] * 9

    outcome = await parts.generating.generate(ADA, "How many customers do we have?")

    assert isinstance(outcome, NoDraft)
    assert len(parts.generator.asked) == tries
    assert parts.store.queries == {}


async def test_a_draft_that_cannot_be_planned_in_time_goes_back_and_is_not_kept() -> None:
    parts = Parts()
    parts.target.plan_errors = [StatementTimeout()]

    query = await parts.generating.generate(ADA, "How many customers do we have?")

    assert isinstance(query, SqlQuery)
    assert query.plan_cost == parts.target.cost
    [objection] = parts.generator.guided[-1].objections
    assert "within its time limit" in objection.reason


async def test_a_query_waits_unplanned_while_the_planner_cannot_be_asked() -> None:
    parts = Parts()
    parts.target.plan_errors = [DatabaseUnavailable()]

    query = await parts.generating.generate(ADA, "How many customers do we have?")

    assert isinstance(query, SqlQuery)
    assert query.plan_cost is None


async def test_a_repeated_request_gives_the_same_query_and_asks_no_generator() -> None:
    parts = Parts()
    request = str(uuid4())

    first = await parts.generating.generate(ADA, "How many?", request_id=request)
    again = await parts.generating.generate(ADA, "How many?", request_id=request)
    of_another = await parts.generating.generate(BO, "How many?", request_id=request)

    assert again == first
    assert of_another != first
    assert len(parts.generator.asked) == 2


@pytest.mark.parametrize("error", [DatabaseUnavailable(), QueryStoreUnavailable()])
async def test_a_part_that_is_down_is_told(error: DatabaseUnavailable | QueryStoreUnavailable) -> None:
    parts = Parts()
    parts.reader.error = error

    with pytest.raises(type(error)):
        await parts.generating.generate(ADA, "How many customers do we have?")


async def test_assessments_are_bounded_and_sorted() -> None:
    parts = Parts()
    parts.generator.assessment = Assessment(1.7, "x" * 400, ("public.orders", "public.customers", "public.orders"))

    whole, rest = await parts.generating.assess("acme", "question", ["part one", "part two"])

    assert whole == Assessment(1.0, "x" * 300, ("public.customers", "public.orders"))
    assert rest == [whole, whole]


async def test_a_table_that_went_away_has_the_schema_read_again_and_the_question_tried_once_more() -> None:
    parts = Parts()
    await parts.knowledge.current()
    tables = tuple(table for table in parts.reader.schema.tables if table.name != "orders")
    parts.reader.schema = replace(parts.reader.schema, tables=tables, fingerprint=schema_fingerprint(tables))
    parts.target.plan_errors = [QueryFailed('relation "orders" does not exist', sqlstate="42P01")]

    query = await parts.generating.generate(ADA, "How many customers do we have?")

    assert isinstance(query, SqlQuery)
    assert parts.generator.guided[-1].objections == ()
    assert parts.reader.reads == 2
    known = parts.knowledge.known
    assert known is not None
    assert known.table("public", "orders") is None


async def test_a_name_that_was_never_there_is_an_objection_and_no_reading() -> None:
    parts = Parts()
    parts.target.plan_errors = [QueryFailed("function median does not exist", sqlstate="42883")]

    query = await parts.generating.generate(ADA, "How many customers do we have?")

    assert isinstance(query, SqlQuery)
    assert len(parts.generator.guided[-1].objections) == 1
    assert parts.reader.reads == 1


async def test_a_database_that_changes_all_the_time_is_no_answer() -> None:
    parts = Parts()
    await parts.knowledge.current()
    parts.target.plan_errors = [QueryFailed("no such column", sqlstate="42703")] * 2
    read = parts.reader.structure_digest

    async def changing() -> str:
        tables = (*parts.reader.schema.tables, replace(parts.reader.schema.tables[0], name=f"t{parts.reader.reads}"))
        parts.reader.schema = replace(parts.reader.schema, tables=tables)
        return await read()

    parts.reader.structure_digest = changing  # type: ignore[method-assign]

    outcome = await parts.generating.generate(ADA, "How many customers do we have?")

    assert isinstance(outcome, NoDraft)
    assert "being changed" in outcome.reason
