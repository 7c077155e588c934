"""Figures that are shown: counts, sums, averages and amounts of money."""

from __future__ import annotations

from services.sql.grounding.logical_form import Measure
from services.sql.grounding.reading_measures import is_money_word, money_measure, usual_measure
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.thesaurus import MONEY_COLUMN_WORDS, QUANTITY_WORDS
from services.sql.grounding.words import split_identifier, stem

COUNTED_WORDS = QUANTITY_WORDS | frozenset(stem(word) for word in "number num total capacity size".split())


def show_count(reading: Reading, index: int) -> int:
    items = reading.items
    cue = items[index].cue
    assert cue is not None
    distinct = cue.data == "distinct"
    after = index + 1
    while after < len(items) and (
        items[after].used or items[after].is_cue("distinct", "aggregate") or items[after].kind == "word"
    ):
        distinct = distinct or items[after].is_cue("distinct")
        if items[after].is_cue("distinct", "aggregate"):
            items[after].used = True
        after += 1
    target = items[after] if after < len(items) else None
    measure: Measure | None = None
    if target is not None and target.kind == "table" and (table := reading.table_of(after)) is not None:
        measure = Measure("count", table)
        reading.note(after, f"counted rows of {table}")
    elif target is not None and target.kind == "column" and (entry := reading.column_of(after)) is not None:
        whole = (
            entry.is_numeric
            and items[index].text in {"how many", "number of", "total number of", "total count of"}
            and not distinct
        )
        said = reading.tokens[target.last].lower
        pieces = split_identifier(entry.column.name)
        singular = said.endswith("s") and said[:-1] in pieces and said not in pieces
        if whole and singular and not set(entry.own) & COUNTED_WORDS:
            raise Unreadable(f"{reading.text_of(entry.ref)} is not how many “{said}” there are.")
        measure = (
            Measure("sum", entry.table, entry.ref) if whole else Measure("count", entry.table, entry.ref, distinct=True)
        )
        if target.owner == entry.table and entry.is_date and not distinct:
            measure = Measure("count", entry.table)  # "how many members joined"
        reading.note(after, f"{measure.function} of {reading.text_of(entry.ref)}")
    elif reading.subject:
        measure = Measure("count", reading.subject)
    if measure is not None and measure not in reading.outputs:
        reading.outputs.append(measure)
        items[index].used = True
    return max(index, after if target is not None and target.used else index)


