"""What the answer shows: columns, counts, sums and averages, or the rows of a table."""

from __future__ import annotations

from services.sql.grounding.logical_form import ColumnOf, Measure, Operand, Ratio
from services.sql.grounding.reading_groups import group_by_table
from services.sql.grounding.reading_measures import is_money_word, money_measure, usual_measure
from services.sql.grounding.reading_state import STRONG, Reading, Unreadable
from services.sql.grounding.words import stem

BOUNDARIES = ("relative", "negation", "compare", "between", "like", "order", "superlative", "null")
PAIRING = frozenset({"and", "their", "its", "with", "along"})


def find_subject(reading: Reading) -> None:
    """The table whose rows are asked about: what is counted, else the first table that is named."""
    items = reading.items
    for index, item in enumerate(items):
        if item.is_cue("count"):
            for after in range(index + 1, min(index + 4, len(items))):
                if items[after].kind == "table" and items[after].quality >= 0.5:
                    if index and any(
                        one.is_cue("relative", "compare", "superlative", "group", "by") for one in items[:index]
                    ):
                        break
                    reading.subject = reading.table_of(after) or ""
                    return
                if items[after].kind == "cue" and not items[after].is_cue("distinct", "superlative"):
                    break
            break
    best = None
    for index, item in enumerate(items):
        if (
            item.owner
            and best is None
            and not any(one.is_cue("by", "group", "order", "compare") for one in items[:index])
        ):
            reading.subject = item.owner
            return
        if item.kind == "table":
            strong = item.quality >= STRONG
            if strong or best is None:
                best = index if best is None or strong else best
            if strong:
                break
    if best is not None:
        reading.subject = reading.table_of(best) or ""
        return
    reading.subject = _voted_subject(reading)


def _voted_subject(reading: Reading) -> str:
    """Without a table named: the one that most columns and values of the question belong to."""
    votes: dict[str, float] = {}
    for item in reading.items:
        best: dict[str, float] = {}
        for (table, _), quality in item.columns.items():
            best[table] = max(best.get(table, 0.0), quality)
        for link in item.values:
            best[link.entry.table] = max(best.get(link.entry.table, 0.0), 0.8 * link.quality)
        for table, quality in best.items():
            if quality >= 0.5:
                votes[table] = votes.get(table, 0.0) + quality
    clear = sorted(votes, key=lambda table: (-votes[table], table))
    if not clear or (len(clear) > 1 and votes[clear[0]] == votes[clear[1]]):
        return ""
    return clear[0]


def read_outputs(reading: Reading) -> None:
    """Collect what is shown, in the order of the question."""
    items = reading.items
    index = 0
    boundary = False
    _answer_when_and_where(reading)
    while index < len(items):
        item = items[index]
        if item.is_cue(*BOUNDARIES) and not (
            item.text in {"which", "that", "who", "has", "have", "where", "when"} and index == 0
        ):
            boundary = True
        if item.is_cue("relative") and item.text == "with" and False:
            boundary = True
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


def _is_listed_too(reading: Reading, index: int) -> bool:
    """"workers and the fields they are assigned to" asks for both."""  # fmt: skip
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
    """"When was X hired?" asks for a date, "Where" for a place: named by the verb, else the usual one."""  # fmt: skip
    first = reading.tokens[0].lower if reading.tokens else ""
    if first not in QUESTION_ATTRIBUTES or reading.outputs or reading.groups:
        return
    wanted, hints = QUESTION_ATTRIBUTES[first]
    for index, item in enumerate(reading.items):
        if item.kind == "column" and not item.used and (entry := reading.column_of(index, wanted=wanted)) is not None:
            if first == "when" or set(entry.own) & {stem(hint) for hint in hints}:
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
        reading.note(after, f"{measure.function} of {reading.text_of(entry.ref)}")
    elif reading.subject:
        measure = Measure("count", reading.subject)
    if measure is not None and measure not in reading.outputs:
        reading.outputs.append(measure)
        items[index].used = True
    return max(index, after if target is not None and target.used else index)


