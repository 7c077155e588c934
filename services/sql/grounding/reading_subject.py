"""The subject of a question: the table whose rows are asked about."""

from __future__ import annotations

from services.sql.grounding.mentions import Mention
from services.sql.grounding.reading_state import STRONG, Reading
from services.sql.grounding.words import stem


def find_subject(reading: Reading) -> None:
    """The table whose rows are asked about: what is counted, else the first table that is named."""
    items = reading.items
    if reading.subject or _doer(reading):
        return
    for index, item in enumerate(items):
        if item.is_cue("count"):
            for after in range(index + 1, min(index + 4, len(items))):
                if items[after].kind == "table" and items[after].quality >= 0.5:
                    if index and any(
                        one.is_cue("relative", "compare", "superlative", "group", "by") for one in items[:index]
                    ):
                        break
                    reading.subject = reading.table_of(after) or ""
                    return
                counted = {link.entry.table for link in items[after].values} if items[after].kind == "value" else set()
                plural = items[after].text.lower().endswith("s")
                if (
                    after == index + 1
                    and not index
                    and len(counted) == 1
                    and plural
                    and _has_kinds(reading, items[after])
                ):
                    reading.subject = counted.pop()  # "how many suites" are rooms
                    return
                if items[after].kind == "cue" and not items[after].is_cue("distinct", "superlative"):
                    break
            break
    best = None
    for index, item in enumerate(items):
        if (
            item.owner
            and best is None
            and not any(one.is_cue("by", "group", "order", "compare") for one in items[:index])
        ):
            reading.subject = item.owner
            return
        if item.kind == "table":
            strong = item.quality >= STRONG
            if strong or best is None:
                best = index if best is None or strong else best
            if strong:
                break
    if best is not None:
        reading.subject = _person_behind(reading, reading.table_of(best) or "")
        return
    reading.subject = _voted_subject(reading)


def _has_kinds(reading: Reading, item: Mention) -> bool:
    """Whether a value is a kind of rows, in the plural: no name, and not a word that ends in "s" by itself."""
    tables = reading.lexicon.tables
    return all(
        link.entry not in tables[link.entry.table].named() and link.value.lower() != item.text.lower()
        for link in item.values
    )


def _doer(reading: Reading) -> bool:
    """For "who supervises the choir": the table that the column for supervisors points to."""
    if reading.tokens[0].lower != "who" or any(item.kind == "table" for item in reading.items[:2]):
        return False
    for index, item in enumerate(reading.items[:2]):
        entry = reading.column_of(index) if item.kind == "column" and item.first == 1 else None
        if entry is None or not entry.is_key:
            continue
        target = next(
            (
                edge.target
                for edge in reading.graph.edges.get(entry.table, ())
                if edge.to_one and edge.source_columns == (entry.column.name,)
            ),
            None,
        )
        if target is not None:
            reading.subject = target
            reading.note(index, reading.text_of(entry.ref))
            return True
    return False


PERSON_MARKS = frozenset(
    stem(word) for word in "email age birth sex gender salary phone first last surname wage nationality".split()
)


def _person_behind(reading: Reading, table: str) -> str:
    """Behind "Who borrowed it?" stand the members its loans point to, not the loans; behind memberships the members."""
    if table and reading.lexicon.tables[table].is_bridge and not any(one.is_cue("count") for one in reading.items):
        ends = [edge.target for edge in reading.graph.edges.get(table, ()) if edge.to_one]
        spoken = {link.entry.table for item in reading.items for link in item.values} | set(reading.mentioned_tables())
        others = [one for one in ends if one not in spoken]
        if len(ends) == 2 and len(others) == 1 and reading.lexicon.tables[others[0]].named():
            return others[0]
    if not table or not reading.tokens or reading.tokens[0].lower != "who" or reading.lexicon.tables[table].named():
        return table
    people = [
        edge.target
        for edge in reading.graph.edges.get(table, ())
        if edge.to_one and any(set(entry.own) & PERSON_MARKS for entry in reading.lexicon.tables[edge.target].columns)
    ]
    return people[0] if len(set(people)) == 1 else table


def _voted_subject(reading: Reading) -> str:
    """Without a table named: the one that most columns and values of the question belong to."""
    votes: dict[str, float] = {}
    for item in reading.items:
        best: dict[str, float] = {}
        for (table, _), quality in item.columns.items():
            best[table] = max(best.get(table, 0.0), quality)
        for link in item.values:
            best[link.entry.table] = max(best.get(link.entry.table, 0.0), 0.8 * link.quality)
        for table, quality in best.items():
            if quality >= 0.5:
                votes[table] = votes.get(table, 0.0) + quality
    clear = sorted(votes, key=lambda table: (-votes[table], table))
    if not clear or (len(clear) > 1 and votes[clear[0]] == votes[clear[1]]):
        return ""
    return clear[0]
