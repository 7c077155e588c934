import asyncio

import pytest

from services.router.asking import Asking
from services.router.errors import (
    QuestionInvalid,
    SourceFailed,
    SourceRefused,
    SourceTimeout,
    SourceUnavailable,
    TopKInvalid,
)
from services.router.models import NO_FILTERS, DocumentAnswer, DocumentFilters, Route, SqlAnswer, Status
from services.router.routing import Thresholds
from tests.fakes.router import FakeDatabaseSource, FakeDocumentSource, document_answer, sql_answer

COUNT = "How many customers do we have?"
POLICY = "What is the vacation policy?"
BOTH = "Show me total sales and explain our vacation policy"
SALES_PART, POLICY_PART = "Show me total sales", "explain our vacation policy"
BOTH_IN_SQL = {BOTH: 0.5, SALES_PART: 0.9}
BOTH_IN_DOCUMENTS = {BOTH: 0.5, POLICY_PART: 0.9}


def asking(documents: FakeDocumentSource, database: FakeDatabaseSource) -> Asking:
    return Asking(documents=documents, database=database, thresholds=Thresholds())


async def test_a_question_for_the_database_gets_its_rows_in_words() -> None:
    database = FakeDatabaseSource({COUNT: 0.9}, sql_answer([100]))

    reply = await asking(FakeDocumentSource(), database).ask(COUNT, top_k=0, auto_approve=True)

    assert reply.status is Status.SUCCESS
    assert reply.decision.route is Route.SQL
    assert reply.answer == "Customer count: 100 [query q1]."
    assert reply.documents is None
    assert database.approvals == [True]


async def test_sql_that_waits_for_approval_is_pending() -> None:
    database = FakeDatabaseSource({COUNT: 0.9}, sql_answer(pending=True))

    reply = await asking(FakeDocumentSource(), database).ask(COUNT, top_k=0, auto_approve=False)

    assert reply.status is Status.PENDING_APPROVAL
    assert reply.sql is not None
    assert reply.sql.rows == ()


async def test_a_question_for_the_documents_reads_as_many_chunks_as_asked() -> None:
    documents = FakeDocumentSource({POLICY: 0.9}, document_answer("15 days."))

    reply = await asking(documents, FakeDatabaseSource()).ask(f"  {POLICY} ", top_k=99, auto_approve=False)

    assert reply.status is Status.SUCCESS
    assert reply.decision.route is Route.DOCUMENTS
    assert documents.top_ks == [50]
    assert documents.asked == [POLICY]


async def test_documents_are_assessed_and_read_within_the_filters_of_the_question() -> None:
    documents = FakeDocumentSource({POLICY: 0.9}, document_answer("15 days."))
    filters = DocumentFilters(filenames=("handbook.md",), tags=("policies",))

    await asking(documents, FakeDatabaseSource()).ask(POLICY, top_k=3, auto_approve=False, filters=filters)

    assert documents.filters == [filters, filters]


async def test_a_hybrid_question_asks_each_source_its_part() -> None:
    documents = FakeDocumentSource(BOTH_IN_DOCUMENTS, document_answer("15 days."))
    database = FakeDatabaseSource(BOTH_IN_SQL, sql_answer([12.5], columns=["total_sales"]))

    reply = await asking(documents, database).ask(BOTH, top_k=3, auto_approve=True)

    assert reply.status is Status.SUCCESS
    assert reply.decision.route is Route.HYBRID
    assert (database.asked, documents.asked) == ([SALES_PART], [POLICY_PART])
    assert reply.answer == "Total sales: 12.5 [query q1].\n\n15 days. [handbook.md]"


async def test_both_sources_of_a_hybrid_question_are_asked_side_by_side() -> None:
    meeting = asyncio.Barrier(2)

    class MeetingDocuments(FakeDocumentSource):
        async def answer(self, question: str, *, top_k: int, filters: DocumentFilters = NO_FILTERS) -> DocumentAnswer:
            await meeting.wait()
            return document_answer("15 days.")

    class MeetingDatabase(FakeDatabaseSource):
        async def answer(self, question: str, *, auto_approve: bool) -> SqlAnswer:
            await meeting.wait()
            return sql_answer([1])

    subject = asking(MeetingDocuments(BOTH_IN_DOCUMENTS), MeetingDatabase(BOTH_IN_SQL))

    async with asyncio.timeout(5):
        reply = await subject.ask(BOTH, top_k=3, auto_approve=True)

    assert reply.status is Status.SUCCESS


async def test_a_hybrid_question_with_sql_that_waits_is_pending_and_gives_the_documents() -> None:
    documents = FakeDocumentSource(BOTH_IN_DOCUMENTS, document_answer("15 days."))

    reply = await asking(documents, FakeDatabaseSource(BOTH_IN_SQL, sql_answer(pending=True))).ask(
        BOTH, top_k=3, auto_approve=False
    )

    assert reply.status is Status.PENDING_APPROVAL
    assert "15 days." in reply.answer


