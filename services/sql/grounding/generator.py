"""The grounded generator: SQL from evidence in names, comments, types, keys and values alone, without a model."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from services.sql.grounding.assessing import assess_question
from services.sql.grounding.compiling import compile_form
from services.sql.grounding.example_reuse import reuse_example
from services.sql.grounding.explaining import confidence_of, explain, unmatched_words
from services.sql.grounding.from_clause import CannotCompile
from services.sql.grounding.join_paths import JoinGraph, build_join_graph, with_keys_spelled_out
from services.sql.grounding.lexicon import Lexicon, build_lexicon, read_names
from services.sql.grounding.linking import MOST_TOKENS, link_question
from services.sql.grounding.reading import read_question
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.words import split_question
from services.sql.guidance import NO_GUIDANCE, Guidance
from services.sql.models import Assessment, NoDraft, Schema, SqlDraft

LEAST_CONFIDENCE = 0.435  # below, more answers were wrong than right
KEPT_SCHEMAS = 8


@dataclass(frozen=True)
class Index:
    """What is computed once for each schema."""

    lexicon: Lexicon
    graph: JoinGraph


class GroundedGenerator:
    """Satisfies SqlGenerator. Deterministic, in process, without network; keeps the indexes of the last schemas.

    What a person approved for the same question, or for one that differs in a value only, comes before its own reading.
    """

    name = "grounded"
    can_repair = True  # where a reused query is refused, the question can still be read

    def __init__(self) -> None:
        self._indexes: OrderedDict[str | int, tuple[Schema, Index]] = OrderedDict()

    async def generate(self, question: str, schema: Schema, guidance: Guidance = NO_GUIDANCE) -> SqlDraft | NoDraft:
        """One SELECT, or why there is none."""
        return self.draft(question, schema, guidance)

    async def assess(
        self, questions: Sequence[str], schema: Schema, guidance: Guidance = NO_GUIDANCE
    ) -> list[Assessment]:
        """How well the schema answers each text, in the order given."""
        index = self._index_of(schema)
        return [self._assess(question, schema, guidance, index) for question in questions]

    def _assess(self, question: str, schema: Schema, guidance: Guidance, index: Index) -> Assessment:
        approved = reuse_example(question, guidance.examples, schema, index.lexicon, index.graph)
        if approved is not None:
            return Assessment(approved.confidence, "A query for this question was approved before.", approved.tables)
        return assess_question(question, self._read(question, index), index.lexicon)

    def draft(self, question: str, schema: Schema, guidance: Guidance = NO_GUIDANCE) -> SqlDraft | NoDraft:
        """What generate gives, for callers outside an event loop."""
        index = self._index_of(schema)
        refused = {objection.sql for objection in guidance.objections}
        if not refused:
            approved = reuse_example(question, guidance.examples, schema, index.lexicon, index.graph)
            if approved is not None:
                return approved
        draft = self._read(question, index)
        if isinstance(draft, SqlDraft) and draft.sql in refused:
            return NoDraft("The question was understood, but the database does not accept the query for it.")
        return draft

    def _read(self, question: str, index: Index) -> SqlDraft | NoDraft:
        """A draft from the schema alone."""
        if len(split_question(question)) > MOST_TOKENS:
            return NoDraft("The question is too long to be read as one query.")
        tokens, mentions = link_question(question, index.lexicon)
        if not tokens:
            return NoDraft("There is no question.")
        loose = Reading(tokens, mentions, index.lexicon, index.graph)
        try:
            form, reading = read_question(tokens, mentions, index.lexicon, index.graph)
            sql, tables = compile_form(form, index.lexicon, index.graph)
        except (Unreadable, CannotCompile) as error:
            return NoDraft(_bounded(str(error)), unmatched_words(loose))
        unmatched = unmatched_words(reading)
        confidence = confidence_of(reading)
        if confidence < LEAST_CONFIDENCE:
            return NoDraft(_thin(unmatched), unmatched)
        return SqlDraft(sql, explain(form, reading), confidence, tuple(sorted(tables)))

    def _index_of(self, schema: Schema) -> Index:
        key: str | int = schema.fingerprint or id(schema)
        known = self._indexes.get(key)
        if known is not None and (schema.fingerprint or known[0] is schema):
            self._indexes.move_to_end(key)
            return known[1]
        names = read_names(schema)
        graph = build_join_graph(schema, names)
        index = Index(build_lexicon(schema, with_keys_spelled_out(names, graph), graph.key_columns), graph)
        self._indexes[key] = (schema, index)
        while len(self._indexes) > KEPT_SCHEMAS:
            self._indexes.popitem(last=False)
        return index


def _thin(unmatched: tuple[str, ...]) -> str:
    if not unmatched:
        return "Too little of the question could be linked to the database."
    listed = ", ".join(f"“{word}”" for word in unmatched[:5])
    return _bounded(f"Nothing in the database stands for {listed}.")


def _bounded(text: str) -> str:
    return text if len(text) <= 500 else text[:499] + "…"
