"""What was done to the rows asked about: which table's rows say so, and when it was done."""

from __future__ import annotations

from dataclasses import replace

from services.sql.grounding.lexicon import ColumnEntry
from services.sql.grounding.logical_form import Compare, Exists, InPeriod, OneOf, Ref, Related
from services.sql.grounding.reading_state import TRADE_TABLES, TRADE_VERBS, Reading
from services.sql.grounding.words import are_derived, stem

_USE = frozenset(stem(word) for word in ("use", "assign", "book", "rent", "borrow", "hire", "play", "visit", "request"))
_APART = frozenset({"but", "and", "whose"})  # words behind which something else is said
_RELATIVE = frozenset({"who", "that", "which", "whose"})
_OF_PERSONS = frozenset({"who", "whose"})  # they begin what is said of those asked about


def done_in(reading: Reading, verb: str, entry: ColumnEntry | None) -> str | None:
    """The table whose rows say that it was done to a row of the subject; None when that cannot be told."""
    edges = reading.graph.edges.get(reading.subject, ())
    children = list(dict.fromkeys(edge.target for edge in edges if not edge.to_one))
    if entry is not None and entry.table in children:
        return entry.table
    hits = reading.lexicon.hits(verb)
    named = [table for table in children if set(hits) & set(reading.lexicon.tables[table].stems)]
    if len(named) == 1:
        return named[0]
    derived = [one for one in children if any(are_derived(verb, word) for word in reading.lexicon.tables[one].stems)]
    if len(derived) == 1 and not named:
        return derived[0]  # who complained has a complaint
    if verb in TRADE_VERBS:
        traded = [table for table in children if TRADE_TABLES & set(reading.lexicon.tables[table].stems)]
        if len(traded) == 1:
            return traded[0]
    return children[0] if len(children) == 1 and verb in _USE | TRADE_VERBS else None


def date_of_event(reading: Reading, index: int) -> Ref | None:
    """The date of what is denied or counted before a time, in the same clause: "did not buy books in 2025"."""
    event = _event_before(reading, index)
    if event is None:
        return None
    way = [edge.target for edge in reading.graph.path((event.owner,), _table_of(event)) or ()]
    if not event.inner:
        way.reverse()  # a payment that is missing has a date of its own
    pointed = [edge.target for edge in reading.graph.edges.get(way[0], ()) if edge.to_one] if way else []
    for table in [*way, *(one for one in pointed if one != event.owner)]:
        entry = reading.date_column([table])
        if entry is not None and entry.table == table and not entry.is_year:
            return entry.ref
    return None


def nest_times(reading: Reading) -> None:
    """Put the time of what is denied or counted inside it, and what else is said of rows that are denied."""
    for period in [one for one in reading.conditions if isinstance(one, (InPeriod, OneOf, Compare))]:
        place, far = reading.placed.get(period), period.ref[0]
        if isinstance(period, (InPeriod, OneOf)) and period.negated:
            continue
        if place is None or not reading.subject:
            continue
        if reading.graph.path((reading.subject,), far, to_one=True) is not None:
            continue
        event = _event_before(reading, place) or (_only_event(reading) if _leads(reading, place) else None)
        if event is None or not _holds(reading, event, far):
            continue
        if not isinstance(period, InPeriod) and not (isinstance(event, Exists) and not event.inner):
            continue  # of a value, only that of bare rows that are denied: "have no order with status pending"
        reading.conditions.remove(period)
        nested = replace(event, inner=(*event.inner, period))
        reading.conditions[reading.conditions.index(event)] = nested
        reading.placed[nested] = reading.placed.get(event, 0)


def stands_apart(reading: Reading, period: InPeriod) -> bool:
    """Whether a time belongs to a clause before all that is denied or counted: "ordered in 2025 but never books"."""
    place = reading.placed.get(period)
    if place is None:
        return False
    for event in _events(reading):
        denied = reading.placed.get(event, -1)
        between = {token.lower for token in reading.tokens[reading.items[place].last + 1 : reading.items[denied].first]}
        if denied <= place or not between & (_APART | _RELATIVE):
            return False
    return True


def _events(reading: Reading) -> list[Exists | Related]:
    return [one for one in reading.conditions if isinstance(one, Related) or (isinstance(one, Exists) and one.negated)]


def _only_event(reading: Reading) -> Exists | Related | None:
    events = _events(reading)
    return events[0] if len(events) == 1 else None


def _leads(reading: Reading, place: int) -> bool:
    """Whether the time opens the sentence: "in 2025, which customers did not order?"."""
    return not any(item.kind in {"table", "value", "column"} for item in reading.items[:place])


def _event_before(reading: Reading, index: int) -> Exists | Related | None:
    """The nearest thing denied or counted before an item of the same clause."""
    items, first = reading.items, reading.items[index].first
    for event in sorted(_events(reading), key=lambda one: -reading.placed.get(one, -1)):
        place = reading.placed.get(event, -1)
        if place < 0 or place >= index:
            continue
        between = {token.lower for token in reading.tokens[items[place].last + 1 : first]}
        clause = any(item.is_cue("relative") and item.text in _OF_PERSONS for item in items[place + 1 : index])
        return None if clause or between & _APART else event
    return None


def _table_of(event: Exists | Related) -> str:
    return event.table if isinstance(event, Exists) else event.measure.table


def _holds(reading: Reading, event: Exists | Related, table: str) -> bool:
    """Whether rows of the table are among those denied or counted, or each of these has one."""
    whole = _table_of(event)
    way = [edge.target for edge in reading.graph.path((event.owner,), whole) or ()]
    if table == whole or (isinstance(event, Exists) and table in way):
        return True
    starts = way if isinstance(event, Exists) else [whole]
    return any(reading.graph.path((one,), table, to_one=True) is not None for one in starts)