def show_aggregate(reading: Reading, index: int) -> int:
    """One or several functions, then one or several columns: "average, minimum and maximum age"."""
    items = reading.items
    functions: list[str] = []
    at = index
    while at < len(items) and (
        items[at].is_cue("aggregate")
        or (items[at].is_cue("and") and at + 1 < len(items) and items[at + 1].is_cue("aggregate"))
    ):
        cue = items[at].cue
        if items[at].is_cue("aggregate") and cue is not None:
            functions.append(cue.data)
            items[at].used = True
        at += 1
    whole = max(index - 1, 0)
    named_before = index > 0 and items[whole].kind == "table" and items[whole].last + 1 == items[index].first
    if functions == ["sum"] and named_before and not reading.tokens[items[whole].last].lower.endswith("s"):
        table = reading.table_of(whole)
        usual = usual_measure(reading, table) if table is not None else None
        if usual is not None:  # "the invoice total"
            reading.outputs.append(Measure("sum", usual.table, usual.ref))
            reading.note(index, f"sum of {reading.text_of(usual.ref)}")
            items[whole].used = True
            return index
    while (at < len(items) and items[at].is_cue("distinct", "superlative")) or (
        at < len(items) and items[at].used and items[at].kind != "cue"
    ):
        at += 1
    if at >= len(items):
        return _repeat_last(reading, functions, at)
    if items[at].kind == "table" and at + 1 < len(items) and items[at + 1].kind == "column":
        beside = reading.column_of(at + 1, wanted="numeric")
        if beside is not None and not reading.words_between(at, at + 1):  # "average order amount"
            items[at].used = True
            at += 1
    item = items[at]
    if items[index].text == "how much" and (later := _later_money(reading, at)) is not None:
        show_money(reading, later)
        return index
    if item.is_cue("count"):
        if functions == ["sum"]:
            return show_count(reading, at)
        entry = reading.column_of(at + 1, wanted="numeric") if at + 1 < len(items) and items[at + 1].columns else None
        if entry is not None and items[at + 1].kind == "column":
            reading.outputs.extend(Measure(function, entry.table, entry.ref) for function in functions)
            reading.note(at, f"{' and '.join(functions)} of {reading.text_of(entry.ref)}")
            reading.note(at + 1, "")
            return at + 1
        items[index].used = False
        return at
    if is_money_word(reading, at) and (item.quality < 0.9 or _sums_own_amounts(reading, at)):
        for function in functions:
            measure = money_measure(reading, at, function)
            if measure is not None and measure not in reading.outputs:
                reading.outputs.append(measure)
        reading.note(at, _money_note(reading))
        return at
    if (
        item.columns
        and (entry := reading.column_of(at, wanted="numeric")) is not None
        and (item.kind == "column" or functions != ["sum"])
    ):
        rows = _rows_behind(reading, at, entry.table) if functions == ["sum"] else entry.table
        reading.outputs.extend(Measure(function, rows, entry.ref) for function in functions)
        reading.note(at, f"{' and '.join(functions)} of {reading.text_of(entry.ref)}")
        while (
            at + 2 < len(items)
            and items[at + 1].is_cue("and")
            and items[at + 2].kind == "column"
            and not items[at + 2].used
        ):
            more = reading.column_of(at + 2, wanted="numeric")
            if more is None:
                break
            reading.outputs.extend(Measure(function, more.table, more.ref) for function in functions)
            reading.note(at + 2, f"{' and '.join(functions)} of {reading.text_of(more.ref)}")
            at += 2
        return at
    if item.kind == "table" and (table := reading.table_of(at)) is not None:
        amount = usual_measure(reading, table) if functions == ["sum"] else None
        mass = not reading.tokens[item.last].lower.endswith("s")  # "total stock" counts no rows
        if mass and amount is not None:
            reading.outputs.append(Measure("sum", table, amount.ref))
            reading.note(at, f"sum of {reading.text_of(amount.ref)}")
            return at
        if functions == ["sum"]:
            if amount is not None and set(amount.own) & MONEY_COLUMN_WORDS:
                reading.doubt *= 0.75  # "total refunds" may be an amount
            reading.outputs.append(Measure("count", table))
            reading.note(at, f"counted rows of {table}")
            return at
        entry = usual_measure(reading, table)
        if entry is not None:
            reading.outputs.extend(Measure(function, table, entry.ref) for function in functions)
            reading.note(at, f"{' and '.join(functions)} of {reading.text_of(entry.ref)}")
            reading.doubt *= 0.9
            return at
    return _repeat_last(reading, functions, index)


def _sums_own_amounts(reading: Reading, at: int) -> bool:
    """Whether "total sales" means the amounts in a table that is itself called sales."""
    measure = money_measure(reading, at, "sum") if reading.items[at].kind == "table" else None
    return measure is not None and measure.table in reading.items[at].tables


def _rows_behind(reading: Reading, at: int, table: str) -> str:
    """For "the total price of all subscriptions": the rows added up are subscriptions, each with its plan's price."""
    behind = next((one for one in range(at + 1, len(reading.items)) if reading.items[one].kind == "table"), None)
    if behind is None:
        return table
    opens = reading.tokens[reading.items[at].last + 1].lower == "of"
    named = reading.table_of(behind)
    if not opens or named is None or named == table:
        return table
    return named if reading.graph.path((named,), table, to_one=True) else table


def _later_money(reading: Reading, start: int) -> int | None:
    """For "how much did customers spend": the measure is named by a verb further on."""
    for index in range(start, len(reading.items)):
        if is_money_word(reading, index) and not reading.items[index].used:
            return index
    return None


def _repeat_last(reading: Reading, functions: list[str], at: int) -> int:
    """For "the maximum capacity and the average": the same column again."""
    last = next(
        (output for output in reversed(reading.outputs) if isinstance(output, Measure) and output.ref is not None), None
    )
    if last is not None:
        reading.outputs.extend(Measure(function, last.table, last.ref, times=last.times) for function in functions)
        return at
    for item in reading.items:
        if item.is_cue("aggregate") and item.cue is not None and item.cue.data in functions:
            item.used = False
    return at


def show_money(reading: Reading, index: int) -> None:
    item = reading.items[index]
    measure = money_measure(reading, index, item.swallowed or "sum")
    if measure is not None:
        if measure not in reading.outputs:
            reading.outputs.append(measure)
        reading.note(index, _money_note(reading))


def _money_note(reading: Reading) -> str:
    last = next((output for output in reversed(reading.outputs) if isinstance(output, Measure)), None)
    if last is None or last.ref is None:
        return ""
    times = f" × {reading.text_of(last.times)}" if last.times is not None else ""
    return f"{last.function} of {reading.text_of(last.ref)}{times}"