def _aggregate(reading: Reading, index: int) -> int:
    """One or several functions, then one or several columns: "average, minimum and maximum age"."""  # fmt: skip
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
    while (
        at < len(items)
        and items[at].is_cue("distinct", "superlative")
        or (at < len(items) and items[at].used and items[at].kind != "cue")
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
    if is_money_word(reading, at) and item.quality < 0.9:
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
        reading.outputs.extend(Measure(function, entry.table, entry.ref) for function in functions)
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


def _later_money(reading: Reading, start: int) -> int | None:
    """"how much did customers spend": the measure is named by a verb further on."""  # fmt: skip
    for index in range(start, len(reading.items)):
        if is_money_word(reading, index) and not reading.items[index].used:
            return index
    return None


def _repeat_last(reading: Reading, functions: list[str], at: int) -> int:
    """"the maximum capacity and the average": the same column again."""  # fmt: skip
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


def finish_outputs(reading: Reading) -> None:
    """Complete what is shown: groups beside their measures, names of the rows asked for, links to other tables."""
    measures: list[Operand] = [output for output in reading.outputs if isinstance(output, (Measure, Ratio))]
    plain = [output for output in reading.outputs if isinstance(output, ColumnOf)]
    ordered = [order.operand for order in reading.order if isinstance(order.operand, Measure)]
    if not plain and not reading.groups and reading.subject and (ordered or not reading.outputs):
        reading.outputs = []
        _refuse_unknown_head(reading)
        _show_subject(reading, grouped=bool(ordered or reading.having))
        plain = [output for output in reading.outputs if isinstance(output, ColumnOf)]
        reading.outputs.extend(measures)
    if reading.shown and not any(one.table == reading.shown and not _is_sorted_by(reading, one) for one in plain):
        names = [entry.ref for entry in reading.lexicon.tables[reading.shown].named()]
        names = names or [(reading.shown, column) for column in reading.graph.keys.get(reading.shown, ())]
        named = [ColumnOf(ref) for ref in names if ColumnOf(ref) not in plain]
        plain = [*named, *plain]
        reading.outputs[:0] = named
    if reading.groups:
        shown = [group for group in reading.groups if not _is_hidden_key(reading, group)]
        tables = {group.table for group in reading.groups}
        extra = [one for one in plain if one not in reading.groups]
        named = [one for one in extra if one.table in tables and not one.part]
        if named and any(_is_hidden_key(reading, group) for group in reading.groups):
            reading.groups.extend(named)
            shown = [one for one in shown if not any(one.table == other.table for other in named)]
            shown = [*named, *[one for one in shown if one not in named]]
        elif extra:
            reading.groups.extend(extra)
            shown = [*shown, *extra]
        if not measures and not ordered and reading.subject:
            measures = [Measure("count", reading.subject)]
        reading.outputs = [*dict.fromkeys(shown), *measures]
        reading.groups = list(dict.fromkeys(reading.groups))
    elif plain and (measures or ordered or reading.having):
        _group_by_shown(reading, plain)
    if reading.having and not reading.groups and plain:
        reading.groups = list(plain)


def _is_sorted_by(reading: Reading, output: ColumnOf) -> bool:
    return any(order.operand == output for order in reading.order)


def _refuse_unknown_head(reading: Reading) -> None:
    """When what is asked for before the first link is unknown, naming rows would answer another question."""
    for item in reading.items:
        if item.kind == "word" and item.content and not item.used:
            raise Unreadable(f"Nothing in the database stands for “{item.text}”.")
        if item.kind in {"table", "column", "value", "quoted"}:
            return


def _group_by_shown(reading: Reading, plain: list[ColumnOf]) -> None:
    """Plain columns beside a measure: one group for each row they name, or for each of their values."""
    for output in plain:
        entry = reading.lexicon.columns[output.ref]
        key = reading.graph.keys.get(output.table, ())
        names_rows = entry.is_name or entry in reading.lexicon.tables[output.table].named() or entry.ref[1] in key
        if names_rows and key:
            reading.groups.extend(ColumnOf((output.table, column)) for column in key)
        reading.groups.append(output)
    reading.groups = list(dict.fromkeys(reading.groups))


def _is_hidden_key(reading: Reading, group: ColumnOf) -> bool:
    """A key by which rows are told apart but which nobody asked to see, since the rows have names."""
    key = reading.graph.keys.get(group.table, ())
    if group.ref[1] not in key or group.part:
        return False
    return any(ColumnOf(entry.ref) in reading.groups for entry in reading.lexicon.tables[group.table].named())


def _show_subject(reading: Reading, *, grouped: bool) -> None:
    table = reading.lexicon.tables[reading.subject]
    names = table.named()
    key = reading.graph.keys.get(reading.subject, ())
    restricted = bool(reading.conditions or reading.order or reading.limit)
    if grouped:
        group_by_table(reading, reading.subject)
    if names and (restricted or grouped):
        reading.outputs.extend(ColumnOf(entry.ref) for entry in names)
        if not grouped:
            for order in reading.order:
                if (
                    isinstance(order.operand, ColumnOf)
                    and order.operand not in reading.outputs
                    and (reading.limit or 0) > 1
                ):
                    reading.outputs.append(order.operand)
    elif grouped and key:
        reading.outputs.extend(ColumnOf((reading.subject, column)) for column in key)
    else:
        reading.outputs.extend(ColumnOf(entry.ref) for entry in table.columns)
