"""What an answer must keep apart: the sides of a contrast, and one choice for each group."""

from __future__ import annotations

from services.sql.grounding.logical_form import ColumnOf, CompareToMeasure, Measure, OneOf, Ratio
from services.sql.grounding.reading_groups import TIME_UNITS, has_aggregate
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.wording import CONTRASTS


def read_contrasts(reading: Reading) -> None:
    """One row for each side of "spent by Germany compared with France": their sum would answer neither.

    Raises Unreadable: a figure is asked for, and the sides cannot be told apart.
    """
    said = next((token for token in reading.tokens if token.lower in CONTRASTS), None)
    if said is None or not has_aggregate(reading):
        return
    sides = [one for one in reading.conditions if isinstance(one, OneOf) and len(one.values) > 1 and not one.negated]
    for side in sides:
        if ColumnOf(side.ref) not in reading.groups:
            reading.groups.append(ColumnOf(side.ref))
            reading.notes.append(f"“{said.text}” → one row for each {reading.text_of(side.ref)}")
    if not reading.groups:
        raise Unreadable(f"It is not clear what “{said.text}” sets against what.")


def refuse_choices_within_groups(reading: Reading) -> None:
    """ "The cheapest product of each category" chooses within every group; one query over all rows chooses but once.

    Raises Unreadable.
    """
    chooses = reading.limit is not None or any(isinstance(one, CompareToMeasure) for one in reading.conditions)
    if not chooses or any(isinstance(one, (Measure, Ratio)) for one in reading.outputs):
        return
    if any(isinstance(one.operand, Ratio) for one in reading.order):
        return
    for index, item in enumerate(reading.items[:-1]):
        if item.is_cue("group") and _names_groups(reading, index + 1):
            text = f"{item.text} {reading.items[index + 1].text}"
            raise Unreadable(f"It asks for a choice “{text}”; only one among all rows can be made.")


def _names_groups(reading: Reading, index: int) -> bool:
    """Whether the item, right after "each" or "per", is something other than the rows asked about."""
    item = reading.items[index]
    if not set(reading.words_between(index - 1, index)) <= {"the", "of"}:
        return False
    if item.kind == "table":
        return reading.table_of(index) != reading.subject
    return item.kind == "column" or item.text.lower().removesuffix("s") in TIME_UNITS
