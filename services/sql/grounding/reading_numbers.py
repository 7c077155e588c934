"""Numbers beside what they are equal to, without a word that compares: "with 3 bedrooms", "order 10"."""

from __future__ import annotations

from services.sql.grounding.comparison_operands import counted_after, owner_of_count
from services.sql.grounding.logical_form import AnyOf, Compare, Condition, Measure, Related
from services.sql.grounding.mentions import Mention
from services.sql.grounding.reading_state import STRONG, Reading


def read_plain_number(reading: Reading, index: int) -> None:
    """A number beside a column equals it: "with 3 bedrooms", "rating of 5", "id 12"."""
    items = reading.items
    item = items[index]
    if item.period is not None and (
        reading.word_before(index) in {"in", "during", "since"}
        or not (index > 0 and _is_number_column(reading, index - 1))
    ):
        return
    if item.text.isalpha() and not (index + 1 < len(items) and items[index + 1].columns):
        return
    candidates: list[tuple[int, Mention]] = []
    if index > 1 and items[index - 1].text == "either" and items[index - 2].columns:
        candidates.append((index - 2, items[index - 2]))
        items[index - 1].used = True
    if index > 0 and items[index - 1].columns and reading.are_adjacent(index - 1, index):
        candidates.append((index - 1, items[index - 1]))
    if index + 1 < len(items) and items[index + 1].columns and reading.are_adjacent(index, index + 1):
        candidates.append((index + 1, items[index + 1]))
    if index > 0 and items[index - 1].owner and _names_row(reading, index):
        return  # "the fare of ticket 100"
    for at, one in candidates:
        entry = reading.column_of(at) if one.kind == "column" else None
        if (
            entry is None
            or one.used
            or not (entry.column.kind.value in {"integer", "number"} or (entry.is_key and entry.is_text))
        ):
            continue
        assert item.number is not None
        equal: Condition = Compare(entry.ref, "=", item.number)
        while index + 2 < len(items) and items[index + 1].is_cue("or") and items[index + 2].number is not None:
            other = items[index + 2].number
            assert other is not None
            equal = AnyOf((equal, Compare(entry.ref, "=", other)))
            reading.note(index + 1, "")
            reading.note(index + 2, "")
            index += 2
        reading.conditions.append(equal)
        item.used = True
        reading.note(at, f"{reading.text_of(entry.ref)} = {item.text}")
        reading.note(index, "")
        return
    if _names_row(reading, index):
        return
    counted = counted_after(reading, index)
    if counted is not None and any(items[one].is_cue("relative") for one in range(index)):
        owner = owner_of_count(reading, index, counted)
        if owner is not None and item.number is not None:
            reading.conditions.append(Related(owner, Measure("count", counted), "=", item.number))
            reading.note(index, f"number of {counted.split('.', 1)[1]} = {item.text}")
            reading.note(index + 1, "")


def _names_row(reading: Reading, index: int) -> bool:
    """For "order 10", "customer 5": the row with this key."""
    before = reading.items[index - 1] if index else None
    number = reading.items[index].number
    of_owner = before is not None and before.kind == "column" and bool(before.owner)
    of_owner = (
        of_owner and reading.tokens[before.last].stem in reading.lexicon.tables[before.owner].stems if before else False
    )
    if (
        before is None
        or not (before.kind == "table" or of_owner)
        or before.last + 1 != reading.items[index].first
        or number is None
    ):
        return False
    if reading.tokens[before.last].lower.endswith("s") or not reading.items[index].text.isdigit():
        return False
    table = before.owner if of_owner else reading.table_of(index - 1)
    key = reading.graph.keys.get(table or "", ())
    entry = reading.lexicon.columns[(table, key[0])] if table is not None and len(key) == 1 else None
    if entry is None or entry.column.kind.value != "integer":
        return False
    reading.conditions.append(Compare(entry.ref, "=", number))
    reading.note(index, f"{reading.text_of(entry.ref)} = {reading.items[index].text}")
    return True


def _is_number_column(reading: Reading, index: int) -> bool:
    entry = (
        reading.column_of(index)
        if reading.items[index].kind == "column" and reading.items[index].quality >= STRONG
        else None
    )
    return (
        entry is not None
        and not entry.is_date
        and entry.column.kind.value in {"integer", "number"}
        and reading.are_adjacent(index, index + 1)
    )
