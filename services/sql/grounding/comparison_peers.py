"""Comparisons with something other than a number: occasions, one's own limit, the row in a role, a person's pay."""

from __future__ import annotations

from services.sql.grounding.logical_form import CompareColumns, Measure, Related
from services.sql.grounding.reading_state import Reading
from services.sql.grounding.reading_states import done_in
from services.sql.grounding.thesaurus import QUANTITY_WORDS
from services.sql.grounding.words import stem

SIGNS = frozenset({">", "<", ">=", "<=", "<>", "="})
LIMIT_WORDS = frozenset(
    stem(word) for word in ("limit", "threshold", "reorder", "minimum", "maximum", "target", "quota", "level", "safety")
)
EARNING = frozenset(stem(word) for word in ("earn", "earning", "paid", "make"))
PAY = ("salary", "wage", "pay", "income", "compensation")


def counts_times(reading: Reading, number: int) -> bool:
    """Whether the number counts occasions: "more than once", "at least 3 times"."""
    last = reading.items[number].last
    following = reading.tokens[last + 1].lower if last + 1 < len(reading.tokens) else ""
    return reading.items[number].text.lower() in {"once", "twice"} or following == "times"


def times_related(reading: Reading, index: int, number: int, operator: str, value: float) -> bool:
    """Rows of the table that the verb before names, counted for each row of the subject."""
    for before in range(index - 1, -1, -1):
        item = reading.items[before]
        table = reading.table_of(before) if item.kind == "table" and not item.used else None
        if table is None or table == reading.subject or not reading.subject:
            continue
        reading.conditions.append(Related(reading.subject, Measure("count", table), operator, value))
        reading.note(before, f"number of {table} {operator} {reading.items[number].text}")
        reading.note(index, "")
        reading.note(number, "")
        for one in reading.items[number + 1 : number + 2]:
            one.used = one.used or one.text == "times"
        return True
    position = reading.items[index].first - 1
    verb = reading.tokens[position] if position >= 0 else None
    table = done_in(reading, verb.stem, None) if verb is not None and reading.subject else None
    if table is None or verb is None:
        return False
    reading.conditions.append(Related(reading.subject, Measure("count", table), operator, value))
    reading.note(index, f"number of {table} {operator} {reading.items[number].text}")
    reading.note(number, "")
    for item in reading.items:
        item.used = item.used or item.first == position or item.text == "times"
    return True


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
    held = [one for one in others if set(one.own) & QUANTITY_WORDS] or others
    if len(held) != 1:
        return False
    reading.conditions.append(CompareColumns(held[0].ref, operator, limit.ref))
    reading.note(index, f"{reading.text_of(held[0].ref)} {operator} {reading.text_of(limit.ref)}")
    reading.note(after, "")
    return True
