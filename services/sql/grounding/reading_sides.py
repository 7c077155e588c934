"""Which of two sides has more: "do we have more customers in Norway or in Iceland", "which has the higher average"."""

from __future__ import annotations

from services.sql.grounding.logical_form import ColumnOf, InPeriod, Measure, OneOf, Operand, Ordering
from services.sql.grounding.reading_measures import money_measure
from services.sql.grounding.reading_periods_apart import periods_by_unit
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.words import stem

_SELLING = stem("sell")
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


def read_sold_more(reading: Reading) -> None:
    """For "did we sell more in 2025 or in 2026": what was sold is measured in money where nothing else is named."""
    if not reading.sides or any(item.kind in {"table", "column"} and item.quality >= 0.7 for item in reading.items):
        return
    for index, item in enumerate(reading.items):
        if (
            reading.tokens[item.first].stem == _SELLING
            and (measure := money_measure(reading, index, "sum")) is not None
        ):
            reading.outputs.append(measure)
            reading.subject = reading.subject or measure.table
            reading.note(index, f"sum of {reading.text_of(measure.ref)}" if measure.ref is not None else "")
            return


def _earlier_or_later(reading: Reading, span: ColumnOf, measure: Operand) -> None:
    """The one of two times in which there was more, or less."""
    reading.groups = [span]
    reading.outputs = [span, measure]
    reading.order = [Ordering(measure, reading.sides == "more")]
    reading.limit = 1
    reading.notes.append(f"“or” → the {span.part or 'year'} that has {reading.sides}")
    for item in reading.items:
        if item.is_cue("or"):
            item.used = True


def choose_side(reading: Reading) -> None:
    """The side of two whose measure is the greater, or the smaller.

    Raises Unreadable: the sides are not two values of one column.
    """
    if not reading.sides:
        return
    sides = [one for one in reading.conditions if isinstance(one, OneOf) and len(one.values) > 1 and not one.negated]
    times = [one for one in reading.conditions if isinstance(one, InPeriod) and len(one.periods) == 2]
    spans = [unit for one in times if not one.negated and (unit := periods_by_unit(reading, one)) is not None]
    if (
        len(sides) + len(spans) != 1
        or len(times) != len(spans)
        or reading.limit is not None
        or reading.groups
        or reading.having
    ):
        raise Unreadable("It sets sides against each other that are not values of one column.")
    measures: list[Operand] = [one for one in reading.outputs if not isinstance(one, ColumnOf)]
    if len(measures) > 1 or not reading.subject:
        raise Unreadable("It is not clear by what the sides are compared.")
    measure = measures[0] if measures else Measure("count", reading.subject)
    if spans:
        _earlier_or_later(reading, spans[0], measure)
        return
    reading.outputs = [ColumnOf(sides[0].ref), measure]
    reading.order = [Ordering(measure, reading.sides == "more")]
    reading.limit = 1
    reading.notes.append(f"“or” → the one of {' and '.join(sides[0].values)} that has {reading.sides}")
    for item in reading.items:
        if item.is_cue("or"):
            item.used = True
