"""Answering a question: evidence, decision, the sources side by side, one reply."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from services.router.errors import SourceFailed
from services.router.fusing import documents_sentences, fused_answer, nothing_found, sql_sentence
from services.router.models import (
    NO_FILTERS,
    Decision,
    DocumentAnswer,
    DocumentFilters,
    Failure,
    Part,
    Reply,
    Route,
    SqlAnswer,
    Status,
    SubQuestion,
)
from services.router.ports import DatabaseSource, DocumentSource
from services.router.questions import valid_question, valid_top_k
from services.router.routing import Thresholds, decide, decide_alone
from services.router.splitting import split_question

Given = TypeVar("Given")
First = TypeVar("First")
Second = TypeVar("Second")


@dataclass(frozen=True)
class _Wishes:
    """How an answer is to be made."""

    top_k: int
    auto_approve: bool
    filters: DocumentFilters


class Asking:
    """The one use of the router."""

    def __init__(self, *, documents: DocumentSource, database: DatabaseSource, thresholds: Thresholds) -> None:
        self._documents = documents
        self._database = database
        self._thresholds = thresholds

    async def route(self, question: str) -> Decision:
        """Where a question would go. Raises QuestionInvalid, or SourceFailed when no source says anything."""
        decision, _ = await self._decide(valid_question(question), NO_FILTERS)
        return decision

    async def ask(
        self, question: str, *, top_k: int, auto_approve: bool, filters: DocumentFilters = NO_FILTERS
    ) -> Reply:
        """Answer from the source or sources the evidence points to.

        A source that turns out to hold nothing gives way to the other where that bears on the question at all. A reply
        given while a source could not be asked is PARTIAL and lists it; where nothing was found without it, its error
        is raised: saying that there is no answer would be a guess.
        Raises: QuestionInvalid, TopKInvalid, SourceFailed.
        """
        question = valid_question(question)
        wishes = _Wishes(valid_top_k(top_k), auto_approve, filters)
        decision, missing = await self._decide(question, filters)
        if decision.ask_back:
            return Reply(Status.NEEDS_CLARIFICATION, decision, decision.ask_back)
        match decision.route:
            case Route.NONE:
                if missing:
                    raise missing[0]
                return Reply(Status.NO_ANSWER, decision, nothing_found(decision.why_not_sql))
            case Route.HYBRID:
                return await self._ask_both(question, decision, wishes)
            case route:
                reply = await self._ask_one(question, decision, route, wishes)
        if not missing:
            return reply
        if reply.status is Status.NO_ANSWER:
            raise missing[0]
        status = Status.PARTIAL if reply.status is Status.SUCCESS else reply.status
        return replace(reply, status=status, failures=[_failure(error) for error in missing])

    async def _decide(self, question: str, filters: DocumentFilters) -> tuple[Decision, list[SourceFailed]]:
        """The decision and the failures of sources that could not give evidence."""
        parts: Sequence[Part] = split_question(question)
        texts = [part.text for part in parts]
        sql, documents = await _both(
            _outcome(self._database.assess(question, texts)), _outcome(self._documents.assess(question, texts, filters))
        )
        if isinstance(sql, SourceFailed) and isinstance(documents, SourceFailed):
            raise sql
        if isinstance(sql, SourceFailed):
            assert not isinstance(documents, SourceFailed)
            missing, there, given = sql, Route.DOCUMENTS, documents
        elif isinstance(documents, SourceFailed):
            missing, there, given = documents, Route.SQL, sql
        else:
            return decide(question, parts, sql=sql, documents=documents, thresholds=self._thresholds), []
        alone = decide_alone(question, parts, there, given, thresholds=self._thresholds)
        if alone is None:
            alone = Decision(Route.NONE, 0.0, "The source that could be asked holds nothing on it.")
        said = f"{alone.reason} The other source could not be asked: {missing}"
        return replace(alone, reason=said), [missing]

    async def _ask_one(self, question: str, decision: Decision, route: Route, wishes: _Wishes) -> Reply:
        if route is Route.SQL:
            sql = await self._database.answer(decision.question_for(route, question), auto_approve=wishes.auto_approve)
            if sql.answered or not decision.other_fits:
                return _sql_reply(decision, sql)
            documents = await self._documents.answer(question, top_k=wishes.top_k, filters=wishes.filters)
            if not documents.answered:
                return replace(_sql_reply(decision, sql), answer=nothing_found(sql.explanation))
            return _documents_reply(_moved(decision, Route.DOCUMENTS, question, sql.explanation), documents)
        documents = await self._documents.answer(
            decision.question_for(route, question), top_k=wishes.top_k, filters=wishes.filters
        )
        if documents.answered or not decision.other_fits:
            return _documents_reply(decision, documents)
        sql = await self._database.answer(question, auto_approve=wishes.auto_approve)
        if not sql.answered:
            return replace(_documents_reply(decision, documents), answer=nothing_found(sql.explanation))
        return _sql_reply(_moved(decision, Route.SQL, question, documents.answer), sql)

    async def _ask_both(self, question: str, decision: Decision, wishes: _Wishes) -> Reply:
        sql, documents = await _both(
            _outcome(
                self._database.answer(decision.question_for(Route.SQL, question), auto_approve=wishes.auto_approve),
            ),
            _outcome(
                self._documents.answer(
                    decision.question_for(Route.DOCUMENTS, question), top_k=wishes.top_k, filters=wishes.filters
                )
            ),
        )
        failed = [outcome for outcome in (sql, documents) if isinstance(outcome, SourceFailed)]
        rows = None if isinstance(sql, SourceFailed) else sql
        passages = None if isinstance(documents, SourceFailed) else documents
        answered = [given.answered for given in (rows, passages) if given is not None]
        if failed and not any(answered):
            raise failed[0]
        if not any(answered):
            status, answer = Status.NO_ANSWER, nothing_found(rows.explanation if rows is not None else "")
        else:
            answer = fused_answer(rows, passages, [str(error) for error in failed])
            if rows is not None and rows.pending:
                status = Status.PENDING_APPROVAL
            else:
                status = Status.SUCCESS if answered == [True, True] else Status.PARTIAL
        return Reply(status, decision, answer, rows, passages, [_failure(error) for error in failed])


def _sql_reply(decision: Decision, sql: SqlAnswer) -> Reply:
    status = Status.PENDING_APPROVAL if sql.pending else Status.SUCCESS if sql.answered else Status.NO_ANSWER
    return Reply(status, decision, sql_sentence(sql), sql=sql)


def _documents_reply(decision: Decision, documents: DocumentAnswer) -> Reply:
    status = Status.SUCCESS if documents.answered else Status.NO_ANSWER
    return Reply(status, decision, documents_sentences(documents), documents=documents)


def _moved(decision: Decision, route: Route, question: str, why: str) -> Decision:
    """The decision after the source chosen first turned out to hold nothing."""
    first = "database" if decision.route is Route.SQL else "documents"
    return replace(
        decision,
        route=route,
        confidence=round(decision.confidence / 2, 2),
        reason=f"{decision.reason} The {first} turned out to hold no answer ({why.strip().rstrip('.')}).",
        sub_questions=(*decision.sub_questions, SubQuestion(route, question)),
    )


def _failure(error: SourceFailed) -> Failure:
    route = Route.SQL if error.source == "sql" else Route.DOCUMENTS
    return Failure(route, error.reason, str(error))


async def _outcome(call: Awaitable[Given]) -> Given | SourceFailed:
    """What a source gave, or its failure as a value, so that the other source's answer is not lost with it."""
    try:
        return await call
    except SourceFailed as error:
        return error


async def _both(first: Awaitable[First], second: Awaitable[Second]) -> tuple[First, Second]:
    """Both, side by side; an unexpected error in one stops the other."""
    async with asyncio.TaskGroup() as group:
        one = group.create_task(_awaited(first))
        two = group.create_task(_awaited(second))
    return one.result(), two.result()


async def _awaited(call: Awaitable[Given]) -> Given:
    return await call
