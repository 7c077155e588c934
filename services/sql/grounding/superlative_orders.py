"""What a superlative orders by: an attribute its adjective hints at, a named column or measure, or a count."""

from __future__ import annotations

from services.sql.grounding.logical_form import (
    ColumnOf,
    CompareToMeasure,
    Measure,
    Ordering,
)
from services.sql.grounding.reading_measures import is_money_word, money_measure, usual_measure
from services.sql.grounding.reading_state import TRADE_TABLES, Reading, Unreadable
from services.sql.grounding.thesaurus import PRICE_WORDS
from services.sql.grounding.words import stem

_SOLD_WORDS = frozenset({stem("quantity"), stem("units"), "sell"})
_NEVER_ADDED = frozenset(
    stem(word) for word in "rate price fare score rating stars grade percent level floor age year".split()
)
SIZE_HINTS = (
    "size",
    "area",
    "population",
    "capacity",
    "amount",
    "total",
    "quantity",
    "value",
    "price",
    "length",
    "score",
)


def _ordered_by_column(reading: Reading, ref: tuple[str, str], descending: bool, limit: int | None, index: int) -> None:
    """Order by a column, or, when its table is not the one asked about, keep only the rows at the extreme."""
    table = ref[0]
    asked = reading.subject
    counted = any(item.is_cue("count") and position < index for position, item in enumerate(reading.items))
    belongs_elsewhere = asked and asked != table and not _shows_table(reading, table, index)
    entry = reading.lexicon.columns[ref]
    reading.notes.append(
        f"“{reading.items[index].text}” → {'highest' if descending else 'lowest'} {reading.text_of(ref)}"
    )
    way = reading.graph.path((asked,), table, to_one=True) if belongs_elsewhere else None
    if counted or (
        belongs_elsewhere
        and limit is None
        and way is not None
        and any(item.kind == "table" and table in item.tables for item in reading.items[index:])
    ):
        reading.conditions.append(CompareToMeasure(ref, "=", Measure("max" if descending else "min", table, ref)))
        return
    if reading.limit is not None:
        raise Unreadable("It asks for two superlatives at once.")
    if not asked:
        reading.subject = table
    reading.order.append(Ordering(ColumnOf(entry.ref), descending))
    reading.limit = limit if limit is not None else 1


def _shows_table(reading: Reading, table: str, before: int) -> bool:
    for index in range(before):
        item = reading.items[index]
        if item.kind == "column" and (entry := reading.column_of(index)) is not None and entry.table == table:
            return True
        if item.kind == "table" and reading.table_of(index) == table:
            return True
    return False


def order_by_hint(
    reading: Reading, index: int, at: int | None, hints: tuple[str, ...], descending: bool, limit: int | None
) -> bool:
    items = reading.items
    if "sold" in hints and (sold := _units_sold(reading)) is not None:
        _ordered_by_measure(reading, sold, descending, limit, index, shows=False)
        return True
    if at is not None and items[at].is_cue("aggregate", "count"):
        return order_by_named(reading, at, index, descending, limit, shows=False)
    if at is not None and items[at].kind == "column":
        named = reading.column_of(at, wanted="ordered")
        if named is not None and (items[at].quality >= 0.6 or set(named.own) & set(hints)):
            reading.note(at, "")
            _extreme(reading, named.ref, descending, limit, index)
            return True
    if index > 0 and items[index - 1].kind in {"column", "verb"} and at is None:  # "opened most recently"
        named = reading.column_of(index - 1, wanted="ordered")
        if named is not None:
            reading.note(index - 1, "")
            _ordered_by_column(reading, named.ref, descending, limit, index)
            return True
    tables = []
    if at is not None and items[at].tables:
        tables.append(reading.table_of(at))
    for one in range(index - 1, -1, -1):
        if items[one].kind == "table":
            tables.append(reading.table_of(one))
    tables += [reading.subject, *reading.mentioned_tables()]
    for table in dict.fromkeys(one for one in tables if one):
        found = reading.find_attribute(table, hints, "ordered")
        if found is not None and "sold" in hints and "sell" not in found.own:
            continue  # what is there of a product is not what was sold of it
        if found is not None:
            _ordered_by_column(reading, found.ref, descending, limit, index)
            return True
        if "age" in hints:
            born = next(
                (
                    one
                    for one in reading.lexicon.tables[table].columns
                    if one.is_date and set(one.own) & {"birth", "born", "found", "built"}
                ),
                None,
            )
            if born is not None:
                _ordered_by_column(reading, born.ref, not descending, limit, index)
                return True
        if "date" in hints and (date := reading.date_column([table])) is not None:
            _ordered_by_column(reading, date.ref, descending, limit, index)
            return True
    if "age" in hints:
        for table in dict.fromkeys(one for one in tables if one):
            if (date := reading.date_column([table])) is not None:  # "oldest account", "oldest order"
                reading.doubt *= 0.9
                _ordered_by_column(reading, date.ref, not descending, limit, index)
                return True
    return False


