"""What the answer shows: columns, counts, sums and averages, or the names of two tables."""

from __future__ import annotations

from services.sql.grounding.lexicon import ColumnEntry
from services.sql.grounding.logical_form import (
    ColumnOf,
    Measure,
)
from services.sql.grounding.reading_measures import is_money_word, money_measure, usual_measure
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.words import stem

REQUESTS = frozenset({"return", "show", "include", "including", "display", "list", "give", "provide", "report"})
BOUNDARIES = ("relative", "negation", "compare", "between", "like", "order", "superlative", "null")


def read_outputs(reading: Reading) -> None:
    """Collect what is shown, in the order of the question."""
    items = reading.items
    index = 0
    boundary = False
    _answer_when_and_where(reading)
    while index < len(items):
        item = items[index]
        if (
            item.is_cue(*BOUNDARIES)
            and item.text != "with"
            and not (item.text in {"which", "that", "who", "has", "have", "where", "when"} and index == 0)
        ):
            boundary = True
        if index and REQUESTS & set(reading.words_between(index - 1, index)):
            boundary = False  # "Return the id and the email"
        if item.is_cue("group", "by") or (item.is_cue("and", "pair") and item.text != ",") or item.text == ",":
            boundary = boundary and not (item.is_cue("group") or item.is_cue("pair") or item.text == ",")
        if item.used:
            index += 1
            continue
        if item.is_cue("count"):
            index = _count(reading, index)
        elif item.is_cue("aggregate"):
            index = _aggregate(reading, index)
        elif item.is_cue("distinct"):
            reading.distinct = True
            item.used = True
        elif (
            item.is_cue("everything")
            and not boundary
            and reading.subject
            and not any(one.kind == "column" for one in items[:index])
        ):
            columns = reading.lexicon.tables[reading.subject].columns
            reading.outputs.extend(ColumnOf(entry.ref) for entry in columns)
            item.used = True
        elif (
            is_money_word(reading, index)
            and not boundary
            and (item.kind != "column" or item.quality < 0.9 or item.swallowed)
        ):
            _money(reading, index)
        elif item.kind == "table" and not boundary and _is_listed_too(reading, index):
            _names_of_table(reading, index)
        elif item.kind == "column" and (not boundary or _is_paired(reading, index)):
            _column(reading, index)
        index += 1
    _total_at_the_end(reading)


def _total_at_the_end(reading: Reading) -> None:
    """For "what did we charge for customs in total": the usual amount of the rows asked about."""
    said = next((item for item in reading.items if item.is_cue("aggregate") and not item.used), None)
    if said is None or said.cue is None or said.cue.data != "sum" or reading.outputs or not reading.subject:
        return
    entry = usual_measure(reading, reading.subject)
    if entry is not None and reading.tokens[0].lower in {"what", "how"}:
        reading.outputs.append(Measure("sum", entry.table, entry.ref))
        said.used = True
        reading.doubt *= 0.9
        reading.notes.append(f"“{said.text}” → sum of {reading.text_of(entry.ref)}")


def _is_listed_too(reading: Reading, index: int) -> bool:
    """Whether another table is listed too: "workers and the fields they are assigned to"."""
    items = reading.items
    if index < 2 or not items[index - 1].is_cue("and", "pair") or items[index - 1].text == ",":
        return False
    table = reading.table_of(index)
    if (
        table is None
        or table == reading.subject
        or any(one.is_cue("both", "count", "aggregate", "group") for one in items[:index])
    ):
        return False
    before = items[index - 2]
    return before.kind == "table" or (
        before.kind == "column" and any(isinstance(one, ColumnOf) for one in reading.outputs)
    )


def _names_of_table(reading: Reading, index: int) -> None:
    table = reading.table_of(index)
    if table is None:
        return
    for name in (reading.subject, table):
        if any(isinstance(one, ColumnOf) and one.table == name for one in reading.outputs):
            continue
        entries = reading.lexicon.tables[name].named() or reading.lexicon.tables[name].columns[:1]
        reading.outputs.extend(ColumnOf(entry.ref) for entry in entries)
    reading.note(index, f"names in {table}")


QUESTION_ATTRIBUTES = {
    "when": ("date", ("date", "year", "time")),
    "where": ("", ("location", "place", "city", "address", "venue", "country", "hometown")),
}


