"""How often something was done: "ordered twice", "cancelled more than once", "with only one booking"."""

from __future__ import annotations

from services.sql.grounding.events import done_in
from services.sql.grounding.logical_form import Condition, Measure, OneOf, Related
from services.sql.grounding.reading_state import Reading, Unreadable

_ADVERBS = frozenset({"once", "twice"})
_EXACTLY = frozenset({"only", "just", "exactly", "precisely"})


def counts_times(reading: Reading, number: int) -> bool:
    """Whether the number counts occasions: "more than once", "at least 3 times"."""
    last = reading.items[number].last
    following = reading.tokens[last + 1].lower if last + 1 < len(reading.tokens) else ""
    return reading.items[number].text.lower() in _ADVERBS or following == "times"


def read_bare_counts(reading: Reading) -> None:
    """Numbers of occasions or rows without a word that compares: "ordered twice", "with only one order"."""
    for index, item in enumerate(reading.items):
        if item.kind != "number" or item.used or item.number is None:
            continue
        before = reading.items[index - 1] if index else None
        if before is not None and before.is_cue("compare", "between"):
            continue
        if counts_times(reading, index):
            if item.text.lower() in _ADVERBS or _verb_before(reading, index) is not None:
                found = times_related(reading, index, index, "=", item.number)
                if not found and item.text.lower() in _ADVERBS:
                    raise Unreadable(f"It is not clear what was done {item.text}.")
            continue
        table = reading.table_of(index + 1) if index + 1 < len(reading.items) else None
        whole = item.number == int(item.number) and not reading.words_between(index, index + 1) if table else False
        if reading.word_before(index) not in _EXACTLY or table is None or not whole:
            continue
        if not reading.subject or reading.graph.path((reading.subject,), table, to_one=True) is not None:
            continue
        reading.conditions.append(Related(reading.subject, Measure("count", table), "=", item.number))
        reading.note(index, f"number of {table.split('.', 1)[1]} = {item.text}")
        reading.note(index + 1, "")


def times_related(reading: Reading, index: int, number: int, operator: str, value: float) -> bool:
    """Rows of the table that the verb before names, counted for each row of the subject.

    Raises Unreadable: what was done so often is not clear.
    """
    denied = index and reading.items[index - 1].is_cue("negation")
    if denied or not reading.subject:
        raise Unreadable(f"It is not clear what was done {reading.items[number].text}.")
    if _state_related(reading, index, number, operator, value):
        return True
    for before in range(index - 1, -1, -1):
        item = reading.items[before]
        table = reading.table_of(before) if item.kind == "table" and not item.used else None
        if table is None or table == reading.subject:
            if item.values and item.kind == "value" and not item.used and not _are_own(reading, before):
                raise Unreadable(f"It is not clear what was done {reading.items[number].text}.")
            continue
        reading.conditions.append(Related(reading.subject, Measure("count", table), operator, value))
        reading.note(before, f"number of {table} {operator} {reading.items[number].text}")
        reading.note(index, "")
        reading.note(number, "")
        for one in reading.items[number + 1 : number + 2]:
            one.used = one.used or one.text == "times"
        return True
    position = _verb_before(reading, index)
    table = done_in(reading, reading.tokens[position].stem, None) if position is not None else None
    if table is None:
        return False
    reading.conditions.append(Related(reading.subject, Measure("count", table), operator, value))
    reading.note(index, f"number of {table} {operator} {reading.items[number].text}")
    reading.note(number, "")
    for item in reading.items:
        item.used = item.used or item.first == position or item.text == "times"
    return True


def _verb_before(reading: Reading, index: int) -> int | None:
    """The token before the count, words such as "only" left out."""
    position = reading.items[index].first - 1
    while position >= 0 and reading.tokens[position].lower in _EXACTLY:
        position -= 1
    return position if position >= 0 else None


def _state_related(reading: Reading, index: int, number: int, operator: str, value: float) -> bool:
    """For "guests who cancelled twice": how many of their bookings are cancelled. Raises Unreadable: of what."""
    items, position = reading.items, _verb_before(reading, index)
    at = next((one for one in range(index - 1, -1, -1) if items[one].last == position), None)
    if at is None or not items[at].values or items[at].used or items[at].kind == "table":
        return False
    link = items[at].values[0]
    table = link.entry.table
    if len({one.entry.ref for one in items[at].values}) != 1 or _are_own(reading, at):
        raise Unreadable(f"It is not clear what was done {items[number].text}.")
    way = reading.graph.path((reading.subject,), table) or ()
    word = reading.tokens[items[at].last].lower
    if len(way) != 1 or word in {link.value.lower() + "s"} or not (word.endswith("ed") or word == link.value.lower()):
        raise Unreadable(f"It is not clear what was done {items[number].text}.")
    inner: tuple[Condition, ...] = (OneOf(link.entry.ref, (link.value,)),)
    reading.conditions.append(Related(reading.subject, Measure("count", table), operator, value, inner))
    reading.note(at, f"{reading.text_of(link.entry.ref)} = '{link.value}'")
    reading.note(index, f"number of {table} {operator} {items[number].text}")
    reading.note(number, "")
    for item in items[number + 1 : number + 2]:
        item.used = item.used or item.text == "times"
    return True


def _are_own(reading: Reading, index: int) -> bool:
    """Whether a value is one of the row asked about itself."""
    return any(
        link.entry.table == reading.subject
        or reading.graph.path((reading.subject,), link.entry.table, to_one=True) is not None
        for link in reading.items[index].values
    )
