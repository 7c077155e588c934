"""How far a "not" reaches: the nearest thing, that is a value, or a verb with its object, or a noun after "without".

A place, a time or a clause behind that thing is said of the rows asked about and stays as it is: "hotels without pool
in Austria" are in Austria, "orders that were not cancelled in 2026" are of 2026.
"""

from __future__ import annotations

from services.sql.grounding.events import done_in
from services.sql.grounding.mentions import Mention
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.words import IRREGULAR
from services.sql.models import ColumnKind

_LEADING = frozenset(
    "in from of at on during for by to since until with within under over between after before into through".split()
)
_OF_NOUNS = frozenset({"without", "no", "lack", "lacks", "lacking"})
_PASSED = frozenset("has have had having from since between".split())  # cues that stand between "not" and its thing
_NOUN = 0.95  # a word no less like the name of a table is that name
_CONTENT = frozenset({"table", "value", "column", "verb", "number", "period", "quoted", "role"})


def is_negated(reading: Reading, index: int) -> bool:
    """Whether some "not" denies this item. Raises Unreadable: how far it reaches is not clear."""
    return _binding(reading, index) is not None


def mark_negation(reading: Reading, index: int) -> None:
    """Mark the "not" that denies this item as used."""
    cue = _binding(reading, index)
    if cue is not None:
        reading.items[cue].used = True


def _binding(reading: Reading, index: int) -> int | None:
    for cue in range(index - 1, -1, -1):
        if reading.items[cue].is_cue("negation") and index in bound_by(reading, cue):
            return cue
    return None


def bound_by(reading: Reading, cue: int) -> list[int]:
    """The items that the "not" at `cue` denies, in order. Raises Unreadable: how far it reaches is not clear."""
    items, bound, unknown = reading.items, list[int](), False
    at = cue + 1
    while at < len(items):
        item = items[at]
        if item.is_cue("negation"):
            break
        if item.is_cue("and", "or"):
            at = _listed(reading, bound, at)
            if at < 0:
                break
            bound.append(at)
        elif item.kind == "cue" and not item.columns:
            if item.is_cue("like", "null") and not bound:
                return [at]
            if item.text == "with" and not bound and items[cue].last + 1 == item.first:
                at += 1
                continue  # "planted with wheat but not with barley"
            equal = item.is_cue("compare") and item.cue is not None and item.cue.data == "="
            if equal and bound and _is_bare(reading, items[bound[-1]]):
                at += 1
                continue  # "not segment = Premium"
            if bound or not (item.text in _PASSED or item.is_cue("compare", "distinct", "pair", "by")):
                break
        elif item.kind == "word" and item.content and not bound and not _is_name(reading, item):
            if _is_event(reading, item):
                bound.append(at)
            unknown = True
        elif _is_noun_of(reading, cue, bound, at):
            raise Unreadable(f"Nothing in the database stands for “{item.text}”.")
        elif item.kind in _CONTENT or item.columns or _is_name(reading, item):
            unread = unknown or _does(reading, cue, at)
            if (bound and not _goes_on(reading, bound, at)) or (unread and not bound and item.period is not None):
                break
            if item.text.lower() in {"single", "one"} and not bound and item.number == 1 and items[cue].text == "not":
                raise Unreadable(f"It is not clear what “{items[cue].text} a {item.text}” denies.")
            bound.append(at)
            if items[cue].text == "non":
                break
        at += 1
    return bound


def _does(reading: Reading, cue: int, at: int) -> bool:
    """Whether a verb that stands for related rows lies before an item: "never used in 2025" denies the use."""
    words = reading.tokens[reading.items[cue].last + 1 : reading.items[at].first]
    return bool(reading.subject) and any(done_in(reading, token.stem, None) for token in words if token.kind == "word")


def _is_noun_of(reading: Reading, cue: int, bound: list[int], at: int) -> bool:
    """Whether an unknown noun is what "without" denies, and the value before it but tells of which kind."""
    if not bound or reading.items[cue].text not in _OF_NOUNS:
        return False
    item, before = reading.items[at], reading.items[bound[-1]]
    return item.kind == "word" and item.content > 0 and bool(before.values) and before.last + 1 == item.first


def _is_name(reading: Reading, item: Mention) -> bool:
    """Whether an unknown word may be somebody's name, which is then looked for as it stands."""
    return item.kind == "word" and item.content > 0 and reading.tokens[item.first].is_capitalised


def _goes_on(reading: Reading, bound: list[int], at: int) -> bool:
    """Whether an item belongs to what is denied before it: as its object, its noun, or its whole complement."""
    items, last = reading.items, bound[-1]
    item, before = items[at], items[last]
    between = {token.lower for token in reading.tokens[before.last + 1 : item.first]}
    if item.period is not None and not _is_dated(reading, last):
        return False
    if _is_bare(reading, before):
        return True
    if _is_event(reading, before) and item.values and _are_far(reading, item):
        return True  # of what is denied: "did not buy anything from Acme"
    if between & _LEADING and item.values and _is_of_event(reading, before, item):
        raise Unreadable(f"It is not clear what “{item.text}” is said of.")
    if between & _LEADING or item.period is not None:
        return item.period is not None and _is_dated(reading, last)
    if before.values and item.values and before.kind == "value" and item.kind == "value":
        raise Unreadable(f"It is not clear whether “{item.text}” is denied as well.")
    return True


