"""Ratios: "the ratio of delivered to cancelled orders", "the average number of orders per customer"."""

from __future__ import annotations

from dataclasses import replace

from services.sql.grounding.logical_form import Compare, Condition, InPeriod, Measure, OneOf, Ratio
from services.sql.grounding.reading_measures import is_money_word, money_measure
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.reading_values import choose_value
from services.sql.grounding.words import stem
from services.sql.models import ColumnKind

GROWTH = frozenset(
    stem(word) for word in ("grow", "growth", "increase", "decrease", "change", "decline", "rise", "drop")
)
GROWN = frozenset(stem(word) for word in ("grow", "growth"))
REQUESTS = frozenset({"return", "show", "display", "list", "give", "report", "include"})
SEPARATORS = frozenset({"to", "and", "over", "versus", "vs"})


def read_ratios(reading: Reading) -> None:
    """Turn each ratio into one output; its sides keep their own conditions."""
    for index, item in enumerate(reading.items):
        if item.used:
            continue
        said = item.is_cue("ratio") or item.text.lower() == "ratio"
        if said and any(isinstance(one, Ratio) for one in reading.outputs):
            item.used = True  # "Return the club and the ratio"
        elif item.is_cue("ratio"):
            _ratio(reading, index)
        elif item.is_cue("aggregate") and item.cue is not None and item.cue.data == "avg":
            _average_count(reading, index)


def _average_count(reading: Reading, index: int) -> None:
    """For "average number of X per Y": rows of X by rows of Y that have any."""
    items = reading.items
    at = index + 1
    if items[index].text == "on average":  # "how many orders does each customer have on average"
        at = next((one for one in range(len(items)) if items[one].is_cue("count")), index)
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


def read_differences(reading: Reading) -> None:
    """Turn each difference into one output, before its "highest" and "lowest" are taken for choices of rows."""
    for index, item in enumerate(reading.items):
        if item.is_cue("difference") and not item.used:
            _ratio(reading, index)


def read_growth(reading: Reading) -> None:
    """For "by what percentage did sales grow from 2023 to 2024": the change of one measure between two periods.

    Raises Unreadable: it asks for growth, but not between two periods.
    """
    items = reading.items
    said = next((token for token in reading.tokens if token.stem in GROWTH), None)
    periods = [index for index, item in enumerate(items) if item.period is not None and not item.used]
    if reading.window:
        return
    if said is None or (
        not any(one.is_cue("share") or one.text == "how much" for one in items) and said.stem not in GROWN
    ):
        return
    if said.stem == "grow" and not periods:
        return  # "crops that are grown on"
    if len(periods) != 2 or any(one.is_cue("group", "by") and one.first > said.start for one in items):
        raise Unreadable(f"It asks for “{said.text}”, but not between two spans of time.")
    measure = _measured(reading)
    date = reading.date_column([measure.table]) if measure is not None else None
    first, last = items[periods[0]].period, items[periods[1]].period
    if measure is None or date is None or first is None or last is None:
        raise Unreadable(f"It is not clear what “{said.text}” is about.")
    before, after = (InPeriod(date.ref, (first,)),), (InPeriod(date.ref, (last,)),)
    is_amount = any(one.text == "how much" for one in items) and not any(one.is_cue("share") for one in items)
    combine = "difference" if is_amount else "growth"
    reading.outputs.append(Ratio(measure, measure, after, before, combine=combine))
    reading.subject = measure.table
    reading.notes.append(f"“{said.text}” → change of {reading.text_of(date.ref)} in {last.text} from {first.text}")
    for index, item in enumerate(items):
        text = item.text.lower()
        if (
            index in periods
            or item.is_cue("share", "compare", "between", "by", "and", "pair", "aggregate")
            or reading.tokens[item.first].stem in GROWTH
            or text in {"compared", "rate", "percent"}
        ):
            item.used = True


def _measured(reading: Reading) -> Measure | None:
    """The one measure a question names: money, a number, or rows of a table."""
    for index, item in enumerate(reading.items):
        if is_money_word(reading, index) and (money := money_measure(reading, index, item.swallowed or "sum")):
            reading.note(index, "")
            return money
    for index, item in enumerate(reading.items):
        entry = reading.column_of(index, wanted="numeric") if item.kind == "column" and item.quality >= 0.6 else None
        if entry is not None and not entry.is_year:
            reading.note(index, "")
            said = [one.cue.data for one in reading.items[:index] if one.is_cue("aggregate") and one.cue is not None]
            return Measure(said[-1] if said else "sum", entry.table, entry.ref)
    for index, item in enumerate(reading.items):
        if item.kind == "table" and (table := reading.table_of(index)) is not None:
            reading.note(index, "")
            return Measure("count", table)
    return None