def _units_sold(reading: Reading) -> Measure | None:
    """What was sold of each row of the subject: the one quantity among the rows of sales that point to it."""
    found = [
        entry
        for table in reading.lexicon.tables.values()
        if TRADE_TABLES & set(table.stems) and table.name != reading.subject
        for entry in table.columns
        if entry.is_numeric and set(entry.own) & _SOLD_WORDS and not set(entry.own) & PRICE_WORDS
        if reading.subject and reading.graph.path((table.name,), reading.subject, to_one=True) is not None
    ]
    return Measure("sum", found[0].table, found[0].ref) if len(found) == 1 else None


def _extreme(reading: Reading, ref: tuple[str, str], descending: bool, limit: int | None, index: int) -> None:
    """Alone, "the highest price" asks for the value; beside an entity it says which one."""
    for_each = (
        any(item.is_cue("group") and not item.used for item in reading.items)
        and reading.lexicon.columns[ref].is_numeric
    )
    beside = reading.word_before(index) in {"its", "their"} or not any(
        item.kind == "table" and not item.used for item in reading.items[:index]
    )
    possessive = reading.word_before(index) in {"its", "their"}
    asks_which = any(
        token.lower in {"which", "who", "what"} and one.kind in {"column", "table"} and one.first == place + 1
        for place, token in enumerate(reading.tokens)
        for one in reading.items[:index]
    )
    beside = beside and not asks_which
    beside = beside or (index > 0 and reading.items[index - 1].is_cue("and") and for_each)
    if limit is None and (not _asks_for_rows(reading, index) or (for_each and beside) or possessive):
        function = "max" if descending else "min"
        reading.outputs.append(Measure(function, ref[0], ref))
        reading.notes.append(f"“{reading.items[index].text}” → {function} of {reading.text_of(ref)}")
        reading.subject = reading.subject or ref[0]
        return
    _ordered_by_column(reading, ref, descending, limit, index)


def _asks_for_rows(reading: Reading, index: int) -> bool:
    """Whether something before the superlative is what is asked for: "which product has", "name of the"."""
    first = reading.tokens[0].lower if reading.tokens else ""
    for item in reading.items[:index]:
        if item.kind in {"table", "column"} and item.quality >= 0.5 and not item.used:
            return True
        if item.is_cue("count", "everything"):
            return True
    return first in {"who"} or any(
        item.kind == "table"
        and not item.used
        and set(reading.words_between(position - 1, position)) & {"which", "what"}
        for position, item in enumerate(reading.items)
        if 0 < position < index
    )


