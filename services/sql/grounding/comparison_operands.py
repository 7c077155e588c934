"""What a number is compared with: a column named beside it, one an adjective or a unit hints at, or a count."""

from __future__ import annotations

from services.sql.grounding.lexicon import COMMENT_QUALITY
from services.sql.grounding.reading_measures import is_money_word, money_measure, usual_measure
from services.sql.grounding.reading_state import Reading
from services.sql.grounding.wording import UNITS
from services.sql.grounding.words import stem


def reads_as_year(reading: Reading, cue: int, number: int) -> bool:
    """Whether a four-digit number after a comparison is a year: the operand says so, or there is none but a date."""
    item = reading.items[cue]
    if item.cue is not None and item.cue.data in {"after", "before", "since", "until"}:
        numeric = cue > 0 and reading.items[cue - 1].kind == "column" and reading.column_of(cue - 1, wanted="numeric")
        if numeric and not numeric.is_year:
            return False
        return not (number + 1 < len(reading.items) and unit_hints(reading, number))
    return cue > 0 and reading.items[cue - 1].kind == "column" and reading.column_of(cue - 1, wanted="date") is not None


def unit_hints(reading: Reading, number: int) -> tuple[str, ...]:
    """What the unit written after a number is about: "30 years", "100 dollars"."""
    last = reading.items[number].last
    following = [token.lower for token in reading.tokens[last + 1 : last + 4]]
    if following[:2] in (["years", "old"], ["year", "old"]) or following[:3] == ["years", "of", "age"]:
        return ("age",)
    for token in reading.tokens[last + 1 : last + 2]:
        for unit, hints in UNITS.items():
            if token.lower == unit or token.stem == stem(unit):
                return hints
    first = reading.items[number].first
    if first > 0 and reading.tokens[first - 1].lower in UNITS:
        return UNITS[reading.tokens[first - 1].lower]
    return ()


def measured_before(reading: Reading, index: int) -> int | None:
    """The index of a count or an aggregate that ends right before: "whose number of orders is more than"."""
    items = reading.items
    if index >= 2 and items[index - 1].kind in {"table", "column"} and items[index - 2].is_cue("count", "aggregate"):
        if index == 2 and items[index - 2].is_cue("count") and not items[index - 2].text.startswith("number"):
            return None
        head = index - 2
        opened = any(
            items[one].is_cue("relative", "compare") or reading.words_between(one, one + 1)[:1] == ["with"]
            for one in range(head)
        )
        return head if opened else None
    if index >= 1 and is_money_word(reading, index - 1) and items[index - 1].kind in {"word", "column"}:
        return (
            index - 1
            if any(items[one].is_cue("relative") for one in range(index)) and money_measure(reading, index - 1, "sum")
            else None
        )
    return None


def column_before(reading: Reading, index: int) -> bool:
    return (
        index > 0
        and reading.items[index - 1].kind == "column"
        and not reading.items[index - 1].used
        and reading.column_of(index - 1, wanted="ordered") is not None
        and reading.are_adjacent(index - 1, index)
    )


def counted_after(reading: Reading, number: int) -> str | None:
    """The table counted by a number: "3 orders", "3 different products"."""
    after = reading.next_index(number, skip=("distinct",))
    if after is None or reading.words_between(number, after)[:1] not in (
        [],
        ["different"],
        ["distinct"],
        ["of"],
        ["other"],
    ):
        return None
    item = reading.items[after]
    if item.kind == "table" and item.quality >= 0.5:
        return reading.table_of(after)
    return None


def owner_of_count(reading: Reading, before: int, measured: str) -> str | None:
    """Whose rows are counted: the nearest table named before, else the subject."""
    for index in range(before - 1, -1, -1):
        if reading.items[index].kind == "table" and not reading.items[index].used:
            table = reading.table_of(index)
            single = measured and table and reading.graph.path((table,), measured, to_one=True) is not None
            if table is not None and table != measured and not single:
                return table
    for index in range(before - 1, -1, -1):
        if reading.items[index].kind == "column" and not reading.items[index].used:
            entry = reading.column_of(index)
            if entry is not None and entry.table != measured:
                return entry.table
    return reading.subject if reading.subject and reading.subject != measured else None


def find_operand(reading: Reading, index: int, number: int, before: int) -> tuple[str, str] | None:
    """The column a number is compared with: named before, named after, hinted by the adjective or the unit."""
    items, cue = reading.items, reading.items[index].cue
    assert cue is not None
    for earlier in range(before - 1, max(before - 4, -1), -1):
        item = items[earlier]
        if item.kind in {"column", "table"} and item.columns and not item.used:
            entry = reading.column_of(earlier, wanted="numeric")
            hinted = entry is not None and (not cue.hints or bool(set(entry.own) & set(cue.hints)))
            meant = item.kind == "column" or hinted
            if entry is not None and meant and (item.kind == "column" or before - earlier == 1):
                reading.note(earlier, "")
                return entry.ref
        if item.kind in {"table", "value", "number"} or item.is_cue("and", "relative", "or"):
            break
    tables = [table for table in (owner_of_count(reading, index, ""), reading.subject) if table]
    if unit_hints(reading, number) == ("age",):
        for table in [*tables, *reading.mentioned_tables()]:
            if (entry := reading.find_attribute(table, ("age",), "numeric")) is not None:
                return entry.ref
    after = number + 1
    told = after < len(items) and items[after].quality > COMMENT_QUALITY  # "500 euro" names no column by a comment
    if told and items[after].columns and reading.are_adjacent(number, after):
        entry = reading.column_of(after, wanted="numeric")
        if entry is not None:
            reading.note(after, "")
            return entry.ref
    for hints in (cue.hints, unit_hints(reading, number)):
        for table in [*tables, *reading.mentioned_tables()]:
            entry = reading.find_attribute(table, hints, "numeric") if hints else None
            if entry is not None:
                return entry.ref
    loose = [one for one in range(max(0, before - 3), before) if items[one].columns and not items[one].used]
    for one in reversed(loose):
        entry = reading.column_of(one, wanted="numeric")
        if entry is not None:
            reading.note(one, "")
            return entry.ref
    beside = items[number + 1] if number + 1 < len(items) else None
    other = beside is not None and beside.kind == "word" and beside.first == items[number].last + 1
    if not cue.hints and tables and not other and cue.data in {">", "<", ">=", "<="}:
        entry = usual_measure(reading, tables[0])
        if entry is not None:
            reading.doubt *= 0.85
            return entry.ref
    return None
