"""Ratios: "the ratio of delivered to cancelled orders", "the average number of orders per customer"."""

from __future__ import annotations

from services.sql.grounding.logical_form import Compare, Condition, Measure, OneOf, Ratio
from services.sql.grounding.reading_measures import is_money_word, money_measure
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.reading_values import choose_value
from services.sql.models import ColumnKind

SEPARATORS = frozenset({"to", "and", "over", "versus", "vs"})


def read_ratios(reading: Reading) -> None:
    """Turn each ratio into one output; its sides keep their own conditions."""
    for index, item in enumerate(reading.items):
        if item.used:
            continue
        if item.is_cue("ratio"):
            _ratio(reading, index)
        elif item.is_cue("aggregate") and item.cue is not None and item.cue.data == "avg":
            _average_count(reading, index)


def _average_count(reading: Reading, index: int) -> None:
    """For "average number of X per Y": rows of X by rows of Y that have any."""
    items = reading.items
    at = index + 1
    if items[index].text == "on average":  # "how many orders does each customer have on average"
        at = next((one for one in range(index) if items[one].is_cue("count")), index)
    if at + 2 >= len(items) or not items[at].is_cue("count") or items[at + 1].kind != "table":
        return
    counted = reading.table_of(at + 1)
    per = next((one for one in range(at + 2, len(items)) if items[one].is_cue("group", "by")), None)
    if per is None or per + 1 >= len(items) or counted is None:
        return
    owner = reading.table_of(per + 1) if items[per + 1].kind == "table" else None
    if owner is None or owner == counted or reading.graph.path((counted,), owner, to_one=True) is None:
        return
    reading.outputs.append(Ratio(Measure("count", counted), Measure("count", owner)))
    reading.subject = counted
    for one in (index, at, at + 1, per, per + 1):
        reading.note(one, "")
    reading.notes.append(f"“{items[index].text}” → rows of {counted} divided by rows of {owner} that have some")


def _ratio(reading: Reading, index: int) -> None:
    items = reading.items
    start = items[index].last + 1
    separator = next((at for at in range(start, len(reading.tokens)) if reading.tokens[at].lower in SEPARATORS), None)
    if separator is None:
        raise Unreadable("It asks for a ratio, but not of which two numbers.")
    end = next(
        (one.first for one in items if one.first > separator and one.is_cue("group", "by", "order", "relative")),
        len(reading.tokens),
    )
    for at in range(separator + 1, end):
        if reading.tokens[at].lower in {"for", "among", "by", "per"}:
            end = at
            break
    upper, upper_if = _side(reading, start, separator)
    lower, lower_if = _side(reading, separator + 1, end)
    measure = lower or upper
    if measure is None and reading.subject:
        measure = Measure("count", reading.subject)
    if measure is None or (upper is None and not upper_if) or (lower is None and not lower_if):
        raise Unreadable("It asks for a ratio, but not of which two numbers.")
    reading.outputs.append(Ratio(upper or measure, lower or measure, tuple(upper_if), tuple(lower_if)))
    reading.note(index, "one number divided by the other")
    reading.subject = reading.subject or measure.table
    for item in items:
        if item.first == separator:
            item.used = True


def _side(reading: Reading, start: int, end: int) -> tuple[Measure | None, list[Condition]]:
    """One side of a ratio: what is counted or added up, and under which conditions."""
    measure: Measure | None = None
    function = ""
    conditions: list[Condition] = []
    for index, item in enumerate(reading.items):
        if item.first < start or item.last >= end or item.used:
            continue
        if item.is_cue("count", "aggregate") and item.cue is not None:
            function = "count" if item.cue.kind == "count" else item.cue.data
        elif item.values:
            link = choose_value(reading, index)
            conditions.append(OneOf(link.entry.ref, (link.value,)))
        elif is_money_word(reading, index) and function != "count":
            measure = money_measure(reading, index, function or "sum") or measure
        elif item.kind == "column" and (entry := reading.column_of(index)) is not None:
            if entry.column.kind is ColumnKind.BOOLEAN:
                conditions.append(Compare(entry.ref, "=", True))
            elif entry.is_numeric and function != "count":
                measure = Measure(function or item.swallowed or "sum", entry.table, entry.ref)
            elif measure is None:
                measure = Measure("count", entry.table, entry.ref, distinct=True)
        elif item.kind == "table" and measure is None and (table := reading.table_of(index)) is not None:
            measure = Measure("count", table)
        elif item.kind in {"word", "number", "quoted", "period"} and item.content:
            raise Unreadable(f"It is not clear what “{item.text}” is in the ratio.")
        item.used = True
    return measure, conditions