async def test_a_hybrid_question_of_which_one_source_fails_is_partial() -> None:
    documents = FakeDocumentSource(BOTH_IN_DOCUMENTS, document_answer("15 days."))
    database = FakeDatabaseSource(BOTH_IN_SQL, answer_failure=SourceTimeout("sql"))

    reply = await asking(documents, database).ask(BOTH, top_k=3, auto_approve=True)

    assert reply.status is Status.PARTIAL
    assert reply.sql is None
    assert [(failure.route, failure.reason) for failure in reply.failures] == [(Route.SQL, "SOURCE_TIMEOUT")]
    assert "15 days." in reply.answer
    assert "did not answer in time" in reply.answer


async def test_a_hybrid_question_of_which_one_source_holds_nothing_is_partial() -> None:
    documents = FakeDocumentSource(BOTH_IN_DOCUMENTS)
    database = FakeDatabaseSource(BOTH_IN_SQL, sql_answer([1]))

    reply = await asking(documents, database).ask(BOTH, top_k=3, auto_approve=True)

    assert reply.status is Status.PARTIAL
    assert reply.failures == []


async def test_a_hybrid_question_of_which_no_source_holds_anything_has_no_answer() -> None:
    subject = asking(FakeDocumentSource(BOTH_IN_DOCUMENTS), FakeDatabaseSource(BOTH_IN_SQL))

    reply = await subject.ask(BOTH, top_k=3, auto_approve=True)

    assert reply.status is Status.NO_ANSWER


async def test_a_hybrid_question_whose_sources_all_fail_ends_with_the_error() -> None:
    documents = FakeDocumentSource(BOTH_IN_DOCUMENTS, answer_failure=SourceUnavailable("rag"))
    database = FakeDatabaseSource(BOTH_IN_SQL, answer_failure=SourceUnavailable("sql"))

    with pytest.raises(SourceUnavailable):
        await asking(documents, database).ask(BOTH, top_k=3, auto_approve=True)


async def test_a_failing_source_is_not_hidden_behind_one_that_holds_nothing() -> None:
    database = FakeDatabaseSource(BOTH_IN_SQL, answer_failure=SourceUnavailable("sql"))

    with pytest.raises(SourceUnavailable):
        await asking(FakeDocumentSource(BOTH_IN_DOCUMENTS), database).ask(BOTH, top_k=3, auto_approve=True)


async def test_a_question_neither_source_bears_on_is_not_asked_at_all() -> None:
    documents, database = FakeDocumentSource(), FakeDatabaseSource()

    reply = await asking(documents, database).ask("Who won the cup in 1966?", top_k=3, auto_approve=True)

    assert reply.status is Status.NO_ANSWER
    assert reply.decision.route is Route.NONE
    assert documents.asked == database.asked == []
    assert reply.answer == "Neither the documents nor the database hold an answer to this. Nothing bears on it."


async def test_documents_take_over_when_the_database_turns_out_to_hold_nothing() -> None:
    documents = FakeDocumentSource({POLICY: 0.5}, document_answer("15 days."))
    database = FakeDatabaseSource({POLICY: 0.8})

    reply = await asking(documents, database).ask(POLICY, top_k=3, auto_approve=True)

    assert reply.status is Status.SUCCESS
    assert reply.decision.route is Route.DOCUMENTS
    assert "turned out to hold no answer" in reply.decision.reason


async def test_the_database_takes_over_when_the_documents_turn_out_to_hold_nothing() -> None:
    documents, database = FakeDocumentSource({COUNT: 0.8}), FakeDatabaseSource({COUNT: 0.5}, sql_answer([100]))

    reply = await asking(documents, database).ask(COUNT, top_k=3, auto_approve=True)

    assert reply.decision.route is Route.SQL
    assert reply.answer.startswith("Customer count: 100")


async def test_a_source_below_the_floor_does_not_take_over() -> None:
    documents, database = FakeDocumentSource({COUNT: 0.8}), FakeDatabaseSource({COUNT: 0.1}, sql_answer([100]))

    reply = await asking(documents, database).ask(COUNT, top_k=3, auto_approve=True)

    assert reply.status is Status.NO_ANSWER
    assert database.asked == []


@pytest.mark.parametrize("chosen", ["documents", "database"])
async def test_two_sources_that_hold_nothing_after_all_give_no_answer(chosen: str) -> None:
    scores = {"documents": (0.8, 0.5), "database": (0.5, 0.8)}[chosen]
    documents, database = FakeDocumentSource({COUNT: scores[0]}), FakeDatabaseSource({COUNT: scores[1]})

    reply = await asking(documents, database).ask(COUNT, top_k=3, auto_approve=True)

    assert reply.status is Status.NO_ANSWER
    assert (len(documents.asked), len(database.asked)) == (1, 1)