def _ratio(reading: Reading, index: int) -> None:
    items = reading.items
    combine = "difference" if items[index].is_cue("difference") else "ratio"
    start = items[index].last + 1
    separator = next((at for at in range(start, len(reading.tokens)) if reading.tokens[at].lower in SEPARATORS), None)
    if separator is None:
        raise Unreadable("It asks for a ratio, but not of which two numbers.")
    end = next(
        (one.first for one in items if one.first > separator and one.is_cue("group", "by", "order", "relative")),
        len(reading.tokens),
    )
    for at in range(separator + 1, end):
        if reading.tokens[at].lower in {"for", "among", "by", "per", *REQUESTS}:
            end = at
            break
    if combine == "difference" and any(
        item.is_cue("superlative") and item.text in {"first", "last", "latest", "earliest", "most recent"}
        for item in items
        if start <= item.first < end
    ):
        _first_to_last(reading, index, start, end)
        return
    upper, upper_if = _side(reading, start, separator)
    lower, lower_if = _side(reading, separator + 1, end)
    if (
        upper is None
        and lower is not None
        and combine == "difference"
        and (said := _extreme_said(reading, start, separator))
    ):
        upper = replace(lower, function=said)  # "between the highest and the lowest wage"
    measure = lower or upper
    if measure is None and reading.subject:
        measure = Measure("count", reading.subject)
    if measure is None or (upper is None and not upper_if) or (lower is None and not lower_if):
        raise Unreadable("It asks for a ratio, but not of which two numbers.")
    kinds = [one for one in (upper, lower) if one is not None and one.function == "count" and one.ref is None]
    if combine == "ratio" and len({one.table for one in kinds}) == 2 and end < len(reading.tokens):
        raise Unreadable("It asks for a ratio of rows of two tables for each of something.")
    if combine == "difference":
        if upper is not None and lower is None:
            lower = measure = upper
        if len({one.function for one in (upper or measure, lower or measure)} & {"max", "min"}) == 1:
            raise Unreadable("It asks for a difference, but not of which two numbers.")
        same_column = upper is not None and lower is not None and upper.ref == lower.ref
        if same_column and not (upper_if and lower_if):
            reading.conditions.extend([*upper_if, *lower_if])  # "the highest and the lowest wage of pickers"
            upper_if, lower_if = [], []
        if (upper, upper_if) == (lower, lower_if) or ((upper_if or lower_if) and not (upper_if and lower_if)):
            raise Unreadable("It asks for a difference, but not of which two numbers.")
    reading.outputs.append(Ratio(upper or measure, lower or measure, tuple(upper_if), tuple(lower_if), combine=combine))
    reading.note(index, "one number divided by the other" if combine == "ratio" else "one number less the other")
    reading.subject = reading.subject or measure.table
    for item in items:
        if item.first == separator:
            item.used = True


def _first_to_last(reading: Reading, index: int, start: int, end: int) -> None:
    """For "between the first and the last visit": the time between the two dates. Raises Unreadable: it has none."""
    items = reading.items
    inside = [at for at, item in enumerate(items) if start <= item.first < end]
    tables = [table for at in inside if items[at].kind == "table" and (table := reading.table_of(at))]
    date = reading.date_column(tables[:1]) if tables else None
    sides = {item.text for at in inside if (item := items[at]).is_cue("superlative")}
    is_span = len(sides & {"first", "earliest"}) == 1 and len(sides - {"first", "earliest"}) == 1
    if date is None or date.table != tables[0] or not is_span:
        raise Unreadable("It asks for a difference, but not of which two numbers.")
    said = {token.lower for token in reading.tokens[: items[inside[0]].last + 1]}
    if said & {"hours", "minutes", "weeks", "months"}:
        raise Unreadable("It asks for a time in a unit that the dates do not give.")
    last, first = (Measure(function, date.table, date.ref) for function in ("max", "min"))
    reading.outputs.append(Ratio(last, first, combine="difference"))
    reading.note(index, f"last {reading.text_of(date.ref)} less the first")
    for at in inside:
        if not items[at].is_cue("group"):
            items[at].used = items[at].used or at <= next(one for one in inside if items[one].kind == "table")


def _extreme_said(reading: Reading, start: int, end: int) -> str:
    """The aggregate that alone stands on one side: "the highest", "the average"."""
    for item in reading.items:
        if start <= item.first < end and item.cue is not None and item.is_cue("superlative", "aggregate"):
            return {"desc": "max", "asc": "min"}.get(item.cue.data, item.cue.data)
    return ""


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
        elif item.is_cue("superlative") and item.cue is not None and not item.cue.hints:
            function = "max" if item.cue.data == "desc" else "min"
        elif item.values and not (item.kind == "table" and item.quality >= 0.95):
            link = choose_value(reading, index)
            conditions.append(OneOf(link.entry.ref, (link.value,)))
        elif is_money_word(reading, index) and function != "count":
            measure = money_measure(reading, index, function or "sum") or measure
        elif item.kind == "column" and (entry := reading.column_of(index)) is not None:
            if item.swallowed in {"max", "min"}:
                raise Unreadable(f"It is not clear whether “{item.text}” is a column or taken over one.")
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
