"""Nouns for those who do something: the purchasers of a shop are its customers with orders, not its orders."""

from __future__ import annotations

from services.sql.grounding.join_paths import Edge
from services.sql.grounding.logical_form import Exists, Measure
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.words import stem

ENDINGS = ("er", "ers", "or", "ors", "ee", "ees")
_PEOPLE = frozenset(
    stem(word)
    for word in "person people customer client member user passenger patient student employee guest player rider "
    "subscriber contact staff visitor".split()
)
_PERSONAL = frozenset(stem(word) for word in "birth born dob email gender surname forename phone mobile".split())


def read_doer_nouns(reading: Reading) -> None:
    """Take a noun for a doer, linked to what is done, for the people whom its rows point to.

    Raises Unreadable: when they did it is said too, which only what was done could tell.
    """
    for index, item in enumerate(reading.items):
        if item.kind != "table" or item.first != item.last or not item.text.lower().endswith(ENDINGS):
            continue
        done = reading.table_of(index)
        said = reading.tokens[item.first].stem
        if done is None or said in reading.lexicon.tables[done].stems or done in reading.lexicon.roles:
            continue
        edge = _doer(reading, done)
        if edge is None or any(edge.target in other.tables for other in reading.items if other.kind == "table"):
            continue
        before = reading.items[index - 1] if index else None
        if before is not None and before.is_cue("count"):
            column = (done, edge.source_columns[0])
            reading.outputs.append(Measure("count", done, column, distinct=True))
            reading.subject = done
            reading.note(index - 1, "")
            reading.note(index, f"different {reading.text_of(column)}")
            continue
        if any(other.period is not None and other.kind == "period" for other in reading.items):
            raise Unreadable(f"It is not clear when the “{item.text}” are meant to have been that.")
        item.tables = {edge.target: item.quality}
        reading.conditions.append(Exists(edge.target, done))
        reading.notes.append(f"“{item.text}” → {edge.target} with {done}")


def _doer(reading: Reading, done: str) -> Edge | None:
    """The one step from what is done to people; None where there are none, or several who may be meant."""
    steps = [
        edge
        for edge in reading.graph.edges.get(done, ())
        if edge.to_one and len(edge.source_columns) == 1 and _are_people(reading, edge.target)
    ]
    return steps[0] if len({edge.target for edge in steps}) == 1 and len(steps) == 1 else None


def _are_people(reading: Reading, table: str) -> bool:
    entry = reading.lexicon.tables.get(table)
    if entry is None or table in reading.lexicon.roles:
        return False
    return bool(set(entry.stems) & _PEOPLE) or any(set(one.own) & _PERSONAL for one in entry.columns)
