"""Superlatives: "the oldest singer", "top 5 customers by total spent", "which stadium has the most concerts"."""

from __future__ import annotations

from services.sql.grounding.logical_form import ColumnOf, CompareToMeasure, Measure, Ordering
from services.sql.grounding.reading_measures import is_money_word, money_measure, usual_measure
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.wording import ORDINALS, Cue

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


def read_superlatives(reading: Reading) -> None:
    """Turn each superlative into an order with a limit, an extreme value, or a condition on another table."""
    for index, item in enumerate(reading.items):
        if _is_outer_aggregate(reading, index) and item.cue is not None:  # "the maximum average price"
            item.cue = Cue("superlative", "desc" if item.cue.data == "max" else "asc")
        if item.is_cue("superlative") and not item.used and not _is_idle(reading, index):
            _read(reading, index)


def _is_outer_aggregate(reading: Reading, index: int) -> bool:
    """Whether "maximum" and "minimum" choose a row or a group instead of being shown."""
    item = reading.items[index]
    if not item.is_cue("aggregate") or item.used or item.cue is None or item.cue.data not in {"max", "min"}:
        return False
    following = reading.items[index + 1] if index + 1 < len(reading.items) else None
    if following is not None and following.is_cue("aggregate", "count") and following.cue is not None:
        return following.cue.data not in {"max", "min"} and following.first == item.last + 1
    words = {reading.word_before(index), reading.word_before(index, 2)}
    named = any(one.kind in {"table", "column"} and not one.used for one in reading.items[:index])
    return named and bool(words & {"with", "has", "have", "having", "had"})


def _is_idle(reading: Reading, index: int) -> bool:
    """"first" and "last" alone are too common to be taken for more than they are."""  # fmt: skip
    item = reading.items[index]
    if item.text in {"first", "last"}:
        after = index + 1
        if after >= len(reading.items) and index > 0 and reading.items[index - 1].columns:
            return reading.column_of(index - 1, wanted="ordered") is None  # "born first"
        if after >= len(reading.items) or reading.items[after].kind not in {"table", "number"}:
            return True
    return item.text == "most" and reading.word_before(index) == "at"


def _read(reading: Reading, index: int) -> None:
    items, cue = reading.items, reading.items[index].cue
    assert cue is not None
    descending = cue.data == "desc"
    limit, at = _limit_and_next(reading, index)
    _skip_by_ordinal(reading, index)
    reading.note(index, "")
    if "#count" in cue.hints:
        _most_common(reading, index, at, descending, limit)
        return
    by = next((one for one in range(index + 1, len(items)) if items[one].is_cue("by") and not items[one].used), None)
    if cue.hints:
        if by is not None and _read_measure(reading, by + 1, index, descending, limit, shows=(limit or 1) > 1):
            reading.note(by, "")
            return
        if _hinted(reading, index, at, cue.hints, descending, limit):
            return
        raise Unreadable(f"Nothing in the database tells which is “{items[index].text}”.")
    if by is None and items[index].text in {"top", "bottom"}:
        by = next(
            (one for one in range(index + 1, len(items)) if items[one].is_cue("order") and not items[one].used), None
        )
    names_entity = at is not None and (items[at].kind == "table" or (by is not None and items[at].kind == "column"))
    if by is not None and names_entity and _read_measure(reading, by + 1, index, descending, limit, shows=True):
        reading.note(by, "")
        assert at is not None
        entry = reading.column_of(at) if items[at].kind == "column" else None
        if entry is not None:
            reading.outputs.insert(0, ColumnOf(entry.ref))
            reading.note(at, reading.text_of(entry.ref))
        else:
            reading.shown = reading.table_of(at) or ""
        return
    if at is not None and _read_measure(
        reading,
        at,
        index,
        descending,
        limit,
        shows=False,
        entity_first=items[index].text not in {"most", "the most", "fewest", "the fewest", "least", "the least"},
    ):
        return
    if index > 0 and _spent_most(reading, index, descending, limit):
        return
    raise Unreadable(f"It is not clear by what “{items[index].text}” is measured.")