@pytest.mark.parametrize("scores", [(0.8, 0.5), (0.5, 0.8)])
async def test_a_reply_without_an_answer_says_why_the_database_has_none(scores: tuple[float, float]) -> None:
    unclear = SqlAnswer(answered=False, explanation="It is not clear what “late” is")
    documents, database = FakeDocumentSource({COUNT: scores[0]}), FakeDatabaseSource({COUNT: scores[1]}, unclear)

    alone = await asking(documents, database).ask(COUNT, top_k=3, auto_approve=True)
    both = await asking(FakeDocumentSource(BOTH_IN_DOCUMENTS), FakeDatabaseSource(BOTH_IN_SQL, unclear)).ask(
        BOTH, top_k=3, auto_approve=True
    )

    for reply in (alone, both):
        assert reply.answer == (
            "Neither the documents nor the database hold an answer to this. It is not clear what “late” is."
        )


async def test_equal_and_weak_evidence_asks_back_and_runs_nothing() -> None:
    documents, database = FakeDocumentSource({COUNT: 0.4}), FakeDatabaseSource({COUNT: 0.4}, sql_answer([100]))

    reply = await asking(documents, database).ask(COUNT, top_k=3, auto_approve=True)

    assert reply.status is Status.NEEDS_CLARIFICATION
    assert reply.answer.startswith("Do you mean")
    assert database.asked == []


async def test_a_source_that_is_down_does_not_stop_the_other() -> None:
    documents = FakeDocumentSource({POLICY: 0.9}, document_answer("15 days."))
    database = FakeDatabaseSource(failure=SourceUnavailable("sql"))

    reply = await asking(documents, database).ask(POLICY, top_k=3, auto_approve=True)

    assert reply.status is Status.PARTIAL
    assert reply.answer == "15 days. [handbook.md]"
    assert [(failure.route, failure.reason) for failure in reply.failures] == [(Route.SQL, "SOURCE_UNAVAILABLE")]
    assert "could not be asked" in reply.decision.reason


async def test_the_part_of_a_question_that_the_living_source_can_answer_is_answered() -> None:
    documents = FakeDocumentSource({POLICY_PART: 0.9}, document_answer("15 days."))
    database = FakeDatabaseSource(failure=SourceUnavailable("sql"))

    reply = await asking(documents, database).ask(BOTH, top_k=3, auto_approve=True)

    assert reply.status is Status.PARTIAL
    assert documents.asked == [POLICY_PART]
    assert [failure.route for failure in reply.failures] == [Route.SQL]


@pytest.mark.parametrize("score", [0.1, 0.9])
async def test_nothing_found_while_a_source_is_down_is_that_sources_error(score: float) -> None:
    database = FakeDatabaseSource(failure=SourceUnavailable("sql"))

    with pytest.raises(SourceUnavailable):
        await asking(FakeDocumentSource({COUNT: score}), database).ask(COUNT, top_k=3, auto_approve=True)


async def test_two_sources_that_are_down_are_an_error() -> None:
    subject = asking(
        FakeDocumentSource(failure=SourceUnavailable("rag")), FakeDatabaseSource(failure=SourceTimeout("sql"))
    )

    with pytest.raises(SourceFailed):
        await subject.ask(COUNT, top_k=3, auto_approve=True)
    with pytest.raises(SourceFailed):
        await subject.route(COUNT)


async def test_the_only_needed_sources_own_error_is_passed_on_as_it_came() -> None:
    refusal = SourceRefused("sql", "DATABASE_UNAVAILABLE", "The database cannot be reached.", remote=object())
    database = FakeDatabaseSource({COUNT: 0.9}, answer_failure=refusal)

    with pytest.raises(SourceRefused) as raised:
        await asking(FakeDocumentSource(), database).ask(COUNT, top_k=3, auto_approve=True)

    assert raised.value is refusal


async def test_an_unexpected_error_is_not_taken_for_a_failing_source() -> None:
    subject = asking(FakeDocumentSource(failure=ZeroDivisionError()), FakeDatabaseSource())

    with pytest.raises(ExceptionGroup):
        await subject.ask(COUNT, top_k=3, auto_approve=True)


@pytest.mark.parametrize("question", ["", " \n ", "x" * 4_001, "a\0b", "bell \x07", "\x9f"])
async def test_what_is_no_question_is_refused(question: str) -> None:
    subject = asking(FakeDocumentSource(), FakeDatabaseSource())

    with pytest.raises(QuestionInvalid):
        await subject.ask(question, top_k=3, auto_approve=True)
    with pytest.raises(QuestionInvalid):
        await subject.route(question)


async def test_4000_characters_with_line_ends_are_a_question() -> None:
    decision = await asking(FakeDocumentSource(), FakeDatabaseSource()).route(("x" * 99 + "\n") * 40)

    assert decision.route is Route.NONE


async def test_a_negative_number_of_chunks_is_refused() -> None:
    with pytest.raises(TopKInvalid):
        await asking(FakeDocumentSource(), FakeDatabaseSource()).ask(COUNT, top_k=-1, auto_approve=True)


async def test_routing_alone_asks_no_source_for_an_answer() -> None:
    documents, database = FakeDocumentSource(), FakeDatabaseSource({COUNT: 0.9})

    decision = await asking(documents, database).route(COUNT)

    assert decision.route is Route.SQL
    assert documents.asked == database.asked == []
