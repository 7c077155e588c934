"""What an answer must keep apart: the sides of a contrast, and one choice for each group."""

from __future__ import annotations

from services.sql.grounding.logical_form import ColumnOf, CompareToMeasure, InPeriod, Measure, OneOf, Ratio
from services.sql.grounding.reading_groups import TIME_UNITS, has_aggregate
from services.sql.grounding.reading_periods_apart import periods_by_unit
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.wording import CONTRASTS


def read_contrasts(reading: Reading) -> None:
    """One row for each side of "spent by Germany compared with France": their sum would answer neither.

    Raises Unreadable: a figure is asked for, and the sides cannot be told apart.
    """
    _keep_kinds_apart(reading)
    said = next((token for token in reading.tokens if token.lower in CONTRASTS), None)
    if said is not None and not has_aggregate(reading):
        apart = [one for one in reading.conditions if isinstance(one, InPeriod) and len(one.periods) > 1]
        if apart:
            raise Unreadable(f"It is not clear by what “{said.text}” sets the two times against each other.")
    if said is None or not has_aggregate(reading):
        return
    sides = [one for one in reading.conditions if isinstance(one, OneOf) and len(one.values) > 1 and not one.negated]
    for side in sides:
        if ColumnOf(side.ref) not in reading.groups:
            reading.groups.append(ColumnOf(side.ref))
            reading.notes.append(f"“{said.text}” → one row for each {reading.text_of(side.ref)}")
    for span in [one for one in reading.conditions if isinstance(one, InPeriod) and len(one.periods) > 1]:
        unit = periods_by_unit(reading, span)
        if unit is not None:
            reading.groups.append(unit)
            reading.notes.append(f"“{said.text}” → one row for each {unit.part} of {reading.text_of(span.ref)}")
    if not reading.groups:
        raise Unreadable(f"It is not clear what “{said.text}” sets against what.")


def _keep_kinds_apart(reading: Reading) -> None:
    """ "The number of male and female members" are two numbers: one row for each of the kinds."""
    for index in range(1, len(reading.items) - 3):
        kinds = reading.items[index], reading.items[index + 2]
        between, rows = reading.items[index + 1], reading.items[index + 3]
        if not all(one.values for one in kinds) or between.text != "and" or rows.kind != "table":
            continue
        if not reading.items[index - 1].is_cue("count"):
            continue
        for one in reading.conditions:
            if isinstance(one, OneOf) and len(one.values) == 2 and not one.negated:
                said = {link.value for kind in kinds for link in kind.values if link.entry.ref == one.ref}
                if set(one.values) <= said and ColumnOf(one.ref) not in reading.groups:
                    reading.groups.append(ColumnOf(one.ref))
                    reading.notes.append(f"“{kinds[0].text} and {kinds[1].text}” → one row for each")


def read_choices_within_groups(reading: Reading) -> None:
    """ "The cheapest product of each category" chooses within every group: rows are ranked in each.

    Raises Unreadable: what is chosen, or within what, cannot be told.
    """
    compares = any(isinstance(one, CompareToMeasure) for one in reading.conditions)
    keys = [order.operand for order in reading.order]
    if (reading.limit is None and not compares) or any(
        isinstance(one, (Measure, Ratio)) and one not in keys for one in reading.outputs
    ):
        return
    if any(isinstance(one.operand, Ratio) for one in reading.order):
        return
    for index, item in enumerate(reading.items[:-1]):
        if not item.is_cue("group") or not _names_groups(reading, index + 1):
            continue
        text = f"{item.text} {reading.items[index + 1].text}"
        if compares or len(reading.order) != 1 or not reading.subject or reading.within:
            raise Unreadable(f"It asks for a choice “{text}”; only one among all rows can be made.")
        reading.within = _groups_named(reading, index + 1)
        if not reading.within:
            raise Unreadable(f"It is not clear within what “{text}” chooses.")
        reading.groups = [one for one in reading.groups if one not in reading.within]
        reading.outputs = [one for one in reading.outputs if one not in reading.within]
        reading.note(index, "the first of each")
        reading.note(index + 1, "one choice for each")


def _groups_named(reading: Reading, index: int) -> list[ColumnOf]:
    """What the rows are divided by: a table by its key and name, a column, or the unit of a date."""
    item = reading.items[index]
    unit = TIME_UNITS.get(item.text.lower().removesuffix("s"), "")
    if unit and item.kind == "word":
        entry = reading.date_column([reading.subject])
        return [ColumnOf(entry.ref, "" if entry.is_year else unit)] if entry is not None else []
    if item.kind == "table" and (table := reading.table_of(index)) is not None:
        names = [entry.ref for entry in reading.lexicon.tables[table].named()]
        return [ColumnOf(ref) for ref in [*names, *((table, one) for one in reading.graph.keys.get(table, ()))]]
    entry = reading.column_of(index)
    return [ColumnOf(entry.ref)] if entry is not None else []


def _names_groups(reading: Reading, index: int) -> bool:
    """Whether the item, right after "each" or "per", is something other than the rows asked about."""
    item = reading.items[index]
    if not set(reading.words_between(index - 1, index)) <= {"the", "of"}:
        return False
    if item.kind == "table":
        return reading.table_of(index) != reading.subject
    return item.kind == "column" or item.text.lower().removesuffix("s") in TIME_UNITS
