"""Grouping: "per customer", "by month", "for each country"."""

from __future__ import annotations

from services.sql.grounding.lexicon import label_of
from services.sql.grounding.logical_form import ColumnOf, Measure
from services.sql.grounding.reading_measures import is_money_word, measured_tables
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.words import IRREGULAR, stem
from services.sql.models import ColumnKind

TIME_UNITS = {
    "day": "day",
    "daily": "day",
    "week": "week",
    "weekly": "week",
    "month": "month",
    "monthly": "month",
    "quarter": "quarter",
    "quarterly": "quarter",
    "year": "year",
    "yearly": "year",
    "annual": "year",
    "annually": "year",
    "date": "day",
}
CYCLES = (
    (("day", "of", "week"), "weekday"),
    (("weekday",), "weekday"),
    (("hour", "of", "day"), "hour"),
    (("hour",), "hour"),
)
ADDITIVE = frozenset(
    stem(word)
    for word in """
amount total quantity hours cost revenue sales income tax payment value units volume expense expenditure refund
spend turnover
""".split()
)
RATED = frozenset(
    stem(word) for word in "hour minute second day kilometre km mile unit litre kg seat sqm metre".split()
)
ADVERBS = frozenset({"daily", "weekly", "monthly", "quarterly", "yearly", "annual", "annually"})


def has_aggregate(reading: Reading) -> bool:
    """Whether the question asks for a number computed over rows."""
    if any(not isinstance(output, ColumnOf) for output in reading.outputs) or any(
        isinstance(order.operand, Measure) for order in reading.order
    ):
        return True
    return any(
        (item.is_cue("count", "aggregate", "share") or item.swallowed or is_money_word(reading, index))
        and not item.used
        for index, item in enumerate(reading.items)
    ) or _adds_up(reading)


def _adds_up(reading: Reading) -> bool:
    """Whether a sum is meant without the word: "refund amount by reason", "monthly net pay"."""
    if any(item.is_cue("relative", "everything", "order", "superlative") for item in reading.items):
        return False
    named = [index for index, item in enumerate(reading.items) if item.kind in {"table", "column"}]
    entry = (
        reading.column_of(named[0], wanted="numeric") if named and reading.items[named[0]].kind == "column" else None
    )
    if entry is None or entry.is_year or reading.items[named[0]].quality < 0.6 or not set(entry.own) & ADDITIVE:
        return False
    following = reading.items[named[0] + 1] if named[0] + 1 < len(reading.items) else None
    opens = following is not None and following.is_cue("by", "group")
    return opens or any(token.lower in ADVERBS for token in reading.tokens[: reading.items[named[0]].first])


def read_groups(reading: Reading) -> None:
    """Find what the answer has one row for each of."""
    for index, item in enumerate(reading.items):
        if item.used:
            continue
        if item.is_cue("group"):
            _group_at(reading, index, certain=item.text not in {"each", "every", "of each", "of every"})
        elif item.is_cue("by") and _names_doers(reading, index):
            item.used = True
        elif item.is_cue("by") and has_aggregate(reading):
            _group_at(reading, index, certain=True)
    _adverbs(reading)
    _asked_time(reading)


def _names_doers(reading: Reading, index: int) -> bool:
    """For "tips received by drivers": who did it, not one row for each of them."""
    after = index + 1
    if after >= len(reading.items) or reading.items[after].kind != "table" or reading.words_between(index, after):
        return False
    verb = reading.word_before(index)
    return (verb.endswith("ed") or verb in IRREGULAR) and reading.items[after].text.lower().endswith("s")


def _asked_time(reading: Reading) -> None:
    """In "which month had the highest sales" the unit of time is what is asked for."""
    if reading.groups or not any(isinstance(order.operand, Measure) for order in reading.order):
        return
    for item in reading.items[:2]:
        unit = TIME_UNITS.get(item.text.lower().removesuffix("s"), "")
        loose = item.kind == "word" or (item.kind == "column" and item.quality < 0.6)
        if unit and item.first <= 2 and loose and not item.used and add_time(reading, unit):
            item.used = True
            return


def _adverbs(reading: Reading) -> None:
    for place, token in enumerate(reading.tokens):
        holder = next((item for item in reading.items if item.first <= place <= item.last), None)
        if token.lower not in ADVERBS or not has_aggregate(reading) or (holder is not None and holder.content > 1):
            continue
        if holder is None or not holder.used:
            add_time(reading, TIME_UNITS[token.lower])
            if holder is not None:
                holder.used = True


def _group_at(reading: Reading, index: int, *, certain: bool) -> None:
    if not has_aggregate(reading):
        if reading.items[index].text in {"each", "every", "for each", "of each"}:
            reading.items[index].used = True
        return
    if _group_by_cycle(reading, index):
        return
    items = reading.items
    at: int | None = index + 1
    position = items[index].last + 1
    found = False
    if position < len(reading.tokens) and reading.tokens[position].lower == "the":
        position += 1
    word = reading.tokens[position].lower if position < len(reading.tokens) else ""
    while at is not None and at < len(items):
        item = items[at]
        word = reading.tokens[item.first].lower if not (at == index + 1 and item.first > position) else word
        unit = TIME_UNITS.get(word.removesuffix("s"), "")
        if unit and not _names_year_column(reading, at, unit) and add_time(reading, unit):
            if reading.tokens[item.first].lower.removesuffix("s") in TIME_UNITS:
                item.used = True
            found = True
        elif item.kind in {"table", "column"} and item.quality >= 0.4 and not item.used and _add_key(reading, at):
            found = True
        elif item.is_cue("superlative", "distinct") or (item.is_cue("group") and at > index):
            at += 1
            continue
        else:
            break
        if at + 1 < len(items) and items[at + 1].is_cue("and") and at + 2 < len(items) and items[at + 2].kind != "cue":
            between = reading.words_between(at + 1, at + 2)
            if set(between) - {"the", "their", "each", "by", "per"}:
                break
            at += 2
            word = ""
            continue
        break
    if not found and at == index + 1 and TIME_UNITS.get(word.removesuffix("s")):
        found = add_time(reading, TIME_UNITS[word.removesuffix("s")])
    if found:
        items[index].used = True


