"""Counts that keep those who have none: "the members of each club, including clubs without members"."""

from __future__ import annotations

from services.sql.grounding.logical_form import ColumnOf, Condition, Measure, OfEach, Operand, Ordering, tables_of
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.wording import IMPERATIVES

_OPENING = frozenset({"including", "include", "even", "incl", "also"})
_NONE = frozenset({"zero", "none", "no", "without", "0", "never", "not"})


def mark_zeros(reading: Reading) -> None:
    """Take "including those with none" out of the reading, and remember it."""
    words = [token.lower for token in reading.tokens]
    for place, word in enumerate(words):
        tail = words[place + 1 :]
        if word not in _OPENING or not set(tail) & _NONE or len(tail) > 9 or place == 0:
            continue
        if not (set(tail[:3]) & {"those", "ones", "with", "if", "zero", "when"} or set(tail[1:3]) & {"without", "who"}):
            continue
        reading.keeps_zeros = True
        for item in reading.items:
            if item.first >= place:
                item.used = True
        return


def keep_zeros(reading: Reading) -> None:
    """Count for each row of the table asked about instead of grouping the rows counted.

    Raises Unreadable: whose zeros are to be kept, or what is counted, cannot be told.
    """
    if not reading.keeps_zeros and not _lists_rows(reading):
        return
    measures = [one for one in reading.outputs if not isinstance(one, ColumnOf)]
    owner = _owner(reading)
    if owner is None or not measures or reading.having or reading.share or reading.within:
        raise Unreadable("It asks to keep those that have none, but not of what.")
    plain = [one for one in reading.outputs if isinstance(one, ColumnOf)]
    plain = plain or [ColumnOf(entry.ref) for entry in reading.lexicon.tables[owner].named()]
    outer, inner = _divided(reading, owner)
    replaced: dict[Operand, Operand] = {}
    for one in measures:
        if not isinstance(one, Measure) or one.table == owner or not _holds(reading, one.table, owner):
            raise Unreadable("It asks to keep those that have none of something that cannot be counted for each.")
        replaced[one] = OfEach(owner, one, tuple(inner))
    if not plain or any(one.part or reading.graph.path((owner,), one.table, to_one=True) is None for one in plain):
        raise Unreadable("It asks to keep those that have none, but not of rows.")
    reading.outputs = [*plain, *(replaced[one] for one in measures)]
    reading.order = [Ordering(replaced.get(one.operand, one.operand), one.descending) for one in reading.order]
    reading.conditions, reading.groups, reading.subject = outer, [], owner


def _lists_rows(reading: Reading) -> bool:
    """Whether "list the coaches with the number of lessons" names the rows to be seen, and only figures were read."""
    first = next((at for at, item in enumerate(reading.items) if not item.is_cue("everything", "distinct")), None)
    if first is None or reading.items[first].kind != "table" or reading.groups or reading.share or not reading.outputs:
        return False
    if reading.tokens[0].lower not in IMPERATIVES - {"count"}:
        return False
    following = reading.items[first + 1] if first + 1 < len(reading.items) else None
    pairs = following is not None and (following.is_cue("pair") or following.text in {"with", "together with"})
    counted = reading.items[first + 2] if first + 2 < len(reading.items) else None
    pairs = pairs or (
        following is not None and following.text == "and" and counted is not None and counted.is_cue("count")
    )
    table = reading.table_of(first)
    return pairs and all(isinstance(one, Measure) and one.table != table for one in reading.outputs)


def _owner(reading: Reading) -> str | None:
    """The table whose rows are each to be seen: that grouped by, else that asked about."""
    keyed = [one.table for one in reading.groups if (one.ref[1],) == reading.graph.keys.get(one.table)]
    tables = list(dict.fromkeys(keyed))
    if reading.groups:
        return tables[0] if len(tables) == 1 else None
    named = (reading.table_of(at) for at, item in enumerate(reading.items) if item.kind == "table")
    return next((table for table in named if table), None)


def _holds(reading: Reading, table: str, owner: str) -> bool:
    return reading.graph.path((table,), owner, to_one=True) is not None


def _divided(reading: Reading, owner: str) -> tuple[list[Condition], list[Condition]]:
    """Conditions on the rows shown, and on those counted for each of them."""
    outer: list[Condition] = []
    inner: list[Condition] = []
    for condition in reading.conditions:
        own = all(reading.graph.path((owner,), table, to_one=True) is not None for table in tables_of(condition))
        (outer if own else inner).append(condition)
    return outer, inner
