"""Shares: "what percentage of orders were cancelled", "share of revenue by category"."""

from __future__ import annotations

from services.sql.grounding.logical_form import (
    ColumnOf,
    Condition,
    Exists,
    InPeriod,
    Measure,
    Ordering,
    PartOfAll,
    Ratio,
)
from services.sql.grounding.reading_groups import group_by_table
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
        if not which and reading.groups and reading.share_order is None:
            _refuse_unread_state(reading, index)
            part = _shared_measure(reading, index) or Measure("count", _shared_rows(reading, index))
            reading.outputs = [PartOfAll(part)]
            reading.note(index, "part of the total over all groups")
            _use_counts(reading)
            continue
        if not which:
            which, when = when, []
        if not which:
            raise Unreadable("It asks for a share, but not of what.")
        reading.conditions = when  # "in 2025" says of which rows; the rest says what part of them
        measure = _shared_measure(reading, index)
        rows = _shared_rows(reading, index)
        if measure is None and not reading.groups and reading.share_order is None and rows != reading.subject:
            which = [one for one in which if not (isinstance(one, Exists) and one.table == rows and not one.inner)]
            measure = Measure("count", rows)
            if not which:
                raise Unreadable("It asks for a share, but not of what.")
        if reading.share_order is not None:
            measure = measure or Measure("count", _shared_rows(reading, index))
            _order_by_share(reading, Ratio(measure, measure, tuple(which), is_percentage=True))
        elif measure is not None or reading.groups:
            measure = measure or Measure("count", _shared_rows(reading, index))
            reading.outputs = [Ratio(measure, measure, tuple(which), is_percentage=True)]
        else:
            reading.share = which
        reading.note(index, "percentage of rows")
        _use_counts(reading)


def _refuse_unread_state(reading: Reading, index: int) -> None:
    """In "what percentage of members have paid, by plan" the verb says which part: unread, the part is not known."""
    for item in reading.items[index + 1 :]:
        if item.is_cue("group", "by"):
            return
        unknown = item.kind == "word" and item.content > 0
        if not item.used and (
            unknown or item.kind in {"verb", "value", "number"} or item.is_cue("relative") or item.values
        ):
            raise Unreadable("It asks for a share, but not of what.")


def _use_counts(reading: Reading) -> None:
    for one in reading.items:
        if one.is_cue("count", "aggregate"):
            one.used = True


def _order_by_share(reading: Reading, share: Ratio) -> None:
    """For "which plan has the highest percentage of …": one group for each row asked about, the extreme one kept.

    Raises Unreadable: whose share it is cannot be told.
    """
    assert reading.share_order is not None
    descending, limit = reading.share_order
    if not reading.groups and reading.subject and reading.subject != share.table:
        if reading.graph.path((share.table,), reading.subject, to_one=True) is None:
            raise Unreadable("It asks for the extreme of a share, but not whose.")
        group_by_table(reading, reading.subject)
    elif not reading.groups:
        keys = [one for one in reading.outputs if isinstance(one, ColumnOf)]
        if len(keys) != 1:
            raise Unreadable("It asks for the extreme of a share, but not whose.")
        reading.groups = keys
    if reading.order:
        raise Unreadable("It asks for two superlatives at once.")
    reading.outputs = [one for one in reading.outputs if isinstance(one, ColumnOf)]
    reading.order.append(Ordering(share, descending))
    reading.limit = limit if limit is not None else 1


def _shared_rows(reading: Reading, index: int) -> str:
    """The table whose rows the share is of: the one named right behind, else the subject."""
    for at in range(index + 1, len(reading.items)):
        item = reading.items[at]
        if item.kind == "table":
            return reading.table_of(at) or reading.subject
        if item.kind == "cue":
            break
    return reading.subject


def _shared_measure(reading: Reading, index: int) -> Measure | None:
    """The sum that "percentage of revenue" is a part of; None when rows are counted."""
    after = index + 1
    while after + 1 < len(reading.items) and reading.items[after].values and reading.items[after + 1].kind == "column":
        after += 1  # "the paid amount"
    entry = None
    if after < len(reading.items) and reading.items[after].kind == "column" and reading.items[after].quality >= 0.6:
        entry = reading.column_of(after, wanted="numeric")
    if entry is not None and not entry.is_year:
        reading.note(after, f"sum of {reading.text_of(entry.ref)}")
        return Measure("sum", entry.table, entry.ref)
    sums = [one for one in reading.outputs if isinstance(one, Measure) and one.function == "sum"]
    return sums[0] if len(sums) == 1 else None