def _answer_when_and_where(reading: Reading) -> None:
    """A question with "when" asks for a date, one with "where" for a place: named by the verb, else the usual one."""
    first = reading.tokens[0].lower if reading.tokens else ""
    if first not in QUESTION_ATTRIBUTES or reading.outputs or reading.groups:
        return
    wanted, hints = QUESTION_ATTRIBUTES[first]
    for index, item in enumerate(reading.items):
        entry = reading.column_of(index, wanted=wanted) if item.kind == "column" and not item.used else None
        if entry is not None and (first == "when" or set(entry.own) & {stem(hint) for hint in hints}):
            reading.outputs.append(ColumnOf(entry.ref))
            reading.note(index, reading.text_of(entry.ref))
            return
    found = reading.find_attribute(reading.subject, hints, wanted) if reading.subject else None
    if found is None:
        raise Unreadable(f"Nothing in the database tells “{first}”.")
    reading.outputs.append(ColumnOf(found.ref))


def _is_paired(reading: Reading, index: int) -> bool:
    words = {
        token.lower for token in reading.tokens[max(0, reading.items[index].first - 2) : reading.items[index].first]
    }
    return bool(words & {"their", "its"})


def _count(reading: Reading, index: int) -> int:
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


def _aggregate(reading: Reading, index: int) -> int:
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
        _money(reading, later)
        return index
    if item.is_cue("count"):
        if functions == ["sum"]:
            return _count(reading, at)
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
        if functions == ["sum"]:
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


def _money(reading: Reading, index: int) -> None:
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


def _column(reading: Reading, index: int) -> None:
    item = reading.items[index]
    entry = reading.column_of(index)
    if entry is None or item.quality < 0.45:
        return
    entry = _name_of_what_is_asked(reading, index, entry)
    if any(isinstance(one, Measure) and one.function == "count" and one.ref == entry.ref for one in reading.outputs):
        item.used = True  # "how many kinds of genres" names it twice
        return
    named_before = any(one.kind == "table" and reading.subject in one.tables for one in reading.items[:index])
    beside_rows = (
        not reading.outputs and named_before and _is_paired(reading, index) and not _orders_before(reading, index)
    )
    if beside_rows and reading.graph.path((reading.subject,), entry.table, to_one=True) is not None:
        names = [name.ref for name in reading.lexicon.tables[reading.subject].named()]
        names = names or [(reading.subject, column) for column in reading.graph.keys.get(reading.subject, ())]
        reading.outputs.extend(ColumnOf(ref) for ref in names)
    if item.quality < 0.6 and reading.outputs:
        reading.doubt *= 0.97
        return
    if item.swallowed and entry.is_numeric and (reading.groups or not _shows_rows(reading, index)):
        output: ColumnOf | Measure = Measure(item.swallowed, entry.table, entry.ref)
    elif (
        entry.is_numeric
        and reading.groups
        and not any(one.ref == entry.ref for one in reading.groups)
        and not reading.outputs
    ):
        output = Measure("sum", entry.table, entry.ref)
        reading.doubt *= 0.85
    else:
        output = ColumnOf(entry.ref)
    if output not in reading.outputs:
        reading.outputs.append(output)
    reading.note(index, reading.text_of(entry.ref))
    parts = reading.lexicon.tables[entry.table].named()
    if entry in parts and len(parts) == 2 and reading.tokens[item.first].stem == "name" and item.content == 1:
        reading.outputs[-1:] = [ColumnOf(part.ref) for part in parts]


def _name_of_what_is_asked(reading: Reading, index: int, entry: ColumnEntry) -> ColumnEntry:
    """For a bare "name": that of the rows grouped by or asked about, rather than of a table nobody spoke of."""
    item = reading.items[index]
    if item.first != item.last or reading.tokens[item.first].stem != "name" or not entry.is_name:
        return entry
    if entry.table in reading.mentioned_tables():
        return entry
    for table in [*(group.table for group in reading.groups), reading.subject]:
        names = reading.lexicon.tables[table].named() if table else ()
        if names:
            return names[0]
    return entry


def _orders_before(reading: Reading, index: int) -> bool:
    """Whether a superlative has taken "their" column already: "the customers with their latest order".

    One that stands before the rows chooses among them: of "the cheapest product and its price" both are shown.
    """
    if reading.limit is None or not any(isinstance(order.operand, ColumnOf) for order in reading.order):
        return False
    named = max(
        at for at, one in enumerate(reading.items[:index]) if one.kind == "table" and reading.subject in one.tables
    )
    return any(one.is_cue("superlative") for one in reading.items[named:index])


def _shows_rows(reading: Reading, index: int) -> bool:
    """Whether other plain columns are shown beside it, or each row is."""
    others = [
        item
        for position, item in enumerate(reading.items)
        if item.kind == "column" and position != index and not item.used and not item.swallowed
    ]
    return (
        bool(others)
        or any(isinstance(output, ColumnOf) for output in reading.outputs)
        or any(item.is_cue("group") for item in reading.items)
    )
