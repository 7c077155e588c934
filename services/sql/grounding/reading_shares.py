"""Shares: "what percentage of orders were cancelled", "share of revenue by category"."""

from __future__ import annotations

from services.sql.grounding.logical_form import Condition, InPeriod, Measure, PartOfAll, Ratio
from services.sql.grounding.reading_state import Reading, Unreadable


def read_share(reading: Reading) -> None:
    """The percentage of rows, or of a sum, that meets the conditions; or that each group has of the total.

    Raises Unreadable: it is not said of what.
    """
    for index, item in enumerate(reading.items):
        if not item.is_cue("share") or item.used:
            continue
        when: list[Condition] = [one for one in reading.conditions if isinstance(one, InPeriod)]
        which: list[Condition] = [one for one in reading.conditions if not isinstance(one, InPeriod)]
        if not which and reading.groups:
            reading.outputs = [PartOfAll(_shared_measure(reading) or Measure("count", reading.subject))]
            reading.note(index, "part of the total over all groups")
            _use_counts(reading)
            continue
        if not which:
            which, when = when, []
        if not which:
            raise Unreadable("It asks for a share, but not of what.")
        reading.conditions = when  # "in 2025" says of which rows; the rest says what part of them
        measure = _shared_measure(reading)
        if measure is not None or reading.groups:
            measure = measure or Measure("count", reading.subject)
            reading.outputs = [Ratio(measure, measure, tuple(which), is_percentage=True)]
        else:
            reading.share = which
        reading.note(index, "percentage of rows")
        _use_counts(reading)


def _use_counts(reading: Reading) -> None:
    for one in reading.items:
        if one.is_cue("count", "aggregate"):
            one.used = True


def _shared_measure(reading: Reading) -> Measure | None:
    """The sum that "percentage of revenue" is a part of; None when rows are counted."""
    sums = [one for one in reading.outputs if isinstance(one, Measure) and one.function == "sum"]
    return sums[0] if len(sums) == 1 else None
