"""How many rows, which of their lines, and rows that are counted without a word for it."""

from __future__ import annotations

from services.sql.grounding.logical_form import ColumnOf, Compare, Measure
from services.sql.grounding.reading_groups import TIME_UNITS, has_aggregate
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.thesaurus import QUANTITY_WORDS
from services.sql.grounding.wording import IMPERATIVES

_BEFORE_NUMBERS = frozenset({"me", "us", "any", "just", "only", "the"})
_CONTENTS = (["what", "is", "in"], ["what", "was", "in"], ["what", "does"], ["what", "did"])
_FEW = 0.5  # kinds are at most this share of the rows


def read_row_limit(reading: Reading) -> None:
    """For "show 10 customers with their city": that many rows, whichever come first."""
    tokens, items = reading.tokens, reading.items
    if tokens[0].lower not in IMPERATIVES or any(item.is_cue("superlative", "count") for item in items):
        return
    place = 1
    while place < len(tokens) and tokens[place].lower in _BEFORE_NUMBERS:
        place += 1
    at = next((one for one, item in enumerate(items) if item.first == place), None)
    if at is None or at + 1 >= len(items):
        return
    number, rows = items[at], items[at + 1]
    value = number.number
    if number.kind != "number" or value is None or value != int(value) or not 0 < value <= 100_000:
        return
    if rows.kind != "table" or rows.first != number.last + 1 or not tokens[rows.last].lower.endswith(("s", "people")):
        return
    reading.limit = int(value)
    reading.note(at, f"{int(value)} rows, whichever come first")


def count_rows_by(reading: Reading) -> None:
    """For "orders per status", "bookings of 2025 by channel": how many there are of each."""
    items = reading.items
    if not items or items[0].kind != "table" or items[0].first > 0 or items[0].quality < 0.75 or has_aggregate(reading):
        return
    at = next((one for one, item in enumerate(items) if item.is_cue("group", "by")), None)
    if at is None or at + 1 >= len(items) or not items[at].text.endswith(("per", "by")):
        return
    between = items[1:at]
    if any(item.period is None and not item.values and not item.is_cue("compare", "between") for item in between):
        return
    if not all(item.is_cue("and") or item.kind in {"table", "column", "word"} for item in items[at + 1 :]):
        return
    following = items[at + 1]
    if following.first != items[at].last + 1:
        return
    timed = following.text.lower().removesuffix("s") in TIME_UNITS
    entry = reading.column_of(at + 1) if following.kind == "column" else None
    kinds = entry is not None and (entry.is_text or entry.is_year) and not entry.is_name
    table = reading.table_of(0)
    named = reading.table_of(at + 1) if following.kind == "table" else None
    pointed = named is not None and table is not None and reading.graph.path((table,), named, to_one=True) is not None
    points = entry is not None and entry.is_key and entry.table == table and not timed  # "consultants per department"
    if table is None or not (timed or kinds or points or (pointed and named != table)):
        return
    reading.subject = table
    reading.outputs.append(Measure("count", table))
    reading.note(0, f"counted rows of {table}")


def read_contents(reading: Reading) -> None:
    """For "what is in order 21": what its lines name, with how many of each.

    Raises Unreadable: the row itself is no answer, and its lines cannot be told.
    """
    words = [token.lower for token in reading.tokens]
    if words[:3] not in _CONTENTS[:2] and not (words[:2] in _CONTENTS[2:] and "contain" in words):
        return
    at = next((one for one, item in enumerate(reading.items) if item.kind == "table"), None)
    if at is None or at + 1 >= len(reading.items) or reading.items[at + 1].kind != "number":
        return
    whole, number = reading.table_of(at), reading.items[at + 1]
    key = reading.graph.keys.get(whole or "", ())
    if whole is None or len(key) != 1 or number.number is None or words[:3] == ["what", "is", "the"]:
        return
    found = []
    for edge in reading.graph.edges.get(whole, ()):
        if edge.to_one or edge.target in reading.lexicon.roles:
            continue
        line = reading.lexicon.tables[edge.target]
        things = [
            one.target
            for one in reading.graph.edges.get(line.name, ())
            if one.to_one and one.target != whole and reading.lexicon.tables[one.target].named()
        ]
        if len(set(things)) == 1 and not line.named():
            found.append((line, things[0]))
    if len(found) != 1:
        raise Unreadable(f"It is not clear what is in “{reading.items[at].text} {number.text}”.")
    line, thing = found[0]
    reading.subject = line.name
    reading.outputs.extend(ColumnOf(entry.ref) for entry in reading.lexicon.tables[thing].named())
    reading.outputs.extend(
        ColumnOf(entry.ref) for entry in line.columns if entry.is_numeric and set(entry.own) & QUANTITY_WORDS
    )
    reading.conditions.append(Compare((whole, key[0]), "=", number.number))
    reading.note(at, f"{line.name.split('.', 1)[1]} of it")
    reading.note(at + 1, f"{whole.split('.', 1)[1]}.{key[0]} = {number.text}")


def are_kinds(reading: Reading) -> bool:
    """Whether "list all product categories" asks for each kind once rather than for that of every row."""
    words = [token.lower for token in reading.tokens]
    if words[0] not in {"list", "show", "what"} or len(reading.outputs) != 1 or reading.order or reading.limit:
        return False
    shown = reading.outputs[0]
    if not isinstance(shown, ColumnOf):
        return False
    entry = reading.lexicon.columns[shown.ref]
    said = next((item for item in reading.items if shown.ref in item.columns and item.used), None)
    if said is None or entry in reading.lexicon.tables[entry.table].named() or entry.is_key or not entry.is_text:
        return False
    rows, kinds = reading.lexicon.tables[entry.table].table.estimated_row_count, entry.column.distinct_estimate
    if kinds is None and entry.column.values_complete:
        kinds = len(entry.column.values)
    few = kinds is not None and rows > 0 and kinds <= _FEW * rows
    opens = {"all", "the", "me", "list", "show", "what", "are", "different"}
    first = set(words[: said.first]) <= opens and ("all" in words[: said.first] or words[:2] == ["what", "are"])
    return few and first and words[said.last].endswith("s") and said is reading.items[-1]
