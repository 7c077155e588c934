"""Which two dates of a row mark a beginning and an end, and which date a word of a question names."""

from __future__ import annotations

from collections.abc import Sequence

from services.sql.grounding.lexicon import DATE_KINDS, ColumnEntry
from services.sql.grounding.reading_state import Reading
from services.sql.grounding.words import are_derived, stem

# What begins and what ends, as names of columns say it; a pair of one line belongs together.
_PAIRS = tuple(
    (frozenset(stem(word) for word in begin.split()), frozenset(stem(word) for word in end.split()))
    for begin, end in (
        ("start started starts begin began", "end ended ends finish finished finishes complete completed stop stopped"),
        ("enter entered entry arrive arrival checkin in clock", "leave left exit exited depart departure checkout out"),
        ("depart departed departure", "arrive arrived arrival land landed"),
        ("pickup picked pick", "dropoff dropped drop delivered"),
        ("open opened", "close closed resolve resolved"),
        ("login logon", "logout logoff"),
        ("admit admitted admission", "discharge discharged"),
        ("borrow borrowed lend lent loan rent rented", "return returned"),
    )
)
_FIRSTS = frozenset(
    stem(word)
    for word in "create created request requested order ordered issue issued open opened start started begin placed "
    "submit submitted report reported join joined sign signup register registered book booked".split()
)
_LONG = frozenset(stem(word) for word in "duration length minute hour second elapsed".split())


def date_said(reading: Reading, tables: Sequence[str], place: int) -> ColumnEntry | None:
    """The one date that the word at a place names, in the first table that has one; None when several are named."""
    said = reading.tokens[place].stem
    for table in dict.fromkeys(tables):
        dates = _dates(reading, table)
        exact = [entry for entry in dates if said in entry.own]
        found = exact or [entry for entry in dates if any(_are_forms(said, word) for word in entry.own)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def natural_pair(reading: Reading, table: str) -> tuple[ColumnEntry, ColumnEntry] | None:
    """The dates at which a row's own thing begins and ends; None when it has not just one such pair.

    A table that holds a length as a number has none: that column is what is asked for.
    """
    columns = reading.lexicon.tables[table].columns
    if any(entry.is_numeric and set(entry.own) & _LONG for entry in columns):
        return None
    dates = _dates(reading, table)
    found = {
        (one.ref, other.ref): (one, other)
        for begin, end in _PAIRS
        for one in dates
        for other in dates
        if one != other
        and set(one.own) & begin
        and set(other.own) & end
        and one.column.kind is other.column.kind
        and not {"in", "out"} & {*_particles(one, begin), *_particles(other, end)}
    }
    return next(iter(found.values())) if len(found) == 1 else None


def beginning_of(reading: Reading, end: ColumnEntry) -> ColumnEntry | None:
    """The date of the same row at which what ended had begun; None when that is not one alone."""
    dates = [entry for entry in _dates(reading, end.table) if entry != end]
    firsts = [entry for entry in dates if set(entry.own) & _FIRSTS]
    return firsts[0] if len(firsts) == 1 else None


def _particles(entry: ColumnEntry, words: frozenset[str]) -> set[str]:
    """Small words by which alone a column was taken for a beginning or an end: "in" of "signed in at" is one."""
    met = set(entry.own) & words
    return met if met <= {"in", "out"} and not set(entry.own) & {"check", "clock"} else set()


def _dates(reading: Reading, table: str) -> list[ColumnEntry]:
    return [entry for entry in reading.lexicon.tables[table].columns if entry.column.kind in DATE_KINDS]


def _are_forms(said: str, word: str) -> bool:
    if are_derived(said, word):
        return True
    short, long = sorted((said, word), key=len)
    return len(short) >= 3 and long[len(short) :] in {"ment", "al", "e", "y", "i"} and long.startswith(short)
