"""What a query was written from besides the schema: told to whoever decides on it, and kept with it."""

from __future__ import annotations

from services.sql.guidance import Guidance
from services.sql.models import SqlDraft, SqlQuery

_MARK = "Known besides the schema when it was written:"
_MOST_NAMED = 3
_MOST_CHARACTERS = 80  # of one name


def with_provenance(draft: SqlDraft, guidance: Guidance) -> str:
    """Its explanation, with a sentence on the examples and terms that may have had a part in it."""
    explanation, known = draft.explanation, []
    if guidance.examples and draft.uses_examples:
        known.append(f"approved examples ({len(guidance.examples)})")
    documents = list(dict.fromkeys(term.document[:_MOST_CHARACTERS] for term in guidance.terms))
    if documents:
        more = " and others" if len(documents) > _MOST_NAMED else ""
        known.append(f"terms from {', '.join(documents[:_MOST_NAMED])}{more}")
    return f"{explanation} {_MARK} {'; '.join(known)}.".lstrip() if known else explanation


def without_provenance(explanation: str) -> str:
    """The explanation alone."""
    return explanation.partition(_MARK)[0].strip()


def is_guided(query: SqlQuery) -> bool:
    """Whether examples or terms had, or could have had, a part in the query."""
    return _MARK in query.explanation