def order_by_named(
    reading: Reading,
    at: int,
    index: int,
    descending: bool,
    limit: int | None,
    *,
    shows: bool,
    entity_first: bool = False,
) -> bool:
    """Order by what is named at `at`: a count, an aggregate, a column, or rows of a table."""
    items = reading.items
    if at >= len(items):
        return False
    item = items[at]
    if item.is_cue("count", "aggregate"):
        after = reading.next_index(at, skip=("distinct",))
        if after is None or item.cue is None:
            return False
        if item.cue.kind == "count" and items[after].kind == "column":
            counted = reading.column_of(after, wanted="numeric")  # "the highest number of pages" is a column
            if counted is not None and not counted.is_year:
                reading.note(at, "")
                reading.note(after, "")
                owner = _entity(reading, at, counted.table)
                if owner is not None and reading.graph.path((owner,), counted.table, to_one=True) is None:
                    added = Measure("sum", counted.table, counted.ref)  # "plans by number of seats sold"
                    _ordered_by_measure(reading, added, descending, limit, index, shows)
                    return True
                _extreme(reading, counted.ref, descending, limit, index)
                return True
        measure = _aggregate_over(reading, item.cue.kind, item.cue.data, after)
        if measure is None:
            return False
        reading.note(at, "")
        reading.note(after, "")
        _ordered_by_measure(reading, measure, descending, limit, index, shows)
        return True
    if is_money_word(reading, at) and (item.kind == "word" or item.quality < 0.8):
        measure = money_measure(reading, at, item.swallowed or "sum")
        if measure is not None:
            reading.note(at, "")
            _ordered_by_measure(reading, measure, descending, limit, index, shows)
            return True
    if item.kind == "table" and (table := reading.table_of(at)) is not None:
        if entity_first and items[index].text in {"top", "bottom"}:
            raise Unreadable(f"It is not said by what the “{items[index].text}” {item.text} are chosen.")
        if entity_first:  # "largest city": its own size
            entry = reading.find_attribute(table, SIZE_HINTS, "numeric") or usual_measure(reading, table)
            if entry is None:
                return False
            reading.doubt *= 0.85
            _ordered_by_column(reading, entry.ref, descending, limit, index)
            return True
        owner = _entity(reading, at, table)
        if owner is None:
            return False
        reading.note(at, "")
        _ordered_by_measure(reading, Measure("count", table), descending, limit, index, shows)
        return True
    if item.columns and (entry := reading.column_of(at, wanted="ordered")) is not None:
        reading.note(at, "")
        subject = reading.subject
        if item.swallowed or (
            subject and subject != entry.table and reading.graph.path((subject,), entry.table, to_one=True) is None
        ):
            never_added = set(entry.own) & _NEVER_ADDED and not item.swallowed
            if never_added and any(one.is_cue("group") for one in items[at:]):
                reading.outputs.append(Measure("max" if descending else "min", entry.table, entry.ref))
                return True  # "the highest rate per department"
            if never_added:
                raise Unreadable(f"It is not clear which of many “{item.text}” is meant.")
            measure = Measure(item.swallowed or "sum", entry.table, entry.ref)
            if subject and subject != entry.table:
                _ordered_by_measure(reading, measure, descending, limit, index, shows)
                return True
        if shows:
            _ordered_by_column(reading, entry.ref, descending, limit, index)
            reading.outputs.append(ColumnOf(entry.ref))
        else:
            _extreme(reading, entry.ref, descending, limit, index)
        return True
    return False


def _aggregate_over(reading: Reading, kind: str, function: str, after: int) -> Measure | None:
    item = reading.items[after]
    if kind == "aggregate" and item.kind == "table" and function != "sum":
        beside = after + 1
        if beside < len(reading.items) and reading.items[beside].columns and not reading.words_between(after, beside):
            item.used = True
            reading.items[beside].used = True
            after, item = beside, reading.items[beside]
        elif (table := reading.table_of(after)) is not None and (usual := usual_measure(reading, table)) is not None:
            return Measure(function, table, usual.ref)
    if kind == "count":
        table = reading.table_of(after)
        if item.kind == "table" and table is not None:
            return Measure("count", table)
        entry = reading.column_of(after)
        return Measure("count", entry.table, entry.ref, distinct=True) if entry is not None else None
    if is_money_word(reading, after) and item.quality < 0.8:
        return money_measure(reading, after, function)
    entry = reading.column_of(after, wanted="numeric")
    if entry is not None:
        return Measure(function, entry.table, entry.ref)
    if is_money_word(reading, after):
        return money_measure(reading, after, function)
    table = reading.table_of(after)
    return Measure("count", table) if function == "sum" and table is not None else None


