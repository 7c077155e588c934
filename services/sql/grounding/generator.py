"""The grounded generator: SQL from evidence in names, comments, types, keys and values alone, without a model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ParamSpec, TypeVar

from services.sql.grounding.assessing import assess_question
from services.sql.grounding.confidence import LEAST_CONFIDENCE
from services.sql.grounding.defined_terms import read_with_terms, unread_definition
from services.sql.grounding.example_reuse import reuse_example
from services.sql.grounding.indexes import SMALL_SCHEMA_COLUMNS, Index, Indexes
from services.sql.grounding.linking import link_question
from services.sql.grounding.meaning_links import CERTAINTY as OF_A_LIKENESS
from services.sql.grounding.meaning_links import MeaningLinks
from services.sql.grounding.misspellings import CERTAINTY as OF_A_CORRECTION
from services.sql.grounding.misspellings import SpellingCorrection
from services.sql.grounding.single_reading import Outcome, read_once
from services.sql.guidance import NO_GUIDANCE, Guidance
from services.sql.models import Assessment, NoDraft, Schema, SqlDraft

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class GroundedGenerator:
    """Satisfies SqlGenerator. Deterministic, in process; keeps the indexes of the last schemas.

    What a person approved for the same question, or for one that differs in a value only, comes before its own reading.
    Words that nothing in the database stands for are looked for in documents, among misspellings, and, where there are
    `meanings`, among names that mean the same.
    """

    name = "grounded"
    can_repair = True  # where a reused query is refused, the question can still be read

    def __init__(self, *, meanings: MeaningLinks | None = None) -> None:
        self._indexes = Indexes()
        self._spelling = SpellingCorrection()
        self._meanings = meanings

    async def generate(self, question: str, schema: Schema, guidance: Guidance = NO_GUIDANCE) -> SqlDraft | NoDraft:
        """One SELECT, or why there is none."""
        index = await self._indexes.prepare(schema)
        approved = await _aside(index, _reuse, question, schema, guidance, index)
        if approved is not None:
            return approved
        return _not_refused(await self._read(question, schema, guidance, index), guidance)

    async def assess(
        self, questions: Sequence[str], schema: Schema, guidance: Guidance = NO_GUIDANCE
    ) -> list[Assessment]:
        """How well the schema answers each text, in the order given."""
        index = await self._indexes.prepare(schema)
        found = []
        for question in questions:
            approved = await _aside(index, _reuse, question, schema, guidance, index)
            if approved is not None:
                reason = "A query for this question was approved before."
                found.append(Assessment(approved.confidence, reason, approved.tables))
            else:
                draft = await self._read(question, schema, guidance, index)
                found.append(await _aside(index, assess_question, question, draft, index.lexicon))
        return found

    def draft(self, question: str, schema: Schema, guidance: Guidance = NO_GUIDANCE) -> SqlDraft | NoDraft:
        """What generate gives without `meanings`, for callers outside an event loop."""
        index = self._indexes.of(schema)
        approved = _reuse(question, schema, guidance, index)
        return approved or _not_refused(self._read_alone(question, guidance, index).draft, guidance)

    async def unlinked_words(self, question: str, schema: Schema) -> tuple[str, ...]:
        """Words of the question, as written, that nothing in the schema or its values stands for."""
        index = await self._indexes.prepare(schema)
        tokens, mentions = await _aside(index, link_question, question, index.lexicon)
        loose = [item for item in mentions if item.kind == "word" and item.content]
        return tuple(tokens[place].text for item in loose for place in range(item.first, item.last + 1))

    async def _read(self, question: str, schema: Schema, guidance: Guidance, index: Index) -> SqlDraft | NoDraft:
        await self._spelling.prepare(index.lexicon)
        outcome = await _aside(index, self._read_alone, question, guidance, index)
        if self._meanings is None:
            return outcome.draft
        self._meanings.prepare(schema.fingerprint, index.lexicon)
        if isinstance(outcome.draft, SqlDraft) or not outcome.unmatched:
            return outcome.draft
        likened = await self._meanings.liken(question, schema.fingerprint, index.lexicon)
        if likened is None:
            return outcome.draft
        read = await _aside(index, self._read_alone, likened.question, guidance, index)
        again = _weakened(read, OF_A_LIKENESS, likened.told())
        return again if again is not None else outcome.draft

    def _read_alone(self, question: str, guidance: Guidance, index: Index) -> Outcome:
        """A reading of the question, with what documents say of unlinked words, and with misspelled words corrected."""
        if guidance.terms:
            defined = read_with_terms(question, guidance.terms, index)
            if defined is not None:
                return Outcome(defined)
            unread = unread_definition(question, guidance.terms, index)
            if unread is not None and isinstance(read_once(question, index).draft, SqlDraft):
                reason = (
                    f"“{unread.term}” is defined in {unread.source}, but not in a way that could be read as a query."
                )
                return Outcome(NoDraft(reason, tuple(unread.term.split())))
        plain = read_once(question, index)
        if not plain.unlinked:
            return plain
        corrected = self._spelling.correct(question, index.lexicon)
        if corrected is None:
            return plain
        again = read_once(corrected.question, index)
        draft = _weakened(again, OF_A_CORRECTION, corrected.told())
        if draft is None or (isinstance(plain.draft, SqlDraft) and plain.draft.confidence >= draft.confidence):
            return plain
        return Outcome(draft, again.unmatched, again.unlinked)


async def _aside(
    index: Index, compute: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """What is computed with the index of a large schema takes up to a second: in a thread, while others are served."""
    if len(index.lexicon.columns) <= SMALL_SCHEMA_COLUMNS:
        return compute(*arguments, **named)
    return await asyncio.to_thread(compute, *arguments, **named)


def _reuse(question: str, schema: Schema, guidance: Guidance, index: Index) -> SqlDraft | None:
    if guidance.objections:
        return None  # it may have been the reused query that was refused
    return reuse_example(question, guidance.examples, schema, index.lexicon, index.graph)


def _not_refused(draft: SqlDraft | NoDraft, guidance: Guidance) -> SqlDraft | NoDraft:
    if isinstance(draft, SqlDraft) and any(objection.sql == draft.sql for objection in guidance.objections):
        return NoDraft("The question was understood, but the database does not accept the query for it.")
    return replace(draft, uses_examples=False) if isinstance(draft, SqlDraft) else draft


def _weakened(outcome: Outcome, certainty: float, told: str) -> SqlDraft | None:
    """A draft of another wording than the question's own, less sure for that; None when not sure enough."""
    draft = outcome.draft
    if isinstance(draft, NoDraft) or draft.confidence * certainty < LEAST_CONFIDENCE:
        return None
    explanation = f"{draft.explanation} {told}"
    return replace(draft, explanation=explanation, confidence=round(draft.confidence * certainty, 3))