def _skip_by_ordinal(reading: Reading, index: int) -> None:
    """"the second highest" leaves out the first."""  # fmt: skip
    rank = ORDINALS.get(reading.word_before(index), 0)
    if not rank:
        return
    reading.offset = rank - 1
    for item in reading.items[:index]:
        if item.last == reading.items[index].first - 1:
            item.used = True


def _limit_and_next(reading: Reading, index: int) -> tuple[int | None, int | None]:
    items = reading.items
    limit: int | None = None
    if (
        index > 0
        and items[index - 1].kind == "number"
        and not items[index - 1].used
        and not reading.words_between(index - 1, index)
    ):
        limit = _whole(reading, index - 1)
    if limit is None:
        limit = _counted_head(reading, index)
    at = reading.next_index(index)
    if at is not None and items[at].kind == "number" and items[at].period is None:
        limit = _whole(reading, at)
        at = reading.next_index(at)
    while at is not None and items[at].is_cue("superlative", "distinct"):  # "top 3 most expensive"
        if items[at].is_cue("superlative") and items[at].cue is not None and items[at].cue.hints:
            break
        items[at].used = True
        at = reading.next_index(at)
    return limit, at


def _counted_head(reading: Reading, index: int) -> int | None:
    """"which 5 cities generated the most revenue"."""  # fmt: skip
    for one in range(index - 1):
        item, following = reading.items[one], reading.items[one + 1]
        if item.kind == "number" and not item.used and item.period is None and following.kind in {"table", "column"}:
            if not any(before.is_cue("compare", "relative") and before.first > 0 for before in reading.items[:one]):
                return _whole(reading, one)
    return None


def _whole(reading: Reading, index: int) -> int | None:
    number = reading.items[index].number
    if number is None or number != int(number) or not 0 < number <= 100_000:
        return None
    reading.items[index].used = True
    return int(number)


def _is_plural(text: str) -> bool:
    return text.lower().endswith("s") and not text.lower().endswith("ss")


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
    if counted or (belongs_elsewhere and limit is None and way is not None and any(
        item.kind == "table" and table in item.tables for item in reading.items[index:]
    )):  # fmt: skip
        reading.conditions.append(CompareToMeasure(ref, "=", Measure("max" if descending else "min", table, ref)))
        return
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


def _hinted(
    reading: Reading, index: int, at: int | None, hints: tuple[str, ...], descending: bool, limit: int | None
) -> bool:
    items = reading.items
    if at is not None and items[at].is_cue("aggregate", "count"):
        return _read_measure(reading, at, index, descending, limit, shows=False)
    if at is not None and items[at].kind == "column":
        named = reading.column_of(at, wanted="ordered")
        if named is not None and (items[at].quality >= 0.6 or set(named.own) & set(hints)):
            reading.note(at, "")
            _extreme(reading, named.ref, descending, limit, index)
            return True
    if index > 0 and items[index - 1].kind == "column" and at is None:  # "opened most recently"
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
        if found is not None:
            _ordered_by_column(reading, found.ref, descending, limit, index)
            return True
        if "age" in hints:
            born = next((one for one in reading.lexicon.tables[table].columns if one.is_date and set(one.own) & {"birth", "born", "found", "built"}), None)  # fmt: skip
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


def _extreme(reading: Reading, ref: tuple[str, str], descending: bool, limit: int | None, index: int) -> None:
    """"the highest price" alone asks for the value; beside an entity it says which one."""  # fmt: skip
    if limit is None and not _asks_for_rows(reading, index):
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
    return first in {"who"} or any(item.kind == "table" and not item.used and set(reading.words_between(position - 1, position)) & {"which", "what"} for position, item in enumerate(reading.items) if 0 < position < index)  # fmt: skip


def _read_measure(
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


def _most_common(reading: Reading, index: int, at: int | None, descending: bool, limit: int | None) -> None:
    items = reading.items
    target = at if at is not None and items[at].kind in {"table", "column"} else next(
        (one for one in range(index - 1, -1, -1) if items[one].kind in {"table", "column"}), None
    )  # fmt: skip
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


def _spent_most(reading: Reading, index: int, descending: bool, limit: int | None) -> bool:
    """"who spent the most": the measure stands before the superlative."""  # fmt: skip
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
