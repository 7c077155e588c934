"""Comparisons with something other than a number: occasions, one's own limit, the row in a role, a person's pay."""

from __future__ import annotations

from services.sql.grounding.logical_form import CompareColumns, CompareToMeasure, CompareToRow, Measure, OneOf, Related
from services.sql.grounding.phrases import Cue
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.thesaurus import PRICE_WORDS, QUANTITY_WORDS
from services.sql.grounding.words import stem

SIGNS = frozenset({">", "<", ">=", "<=", "<>", "="})
LIMIT_WORDS = frozenset(
    stem(word) for word in ("limit", "threshold", "reorder", "minimum", "maximum", "target", "quota", "level", "safety")
)
EARNING = frozenset(stem(word) for word in ("earn", "earning", "paid", "make"))
PAY = ("salary", "wage", "pay", "income", "compensation")


def with_role(reading: Reading, index: int, after: int, operator: str) -> bool:
    """For "earn more than their manager": the same column of the row in that role."""
    role = reading.lexicon.roles.get(reading.table_of(after) or "")
    cue = reading.items[index].cue
    if role is None or not role.is_self or cue is None or operator not in SIGNS:
        return False
    before = reading.items[index - 1] if index > 0 else None
    entry = reading.column_of(index - 1, wanted="numeric", table=role.target) if before and before.columns else None
    entry = entry or reading.find_attribute(role.target, cue.hints, "numeric")
    if entry is None and before is not None and before.text.lower() in {"earn", "earns", "make", "makes", "paid"}:
        entry = reading.find_attribute(role.target, PAY, "numeric")
    if entry is None:
        return False
    reading.conditions.append(CompareColumns(entry.ref, operator, (role.name, entry.column.name)))
    reading.note(index, f"{reading.text_of(entry.ref)} {operator} that of {role.name.split('.', 1)[1]}")
    reading.note(index - 1, "")
    reading.note(after, "")
    return True


_SIZES = ("size", "area", "capacity", "population", "seats", "rooms")
_AFTER = {"after": ">", "later than": ">", "newer than": ">", "more recent than": ">"}
_BEFORE = {"before": "<", "earlier than": "<", "prior to": "<"}
_BIRTHS = ("birth", "born", "dob")
_FLIPPED = {">": "<", "<": ">"}


def with_named_row(reading: Reading, index: int, after: int) -> bool:
    """For "older than Ann", "hired after Ann": the column against that of the row which has the name.

    Raises Unreadable: by what they are compared is not said.
    """
    item, named = reading.items[index], reading.items[after]
    subject, cue = reading.subject, item.cue
    in_time = (_AFTER | _BEFORE).get(item.text, "")
    if cue is None or not subject or not (in_time or (item.text.endswith("than") and cue.data in {">", "<"})):
        return False
    if reading.words_between(index, after) and reading.words_between(index, after) != ["the"]:
        return False
    if (
        in_time
        and named.kind == "value"
        and all(one.entry.is_name and one.entry.table != subject for one in named.values)
    ):
        raise Unreadable(f"It is not clear when “{named.text}” was.")
    names = {entry.ref for entry in reading.lexicon.tables[subject].named()}
    link = next((one for one in named.values if one.entry.ref in names), None)
    if link is None or named.kind != "value":
        return False
    operator = in_time or cue.data
    wanted = "date" if in_time else "numeric"
    before = reading.items[index - 1] if index else None
    entry = (
        reading.column_of(index - 1, wanted=wanted, table=subject) if before is not None and before.columns else None
    )
    if entry is None and before is not None and before.kind in {"table", "cue"}:
        entry = reading.find_attribute(subject, cue.hints or (() if in_time else _SIZES), "numeric")
        if entry is None and "age" in cue.hints:
            entry = reading.find_attribute(subject, _BIRTHS, "date")
            operator = _FLIPPED[operator]
    if entry is None and before is not None and reading.tokens[before.last].stem in EARNING and not in_time:
        entry = reading.find_attribute(subject, PAY, "numeric")
    if entry is None:
        raise Unreadable(f"It is not clear by what “{item.text} {named.text}” compares.")
    reading.conditions.append(CompareToRow(entry.ref, operator, OneOf(link.entry.ref, (link.value,))))
    reading.note(index, f"{reading.text_of(entry.ref)} {operator} that of '{link.value}'")
    if index:
        reading.note(index - 1, "")
    reading.note(after, "")
    return True


