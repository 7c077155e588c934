"""One text read as one query, from the schema alone."""

from __future__ import annotations

from dataclasses import dataclass

from services.sql.grounding.accounting import refuse_unaccounted
from services.sql.grounding.commands import ONLY_READING, orders_a_change
from services.sql.grounding.compiling import compile_form
from services.sql.grounding.confidence import LEAST_CONFIDENCE, confidence_of
from services.sql.grounding.explaining import explain, unmatched_words
from services.sql.grounding.from_clause import CannotCompile
from services.sql.grounding.indexes import Index
from services.sql.grounding.linking import MOST_TOKENS, link_question
from services.sql.grounding.misreadings import refuse_misreadings
from services.sql.grounding.reading import read_question
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.separate_figures import compile_apart
from services.sql.grounding.soundness import refuse_unread_tables, refuse_unsound
from services.sql.grounding.unread_words import refuse_unread_words
from services.sql.grounding.words import split_question
from services.sql.models import NoDraft, SqlDraft


@dataclass(frozen=True)
class Outcome:
    """What became of one text, and its content words that no part of the schema stands for.

    `unlinked` says that some word is no name and no known value, even where it was taken for a value not known.
    """

    draft: SqlDraft | NoDraft
    unmatched: tuple[str, ...] = ()
    unlinked: bool = False


def read_once(question: str, index: Index) -> Outcome:
    """A draft of the text as it stands, or why there is none."""
    if len(split_question(question)) > MOST_TOKENS:
        return Outcome(NoDraft("The question is too long to be read as one query."))
    tokens, mentions = link_question(question, index.lexicon)
    if not tokens:
        return Outcome(NoDraft("There is no question."))
    if orders_a_change(tokens):
        return Outcome(NoDraft(ONLY_READING))
    unlinked = any(item.kind == "word" and item.content for item in mentions)
    loose = Reading(tokens, mentions, index.lexicon, index.graph)
    try:
        form, reading = read_question(tokens, mentions, index.lexicon, index.graph)
        refuse_unaccounted(reading)
        refuse_misreadings(form, reading)
        refuse_unsound(form, reading)
        refuse_unread_words(form, reading)
        apart = compile_apart(form, lambda one: compile_form(one, index.lexicon, index.graph))
        sql, tables = apart or compile_form(form, index.lexicon, index.graph)
        refuse_unread_tables(set(tables), reading)
    except (Unreadable, CannotCompile) as error:
        unmatched = unmatched_words(loose)
        return Outcome(NoDraft(_bounded(str(error)), unmatched), unmatched, unlinked)
    unmatched = unmatched_words(reading)
    confidence = confidence_of(form, reading, tables)
    if confidence < LEAST_CONFIDENCE:
        return Outcome(NoDraft(_thin(unmatched), unmatched), unmatched, unlinked)
    return Outcome(SqlDraft(sql, explain(form, reading), confidence, tuple(sorted(tables))), unmatched, unlinked)


def _thin(unmatched: tuple[str, ...]) -> str:
    if not unmatched:
        return "Too little of the question could be linked to the database."
    listed = ", ".join(f"“{word}”" for word in unmatched[:5])
    return _bounded(f"Nothing in the database stands for {listed}.")


def _bounded(text: str) -> str:
    return text if len(text) <= 500 else text[:499] + "…"
