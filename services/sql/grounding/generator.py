"""The grounded generator: SQL from evidence in names, comments, types, keys and values alone, without a model."""

from __future__ import annotations

from collections.abc import Sequence

from services.sql.grounding.assessing import assess_question
from services.sql.grounding.defined_terms import read_with_terms
from services.sql.grounding.example_reuse import reuse_example
from services.sql.grounding.indexes import Index, Indexes
from services.sql.grounding.single_reading import Outcome, read_once
from services.sql.guidance import NO_GUIDANCE, Guidance
from services.sql.models import Assessment, NoDraft, Schema, SqlDraft


class GroundedGenerator:
    """Satisfies SqlGenerator. Deterministic, in process; keeps the indexes of the last schemas.

    What a person approved for the same question, or for one that differs in a value only, comes before its own reading;
    what a document says of a word that nothing in the database stands for completes it.
    """

    name = "grounded"
    can_repair = True  # where a reused query is refused, the question can still be read

    def __init__(self) -> None:
        self._indexes = Indexes()

    async def generate(self, question: str, schema: Schema, guidance: Guidance = NO_GUIDANCE) -> SqlDraft | NoDraft:
        """One SELECT, or why there is none."""
        index = await self._indexes.prepare(schema)
        return self._draft(question, schema, guidance, index)

    async def assess(
        self, questions: Sequence[str], schema: Schema, guidance: Guidance = NO_GUIDANCE
    ) -> list[Assessment]:
        """How well the schema answers each text, in the order given."""
        index = await self._indexes.prepare(schema)
        return [self._assess(question, schema, guidance, index) for question in questions]

    def draft(self, question: str, schema: Schema, guidance: Guidance = NO_GUIDANCE) -> SqlDraft | NoDraft:
        """What generate gives, for callers outside an event loop."""
        return self._draft(question, schema, guidance, self._indexes.of(schema))

    def _assess(self, question: str, schema: Schema, guidance: Guidance, index: Index) -> Assessment:
        approved = reuse_example(question, guidance.examples, schema, index.lexicon, index.graph)
        if approved is not None:
            return Assessment(approved.confidence, "A query for this question was approved before.", approved.tables)
        return assess_question(question, _read(question, guidance, index).draft, index.lexicon)

    def _draft(self, question: str, schema: Schema, guidance: Guidance, index: Index) -> SqlDraft | NoDraft:
        refused = {objection.sql for objection in guidance.objections}
        if not refused:
            approved = reuse_example(question, guidance.examples, schema, index.lexicon, index.graph)
            if approved is not None:
                return approved
        draft = _read(question, guidance, index).draft
        if isinstance(draft, SqlDraft) and draft.sql in refused:
            return NoDraft("The question was understood, but the database does not accept the query for it.")
        return draft


def _read(question: str, guidance: Guidance, index: Index) -> Outcome:
    """A reading of the question, with what documents say of words that nothing in the database stands for."""
    if guidance.terms:
        defined = read_with_terms(question, guidance.terms, index)
        if defined is not None:
            return Outcome(defined)
    return read_once(question, index)
