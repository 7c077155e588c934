"""Tables a question names without asking for anything of them: some related row exists, or none does."""

from __future__ import annotations

from services.sql.grounding.logical_form import Exists, IsNull, tables_of
from services.sql.grounding.negation_scope import bound_by, mark_negation
from services.sql.grounding.reading_state import Reading


def link_loose_tables(reading: Reading) -> None:
    """Tables that are named but not yet part of the query say that a related row exists, or does not."""
    used = {reading.subject}
    used.update(
        output.table for output in (*reading.outputs, *reading.groups, *(order.operand for order in reading.order))
    )
    role = reading.lexicon.roles.get(reading.subject)
    denied_some = any(item.is_cue("negation") for item in reading.items)
    if role is not None and not denied_some and not any(role.source in tables_of(one) for one in reading.conditions):
        reading.conditions.append(Exists(reading.subject, role.source))  # only who is somebody's manager is one
        used.add(role.source)
    denied: Exists | None = None
    unread = [index for index, item in enumerate(reading.items) if item.is_cue("negation") and not item.used]
    denials = {index: cue for cue in unread for index in bound_by(reading, cue)}
    for index, item in enumerate(reading.items):
        if item.kind != "table" or item.used or item.quality < 0.6:
            continue
        table = reading.table_of(index)
        if table is None:
            continue
        listed = index > 0 and reading.items[index - 1].is_cue("and", "or")
        negated = index in denials and (not reading.items[denials[index]].used or listed)
        if not negated and _has_one(reading, index, table):
            continue
        if table in used and not negated:
            item.used = True
            continue
        way = reading.graph.path((reading.subject,), table) if reading.subject else None
        if not way:
            continue
        to_one = reading.graph.path((reading.subject,), table, to_one=True) is not None
        item.used = True
        if denied is not None and denied in reading.conditions and any(edge.target == denied.table for edge in way):
            if listed:
                continue  # whoever has no orders has none of their items either
            # "not assigned to any field": the field belongs to what is denied
            further = Exists(reading.subject, table, denied.inner, negated=True)
            reading.conditions[reading.conditions.index(denied)] = further
            denied = further
            continue
        if negated:
            inner = tuple(
                one for one in reading.conditions if _lies_behind(reading, getattr(one, "ref", ("", ""))[0], table)
            )
            reading.conditions = [condition for condition in reading.conditions if condition not in inner]
            denied = Exists(reading.subject, table, inner, negated=True)
            reading.conditions.append(denied)
            reading.notes.append(f"“{item.text}” → no row of {table}")
            mark_negation(reading, index)
        elif not to_one and not _conditions_reach(reading, table):
            reading.conditions.append(Exists(reading.subject, table))
            reading.notes.append(f"“{item.text}” → some row of {table}")


def _has_one(reading: Reading, index: int, table: str) -> bool:
    """For "sales with a promotion": the key that points to it is there."""
    words = [reading.word_before(index, 2), reading.word_before(index)]
    if not reading.subject or words not in (
        ["with", "a"],
        ["with", "an"],
        ["with", "any"],
        ["have", "a"],
        ["has", "a"],
    ):
        return False
    following = reading.items[index + 1] if index + 1 < len(reading.items) else None
    if following is not None and following.kind in {"number", "quoted", "value", "column"}:
        return False
    edge = next(
        (one for one in reading.graph.edges.get(reading.subject, ()) if one.target == table and one.to_one), None
    )
    entry = reading.lexicon.columns.get((reading.subject, edge.source_columns[0])) if edge is not None else None
    if entry is None or not entry.column.nullable:
        return False
    reading.conditions.append(IsNull(entry.ref, negated=True))
    reading.note(index, f"{reading.text_of(entry.ref)} is there")
    return True


def _lies_behind(reading: Reading, other: str, table: str) -> bool:
    """Whether a condition's table is the one denied, or is reached from the subject through it."""
    if not other or other == reading.subject:
        return False
    way = reading.graph.path((reading.subject,), other) or ()
    return other == table or any(edge.target == table for edge in way)


def _conditions_reach(reading: Reading, table: str) -> bool:
    """Whether a condition already asks for a row of this table or of one behind it."""
    for condition in reading.conditions:
        ref = getattr(condition, "ref", None)
        other = (
            ref[0]
            if ref is not None
            else getattr(condition, "table", "") or getattr(getattr(condition, "measure", None), "table", "")
        )
        if not other:
            continue
        way = reading.graph.path((reading.subject,), other)
        if other == table or (way and any(edge.target == table for edge in way)):
            return True
    return False
