"""Alternatives of different kinds: "built before 1950 or with a capacity over 30000"."""

from __future__ import annotations

from services.sql.grounding.logical_form import AnyOf
from services.sql.grounding.reading_state import Reading


def join_alternatives(reading: Reading) -> None:
    """Make one condition of the two on both sides of an "or", where there are no others it could belong to."""
    left_over = [index for index, item in enumerate(reading.items) if item.is_cue("or") and not item.used]
    if len(left_over) != 1 or len(reading.conditions) != 2 or reading.share:
        return
    at = left_over[0]
    left, right = reading.conditions
    first, second = reading.placed.get(left), reading.placed.get(right)
    if first is None or second is None or not min(first, second) < at < max(first, second):
        return
    if first > second:
        left, right = right, left
    reading.conditions = [AnyOf((left, right))]
    reading.note(at, "either of the two")