def earned(reading: Reading, before: int) -> tuple[str, str] | None:
    """For "drivers who earn less than 20": the pay that each row of the subject holds."""
    if before < 1 or not reading.subject or reading.tokens[reading.items[before - 1].last].stem not in EARNING:
        return None
    entry = reading.find_attribute(reading.subject, PAY, "numeric")
    if entry is None:
        return None
    reading.note(before - 1, "")
    return entry.ref


def own_limit(reading: Reading, index: int, after: int, operator: str) -> bool:
    """For "below their reorder level": the quantity in the same row, when there is but one it can be."""
    if index > 0 and reading.items[index - 1].kind == "column" and not reading.items[index - 1].used:
        return False
    limit = reading.column_of(after, wanted="numeric")
    if limit is None or not set(limit.own) & LIMIT_WORDS:
        return False
    others = [
        one for one in reading.lexicon.tables[limit.table].columns if one.is_numeric and not set(one.own) & LIMIT_WORDS
    ]
    counted = QUANTITY_WORDS | _STOCK_WORDS
    held = [one for one in others if set(one.own) & counted]
    held = held or [one for one in others if not set(one.own) & PRICE_WORDS]
    if len(held) != 1:
        return False
    reading.conditions.append(CompareColumns(held[0].ref, operator, limit.ref))
    reading.note(index, f"{reading.text_of(held[0].ref)} {operator} {reading.text_of(limit.ref)}")
    reading.note(after, "")
    return True


_STOCK_WORDS = frozenset(stem(word) for word in "stock inventory hand balance".split())
_OPPOSITE = {">": "<=", "<": ">=", ">=": "<", "<=": ">", "=": "<>", "after": "until", "before": "since"}
_GREATER = frozenset({"more", "higher", "larger", "greater", "bigger", "longer"})
_SMALLER = frozenset({"fewer", "less", "lower", "smaller", "shorter"})


def deny_comparison(reading: Reading, index: int) -> None:
    """Turn "not higher than" into "at most"."""
    item = reading.items[index]
    before = reading.items[index - 1] if index else None
    opposite = _OPPOSITE.get(item.cue.data) if item.cue is not None else None
    if before is None or opposite is None or not before.is_cue("negation") or before.last + 1 != item.first:
        return
    if before.text == "not" and item.cue is not None and not before.used:
        item.cue = Cue("compare", opposite, item.cue.hints)
        before.used = True


def mark_split_comparatives(reading: Reading) -> None:
    """Take "more staff than 50" for "more than 50 staff"."""
    for index, item in enumerate(reading.items[:-1]):
        word = item.text.lower()
        if item.kind != "word" or word not in _GREATER | _SMALLER:
            continue
        if reading.items[index + 1].kind not in {"column", "table"}:
            continue
        after = index + 2
        if after < len(reading.items) and "than" in reading.words_between(index + 1, after):
            item.kind, item.cue, item.content = "cue", Cue("compare", ">" if word in _GREATER else "<"), 0


def with_count_of(reading: Reading, index: int, table_at: int, operator: str) -> bool:
    """For "more orders than 3": how many rows of the table each row of the subject has."""
    items, number = reading.items, table_at + 1
    value = items[number].number if number < len(items) else None
    table = reading.table_of(table_at)
    if value is None or table is None or "than" not in reading.words_between(table_at, number):
        return False
    if not reading.subject or table == reading.subject:
        return False
    reading.conditions.append(Related(reading.subject, Measure("count", table), operator, value))
    reading.note(index, f"number of {table.split('.', 1)[1]} {operator} {items[number].text}")
    reading.note(table_at, "")
    reading.note(number, "")
    return True


def with_average_of(reading: Reading, index: int, column: int, operator: str) -> None:
    """For "more visitors than the average": the column against its own aggregate over all rows."""
    cue = reading.items[column + 1].cue
    entry = reading.column_of(column, wanted="numeric")
    if entry is None or cue is None or operator not in SIGNS:
        return
    reading.conditions.append(CompareToMeasure(entry.ref, operator, Measure(cue.data, entry.table, entry.ref)))
    reading.note(index, f"{reading.text_of(entry.ref)} {operator} the {reading.items[column + 1].text} of all")
    reading.note(column, "")
    reading.note(column + 1, "")
