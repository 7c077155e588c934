"""Which of two sides has more: "do we have more customers in Norway or in Iceland", "which has the higher average"."""

from __future__ import annotations

from services.sql.grounding.logical_form import ColumnOf, Measure, OneOf, Operand, Ordering
from services.sql.grounding.reading_state import Reading, Unreadable

_MORE = frozenset("more higher larger greater bigger better".split())
_LESS = frozenset("fewer less lower smaller".split())


def mark_sides(reading: Reading) -> None:
    """See that two sides are set against each other, before anything looks for what "more" could name."""
    tokens = reading.tokens
    if not any(item.is_cue("or") for item in reading.items):
        return
    for item in reading.items:
        word = tokens[item.first].lower
        following = tokens[item.last + 1].lower if item.last + 1 < len(tokens) else ""
        if item.kind == "word" and word in _MORE | _LESS and following != "than":
            reading.sides = "more" if word in _MORE else "less"
            item.used = True
            return


def choose_side(reading: Reading) -> None:
    """The side of two whose measure is the greater, or the smaller.

    Raises Unreadable: the sides are not two values of one column.
    """
    if not reading.sides:
        return
    sides = [one for one in reading.conditions if isinstance(one, OneOf) and len(one.values) > 1 and not one.negated]
    if len(sides) != 1 or reading.limit is not None or reading.groups or reading.having:
        raise Unreadable("It sets sides against each other that are not values of one column.")
    measures: list[Operand] = [one for one in reading.outputs if not isinstance(one, ColumnOf)]
    if len(measures) > 1 or not reading.subject:
        raise Unreadable("It is not clear by what the sides are compared.")
    measure = measures[0] if measures else Measure("count", reading.subject)
    reading.outputs = [ColumnOf(sides[0].ref), measure]
    reading.order = [Ordering(measure, reading.sides == "more")]
    reading.limit = 1
    reading.notes.append(f"“or” → the one of {' and '.join(sides[0].values)} that has {reading.sides}")
    for item in reading.items:
        if item.is_cue("or"):
            item.used = True