def _group_by_cycle(reading: Reading, index: int) -> bool:
    """For "by day of the week", "per weekday", "for each hour of the day": one row for each place in the cycle."""
    first = reading.items[index].last + 1
    words = [token.lower for token in reading.tokens[first : first + 5] if token.lower != "the"]
    for said, part in CYCLES:
        if tuple(words[: len(said)]) != said:
            continue
        if not add_time(reading, part):
            raise Unreadable(f"It asks for one row for each {part}, but of no date.")
        if part == "weekday":
            reading.groups.append(ColumnOf(reading.groups[-1].ref, "isodow"))  # Monday comes before Tuesday
        for item in reading.items[index:]:
            if item.first < first + len(said) + 1 and reading.tokens[item.first].lower in {*said, "the"}:
                item.used = True
        reading.items[index].used = True
        return True
    return False


def _names_year_column(reading: Reading, index: int, unit: str) -> bool:
    item = reading.items[index]
    entry = reading.column_of(index) if item.kind == "column" else None
    if entry is None:
        return False
    if item.content > 1:
        return True
    computed = measured_tables(reading) or [reading.subject]
    return unit == "year" and entry.is_year and entry.table in computed


def add_time(reading: Reading, unit: str) -> bool:
    """One group for each unit of the date spoken of; False where there is none."""
    tables = [*measured_tables(reading), *([reading.subject] if reading.subject else []), *reading.mentioned_tables()]
    entry = reading.date_column(tables)
    if entry is None:
        return False
    group = ColumnOf(entry.ref, "" if entry.is_year else unit)
    if group not in reading.groups:
        reading.groups.append(group)
        reading.notes.append(f"“{unit}” → {unit} of {reading.text_of(entry.ref)}")
    return True


def _add_key(reading: Reading, index: int) -> bool:
    item = reading.items[index]
    if item.kind == "table" and (table := reading.table_of(index)) is not None:
        if table in measured_tables(reading) and _averages(reading, index):
            item.used = True  # "average salary per employee" is the average over all of them
            return True
        if item.columns and not _is_reachable(reading, table):
            entry = reading.column_of(index)
            if entry is not None:
                reading.groups.append(ColumnOf(entry.ref))
                reading.note(index, reading.text_of(entry.ref))
                return True
        group_by_table(reading, table)
        reading.note(index, f"one row for each of {table}")
        return True
    entry = reading.column_of(index)
    if entry is None:
        return False
    continuous = entry.column.kind is ColumnKind.NUMBER
    if (
        entry.is_numeric
        and (continuous or set(entry.own) & RATED)
        and reading.word_before(index) == "per"
        and has_aggregate(reading)
    ):
        raise Unreadable(f"It asks for a rate per {item.text}, not for one row of each.")
    if entry.is_key and (target := _referenced(reading, entry.ref)) is not None and not _says_key(reading, index):
        group_by_table(reading, target)
    else:
        reading.groups.append(ColumnOf(entry.ref))
    reading.note(index, f"one row for each {reading.text_of(entry.ref)}")
    return True


def _averages(reading: Reading, before: int) -> bool:
    return any(
        item.is_cue("aggregate") and item.cue is not None and item.cue.data == "avg" for item in reading.items[:before]
    )


def _says_key(reading: Reading, index: int) -> bool:
    item = reading.items[index]
    return any(token.lower in {"id", "ids", "code", "number"} for token in reading.tokens[item.first : item.last + 1])


def _referenced(reading: Reading, ref: tuple[str, str]) -> str | None:
    for edge in reading.graph.edges.get(ref[0], ()):
        if edge.to_one and edge.source_columns == (ref[1],):
            return edge.target
    return None


def _is_reachable(reading: Reading, table: str) -> bool:
    others = [one for one in reading.mentioned_tables() if one != table]
    return not others or any(reading.graph.distance(one, table) < 99 for one in others)


def group_by_table(reading: Reading, table: str) -> None:
    """One group for each row of a table: by its key, shown by its name."""
    key = reading.graph.keys.get(table, ())
    names = reading.lexicon.tables[table].named()
    for column in key:
        reading.groups.append(ColumnOf((table, column)))
    label = label_of(reading.lexicon.tables[table]) if key and not names else None
    if label is not None:
        reading.groups.append(ColumnOf(label.ref))
    if not key or names:
        shown = names or reading.lexicon.tables[table].columns[:1]
        reading.groups.extend(ColumnOf(entry.ref) for entry in shown if ColumnOf(entry.ref) not in reading.groups)