def _entity(reading: Reading, before: int, other_than: str) -> str | None:
    """What has the most: a table or column named before, or the subject."""
    for index in range(before - 1, -1, -1):
        item = reading.items[index]
        if item.kind == "table" and (table := reading.table_of(index)) is not None and table != other_than:
            return table
        if item.kind == "column" and (entry := reading.column_of(index)) is not None:
            return entry.table
    return reading.subject if reading.subject != other_than else None


def _ordered_by_measure(
    reading: Reading, measure: Measure, descending: bool, limit: int | None, index: int, shows: bool
) -> None:
    if any(item.is_cue("count") and not item.used for item in reading.items[:index]):
        raise Unreadable("It asks for a count of rows chosen by another count.")
    reading.order.append(Ordering(measure, descending))
    reading.limit = limit if limit is not None else 1
    what = "rows" if measure.ref is None else reading.text_of(measure.ref)
    reading.notes.append(
        f"“{reading.items[index].text}” → by {measure.function} of {what} in {measure.table.split('.', 1)[1]}"
    )
    if shows:
        reading.outputs.append(measure)


def order_by_frequency(reading: Reading, index: int, at: int | None, descending: bool, limit: int | None) -> None:
    items = reading.items
    target = (
        at
        if at is not None and items[at].kind in {"table", "column"}
        else next((one for one in range(index - 1, -1, -1) if items[one].kind in {"table", "column"}), None)
    )
    if target is None:
        raise Unreadable(f"It is not clear what “{items[index].text}” is about.")
    entry = reading.column_of(target) if items[target].kind == "column" else None
    if entry is not None:
        reading.note(target, "")
        reading.outputs.append(ColumnOf(entry.ref))
        others = [one for one in reading.mentioned_tables() if one != entry.table]
        counted = next(
            (one for one in others if reading.graph.path((one,), entry.table, to_one=True) is not None), entry.table
        )
        _ordered_by_measure(reading, Measure("count", counted), descending, limit, index, False)
        return
    table = reading.table_of(target)
    assert table is not None
    reading.subject = reading.subject or table
    others = [one for one in reading.mentioned_tables() if one != table]
    facts = [one for one in others if reading.graph.path((one,), table, to_one=True)]
    facts += [edge.target for edge in reading.graph.edges.get(table, ()) if not edge.to_one]
    if not facts:
        raise Unreadable(f"Nothing in the database tells which {items[target].text} is “{items[index].text}”.")
    if len(set(facts)) > 1:
        reading.doubt *= 0.85
    _ordered_by_measure(reading, Measure("count", facts[0]), descending, limit, index, False)


def order_by_what_precedes(reading: Reading, index: int, descending: bool, limit: int | None) -> bool:
    """For "who spent the most": the measure stands before the superlative."""
    for before in range(index - 1, max(index - 3, -1), -1):
        item = reading.items[before]
        if item.used:
            continue
        if is_money_word(reading, before) and (measure := money_measure(reading, before, "sum")) is not None:
            reading.note(before, "")
            _ordered_by_measure(reading, measure, descending, limit, index, False)
            return True
        if item.columns and (entry := reading.column_of(before, wanted="numeric")) is not None:
            reading.note(before, "")
            _ordered_by_column(reading, entry.ref, descending, limit, index)
            return True
        if item.kind == "table" and (table := reading.table_of(before)) is not None and table != reading.subject:
            reading.note(before, "")
            _ordered_by_measure(reading, Measure("count", table), descending, limit, index, False)
            return True
    return False
