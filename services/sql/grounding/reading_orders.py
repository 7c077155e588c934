"""Ordering: "sorted by age in descending order", "by rate, highest first, then by name"."""

from __future__ import annotations

from services.sql.grounding.logical_form import ColumnOf, Measure, Ordering
from services.sql.grounding.reading_groups import has_aggregate
from services.sql.grounding.reading_measures import is_money_word, money_measure
from services.sql.grounding.reading_state import Reading


def read_order(reading: Reading) -> None:
    """Find what the rows are sorted by; a direction without a key sorts by what is shown first."""
    items = reading.items
    direction = next((item.cue.data for item in items if item.is_cue("direction") and item.cue is not None), "")
    for index, item in enumerate(items):
        if (
            item.is_cue("by")
            and not item.used
            and _sorts(reading, index)
            and _sort_key(reading, index, descending=False)
        ):
            item.used = True
            continue
        if item.used or not item.is_cue("order", "direction"):
            continue
        if (
            item.is_cue("direction")
            and not item.text.endswith(" of")
            and "of" not in reading.words_between(index, min(index + 1, len(items) - 1))
        ):
            continue
        start = index
        if item.first == 0 and (by := next((one for one in range(index, len(items)) if items[one].is_cue("by")), None)):
            start = by  # "Sort the titles by price"
        if _sort_key(reading, start, descending=direction == "desc"):
            items[start].used = True
            item.used = True
    for item in items:
        if item.is_cue("direction"):
            item.used = bool(reading.order) or item.used


def _sort_key(reading: Reading, index: int, *, descending: bool) -> bool:
    items = reading.items
    opens = items[index].cue if items[index].is_cue("direction") else None
    in_turn = "then" in (token.lower for token in reading.tokens[items[index].last + 1 :])
    at: int | None = index + 1
    found = False
    while at is not None and at < len(items):
        item = items[at]
        if item.is_cue("direction", "distinct", "superlative", "pair", "by"):
            if item.is_cue("by", "pair"):
                item.used = item.used or found
            at += 1
            continue
        own, behind = _own_direction(reading, at)
        if in_turn:  # "by rate descending, then by name": each key runs as is said of it alone
            descending = (own == "desc") if own or found or opens is None else opens.data == "desc"
        if item.is_cue("count", "aggregate") and item.cue is not None:
            after = reading.next_index(at, skip=("distinct",))
            measure = _measure_after(reading, at, after)
            if measure is None:
                break
            reading.order.append(Ordering(measure, descending))
            item.used = True
            if after is not None:
                items[after].used = True
            found = True
        elif (
            is_money_word(reading, at)
            and item.quality < 0.8
            and (money := money_measure(reading, at, "sum")) is not None
        ):
            reading.order.append(Ordering(money, descending))
            item.used = found = True
        elif item.columns and (entry := reading.column_of(at)) is not None:
            reading.order.append(Ordering(ColumnOf(entry.ref), own == "desc" if own else descending))
            reading.note(at, f"sorted by {reading.text_of(entry.ref)}")
            found = True
        elif (
            item.kind == "table"
            and (table := reading.table_of(at)) is not None
            and (names := reading.lexicon.tables[table].named())
        ):
            reading.order.append(Ordering(ColumnOf(names[0].ref), descending))
            item.used = found = True
        else:
            break
        following = behind
        if following < len(items) and items[following].is_cue("and"):
            at = following + 1
            while at < len(items) and items[at].is_cue("and"):
                at += 1
            continue
        if in_turn and following < len(items) and "then" in reading.words_between(following - 1, following):
            at = following
            continue
        break
    return found


def _own_direction(reading: Reading, at: int) -> tuple[str, int]:
    """The direction said right behind a key, "" where none is, and the item behind both: "rate, highest first"."""
    items = reading.items
    behind = at + 1
    if items[at].is_cue("count", "aggregate"):
        behind = (reading.next_index(at, skip=("distinct",)) or at) + 1
    place = behind
    while place < len(items) and items[place].is_cue("and") and items[place].text == ",":
        place += 1
    if place < len(items) and items[place].is_cue("direction") and not items[place].text.endswith(" of"):
        cue = items[place].cue
        return cue.data if cue is not None else "", place + 1
    return "", behind


def _sorts(reading: Reading, index: int) -> bool:
    """Whether "by" names what rows are sorted by: "coaches by rate, highest first, then by name"."""
    if has_aggregate(reading) or any(item.is_cue("order", "superlative") for item in reading.items):
        return False
    after = index + 1
    if after >= len(reading.items) or reading.items[after].kind != "column":
        return False
    own, behind = _own_direction(reading, after)
    then = behind < len(reading.items) and "then" in (token.lower for token in reading.tokens[behind:])
    return bool(own) and then


def _measure_after(reading: Reading, at: int, after: int | None) -> Measure | None:
    cue = reading.items[at].cue
    if after is None or cue is None:
        return None
    item = reading.items[after]
    if cue.kind == "count":
        table = reading.table_of(after)
        if item.kind == "table" and table is not None:
            return Measure("count", table)
        entry = reading.column_of(after)
        return Measure("count", entry.table, entry.ref, distinct=True) if entry is not None else None
    entry = reading.column_of(after, wanted="numeric")
    if entry is not None:
        return Measure(cue.data, entry.table, entry.ref)
    return money_measure(reading, after, cue.data) if is_money_word(reading, after) else None