def _is_of_event(reading: Reading, event: Mention, item: Mention) -> bool:
    """Whether a value may be one of what is denied as well as one of the row asked about, each having its own."""
    table, links = _event_of(reading, event), item.values
    if table is None or any(link.entry.table == reading.subject for link in links):
        return False
    ways = [reading.graph.path((table,), link.entry.table, to_one=True) for link in links]
    return any(way and all(edge.target != reading.subject for edge in way) for way in ways)


def _listed(reading: Reading, bound: list[int], at: int) -> int:
    """The item that "or" and "and" add to what is denied, of the same column or kind; -1 where there is none."""
    items, last = reading.items, bound[-1] if bound else -1
    after = at + 1
    while after < len(items) and (items[after].is_cue("and", "or") or items[after].text in {"from", "either"}):
        after += 1
    if last < 0 or after >= len(items):
        return -1
    before, item = items[last], items[after]
    if before.kind == "table" and len(bound) > 1 and items[bound[-2]].values:
        before = items[bound[-2]]  # "without cancelled orders or returned ones"
    apart = {token.lower for token in reading.tokens[items[at].last + 1 : item.first]} - {"a", "an", "the", "any"}
    if before.values and item.values:
        if {link.entry.ref for link in before.values} & {link.entry.ref for link in item.values}:
            return after
        near = {link.entry.table for link in before.values} & {link.entry.table for link in item.values}
        if items[at].is_cue("or") or (near and not apart and not item.tables):
            raise Unreadable(f"It is not clear whether “{item.text}” is denied as well.")
        return -1
    if apart or items[at].text == ",":
        return -1
    if before.kind == "table" and item.kind == "table":
        return after
    return after if _is_flag(reading, before) and _is_flag(reading, item) else -1


def _is_bare(reading: Reading, item: Mention) -> bool:
    """Whether it says nothing by itself, so that what follows is what is denied: "not living in", "not rated"."""
    if item.values or item.period is not None or item.number is not None or item.kind in {"quoted", "role"}:
        return False
    if _is_flag(reading, item) or _is_event(reading, item):
        return False
    word = item.text.lower()
    done = word.endswith("ed") or word in IRREGULAR
    return item.kind in {"column", "verb"} or (item.kind == "table" and (done or item.quality < 0.6))


def _is_flag(reading: Reading, item: Mention) -> bool:
    return any(reading.lexicon.columns[ref].column.kind is ColumnKind.BOOLEAN for ref in item.columns)


def _is_event(reading: Reading, item: Mention) -> bool:
    """Whether it stands for rows that belong to those asked about: orders of customers, what was sold."""
    return _event_of(reading, item) is not None


def _event_of(reading: Reading, item: Mention) -> str | None:
    if not reading.subject or item.kind not in {"table", "verb", "word", "column"}:
        return None
    if item.kind == "table":
        for table, quality in item.tables.items():
            if quality >= 0.6 and _is_far(reading, table) and (quality >= _NOUN or _are_children(reading, table)):
                return table
    owners = {ref[0] for ref in item.columns if reading.lexicon.columns[ref].is_date}
    if item.kind in {"verb", "column"} and reading.subject in owners:
        return None  # "hired" where each has a date of it
    if item.kind == "column":
        return next((one for one in owners if _is_far(reading, one) and _are_children(reading, one)), None)
    done = done_in(reading, reading.tokens[item.last].stem, None)
    # Who wrote a book is nothing done to it.
    return done if done is not None and not reading.lexicon.tables[done].is_bridge else None


def _is_dated(reading: Reading, index: int) -> bool:
    """Whether a time right behind an item is the time of what is denied: "not hired in 2020", "not in May or 2020"."""
    item = reading.items[index]
    if item.period is not None:
        return False
    if item.values or _is_event(reading, item):
        return False
    return _is_bare(reading, item) and (
        not item.columns or any(reading.lexicon.columns[ref].is_date for ref in item.columns)
    )


def _are_children(reading: Reading, table: str) -> bool:
    """Whether each row of the table belongs to one row asked about, so that it may be what was done to it."""
    return all(not edge.to_one for edge in reading.graph.path((reading.subject,), table) or ())


def _are_far(reading: Reading, item: Mention) -> bool:
    return bool(reading.subject) and all(_is_far(reading, link.entry.table) for link in item.values)


def _is_far(reading: Reading, table: str) -> bool:
    return table != reading.subject and reading.graph.path((reading.subject,), table, to_one=True) is None
