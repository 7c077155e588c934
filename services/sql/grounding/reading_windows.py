"""Figures set against those of the months before: "the running total by month", "change from the previous month"."""

from __future__ import annotations

import re

from services.sql.grounding.logical_form import ColumnOf, Measure, Windowed
from services.sql.grounding.reading_groups import TIME_UNITS, add_time
from services.sql.grounding.reading_state import Reading, Unreadable

_RUNNING = re.compile(r"\b(running|cumulative) (?=total|sum|count|number|amount|revenue|sales)|\bcumulative(?= )")
_CHANGE = re.compile(
    r"(?P<percent>\b(?:percentage|percent|%) )?(?:\b(?:change|changed|difference|growth|increase|grew|grow)\b )?"
    r"(?:compared )?(?:from |to |over |with |versus )?(?:"
    r"(?P<unit>day|week|month|quarter|year)(?: over | to |-over-|-to-)(?P=unit)"
    r"|(?:the )?(?:previous|prior|preceding) (?P<before>day|week|month|quarter|year))\b(?: change| growth| difference)?"
)
_SAYS_CHANGE = re.compile(r"\b(?:chang\w*|differ\w*|growth|grew|grow|increas\w*|compar\w*)\b")


def mark_windows(reading: Reading) -> None:
    """Take the words that set a figure against earlier ones out of the reading, and remember what they ask for."""
    text, starts = "", []
    for token in reading.tokens:
        text += " " if text else ""
        starts.append(len(text))
        text += token.lower
    if match := _RUNNING.search(text):
        reading.window = "running"
        _use(reading, starts, match.start(), match.start() + 1)
        return
    found = list(_CHANGE.finditer(text))
    if not found or not _SAYS_CHANGE.search(text):
        return
    reading.window = "growth" if any(match["percent"] for match in found) or "growth" in text else "change"
    unit = next(match["unit"] or match["before"] for match in found)
    reading.window_unit = TIME_UNITS[unit]
    for match in found:
        _use(reading, starts, match.start(), match.end())
    for item in reading.items:
        if _SAYS_CHANGE.fullmatch(item.text.lower()):
            item.used = True


def _use(reading: Reading, starts: list[int], first: int, last: int) -> None:
    for item in reading.items:
        if first <= starts[item.first] < last and item.kind != "table":
            item.kind, item.used = "verb", True  # "over" compares nothing here


def group_by_window(reading: Reading) -> None:
    """One row for each unit of time that is spoken of, where the question does not say so otherwise."""
    if reading.window_unit and not any(group.part for group in reading.groups):
        add_time(reading, reading.window_unit)


def read_windows(reading: Reading) -> None:
    """Put the running total, or the change, in the place of the figure.

    Raises Unreadable: there is not one figure, or nothing by which it runs.
    """
    if not reading.window:
        return
    measures = [one for one in reading.outputs if isinstance(one, Measure)]
    named_again = {ColumnOf(one.ref) for one in measures if one.ref is not None}
    reading.groups = [group for group in reading.groups if group not in named_again]
    times = [group for group in reading.groups if group.part]
    if len(measures) != 1 or len(times) != 1 or reading.limit is not None or reading.having:
        raise Unreadable("It sets a figure against earlier ones, but not one figure by one span of time.")
    if any(reading.lexicon.columns[group.ref].is_numeric for group in reading.groups):
        raise Unreadable("It sets a figure against earlier ones, but not only one.")
    others = tuple(group for group in reading.groups if group != times[0])
    windowed = Windowed(measures[0], reading.window, times[0], others)
    at = reading.outputs.index(measures[0])
    reading.outputs[at : at + 1] = [windowed] if reading.window == "running" else [measures[0], windowed]
    reading.outputs = [one for one in reading.outputs if not isinstance(one, ColumnOf) or one in reading.groups]
