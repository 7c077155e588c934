"""What the answer shows, in the order of the question: columns, figures, or the names of two tables."""

from __future__ import annotations

from services.sql.grounding.lexicon import ColumnEntry
from services.sql.grounding.logical_form import (
    ColumnOf,
    Measure,
)
from services.sql.grounding.reading_figures import show_aggregate, show_count, show_money
from services.sql.grounding.reading_measures import is_money_word, usual_measure
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
            index = show_count(reading, index)
        elif item.is_cue("aggregate"):
            index = show_aggregate(reading, index)
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
            show_money(reading, index)
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
