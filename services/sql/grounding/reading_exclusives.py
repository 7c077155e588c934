"""Rows that have to do with one thing and no other: "customers who only bought books"."""

from __future__ import annotations

from dataclasses import replace

from services.sql.grounding.logical_form import Exists, OneOf
from services.sql.grounding.reading_state import Reading

ONLY = frozenset({"only", "solely", "exclusively"})
_REACH = 3  # items between "only" and the value


def read_only(reading: Reading) -> None:
    """Beside each far value that "only" stands before: no related row has another one.

    A column that may be empty says nothing of the rows where it is: those are no other value.
    """
    for place, token in enumerate(reading.tokens):
        if token.lower not in ONLY or not reading.subject:
            continue
        for condition, index in list(reading.placed.items()):
            item = reading.items[index]
            near = sum(1 for one in reading.items if place < one.first < item.first) <= _REACH
            if not isinstance(condition, OneOf) or condition.negated or item.first < place or not near:
                continue
            table = condition.ref[0]
            if table == reading.subject or reading.graph.path((reading.subject,), table, to_one=True) is not None:
                continue
            other = replace(condition, negated=True)
            reading.conditions.append(Exists(reading.subject, table, (other,), negated=True))
            reading.notes.append(f"“{token.text}” → no other {reading.text_of(condition.ref)}")
            return
