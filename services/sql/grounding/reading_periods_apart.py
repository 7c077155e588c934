"""Two spans of time set against each other: "more in 2025 or in 2026", "2025 compared to 2026", "but not in 2026"."""

from __future__ import annotations

from services.sql.grounding.dates import unit_of
from services.sql.grounding.logical_form import ColumnOf, Exists, InPeriod
from services.sql.grounding.reading_periods import date_near
from services.sql.grounding.reading_state import Reading


def periods_by_unit(reading: Reading, span: InPeriod) -> ColumnOf | None:
    """The unit of time that tells the periods of a condition apart, as a group; None where there is no such unit."""
    units = {unit_of(period) for period in span.periods}
    if len(span.periods) < 2 or len(units) != 1 or "" in units:
        return None
    return ColumnOf(span.ref, "" if reading.lexicon.columns[span.ref].is_year else units.pop())


def read_once_not_again(reading: Reading) -> None:
    """For "customers with orders in 2025 but not in 2026": some row of the one time, and none of the other."""
    words = [token.lower for token in reading.tokens]
    dated = [index for index, item in enumerate(reading.items) if item.period is not None and not item.used]
    if len(dated) != 2 or not reading.subject:
        return
    first, last = (reading.items[index] for index in dated)
    between = words[first.last + 1 : last.first]
    denial = next((item for item in reading.items if item.is_cue("negation") and first.last < item.first), None)
    denies_last = between[:2] in (["but", "not"], ["and", "not"], ["but", "never"]) or between[:1] == ["not"]
    if denial is None or denial.last >= last.first or not denies_last:
        return
    refs = {date_near(reading, index) for index in dated}
    ref = refs.pop()
    if refs or ref is None or first.period is None or last.period is None:
        return
    if reading.graph.path((reading.subject,), ref[0], to_one=True) is not None:
        return
    reading.conditions.append(Exists(reading.subject, ref[0], (InPeriod(ref, (first.period,)),)))
    reading.conditions.append(Exists(reading.subject, ref[0], (InPeriod(ref, (last.period,)),), negated=True))
    for item in reading.items:
        within = first.last < item.first < last.first and (item.kind == "cue" or not item.content)
        if item in (first, last, denial) or within:
            item.used = True
        if item.kind == "table" and ref[0] in item.tables and item.first < first.first:
            item.used = True
    reading.notes.append(
        f"“{first.text} but not {last.text}” → some {reading.text_of(ref)} in {first.text}, none in {last.text}"
    )
