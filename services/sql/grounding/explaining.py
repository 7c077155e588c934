"""Saying in plain words what a query does and by which links."""

from __future__ import annotations

from services.sql.grounding.logical_form import ColumnOf, LogicalForm, OneOf
from services.sql.grounding.quoting import number_literal
from services.sql.grounding.reading_state import Reading
from services.sql.grounding.saying import SIGNS, say_conditions, say_operand

MAX_LINKS = 12


def explain(form: LogicalForm, reading: Reading) -> str:
    """What the query shows, restricts, groups and sorts by, then the links from words to the schema."""
    if form.share_of:
        text = f"Shows what percentage of {form.subject.split('.', 1)[1]} meets: {say_conditions(form.share_of)}"
    else:
        each = "each different " if form.distinct else ""
        text = f"Shows {each}" + _listed([say_operand(output) for output in form.outputs])
    groups = [group for group in form.groups if group in form.outputs]
    if any(not isinstance(output, ColumnOf) for output in form.outputs) and groups:
        text = "Shows " + _listed([say_operand(output) for output in form.outputs if output not in groups])
        text += " for each " + _listed([say_operand(group) for group in groups])
    if form.conditions:
        text += ", only where " + say_conditions(form.conditions)
    if form.having:
        kept = [
            f"{say_operand(measure)} is {SIGNS[sign]} {number_literal(least)}" for measure, sign, least in form.having
        ]
        text += ", only groups in which " + _listed(kept)
    if form.order:
        text += ", " + _listed(
            [
                f"{say_operand(order.operand)} {'descending' if order.descending else 'ascending'}"
                for order in form.order
            ]
        ).join(("sorted by ", ""))
    if form.within and form.limit is not None:
        within = _listed([say_operand(one) for one in form.within])
        text += f", the first {form.limit} of each {within}" if form.limit > 1 else f", the first of each {within}"
    elif form.limit is not None:
        text += (
            f", the first {form.limit}" if form.limit > 1 else ", the first row only, though others may be equal to it"
        )
    links = [note for note in dict.fromkeys(reading.notes) if note]
    tables = [
        f"“{item.text}” → {table}"
        for item in reading.items
        if item.kind == "table" and (table := reading.table_of(item_index(reading, item))) is not None and item.used
    ]
    known = [
        *dict.fromkeys(tables),
        *[link for link in links if not any(link.split(" →")[0] == one.split(" →")[0] for one in tables)],
    ]
    written = "; ".join([text, *known])
    for role in reading.lexicon.roles.values():
        short, real = role.name.split(".", 1)[1], role.target.split(".", 1)[1]
        if f"{short}." in written or f" {short}" in written:
            text += f"; {short} is {real} by {role.source.split('.', 1)[1]}.{role.column}"
    unsaid = _left_out(form, reading)
    if unsaid:
        text += f"; rows of which {' or '.join(unsaid)} is not known are left out"
    return text + "." + (" Links: " + "; ".join(known[:MAX_LINKS]) + "." if known else "")


def _left_out(form: LogicalForm, reading: Reading) -> list[str]:
    """Columns that some value is denied of, and that may be empty: SQL holds no denial of them true there."""
    denied = [one.ref for one in form.conditions if isinstance(one, OneOf) and one.negated]
    return [reading.text_of(ref) for ref in dict.fromkeys(denied) if reading.lexicon.columns[ref].column.nullable]


def item_index(reading: Reading, item: object) -> int:
    """Where an item stands."""
    return next(index for index, one in enumerate(reading.items) if one is item)


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1] if parts else ""


def unmatched_words(reading_items: Reading) -> tuple[str, ...]:
    """Content words of the question that no part of the schema stands for."""
    return tuple(
        dict.fromkeys(
            item.text for item in reading_items.items if item.kind == "word" and item.content and not item.used
        )
    )
