"""Completing what is shown: groups beside their measures, and the names of the rows asked for."""

from __future__ import annotations

from services.sql.grounding.lexicon import label_of
from services.sql.grounding.logical_form import (
    ColumnOf,
    Measure,
    Operand,
    Ratio,
)
from services.sql.grounding.reading_groups import group_by_table
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.thesaurus import MONEY_COLUMN_WORDS, MONEY_WORDS, PRICE_WORDS


def finish_outputs(reading: Reading) -> None:
    """Complete what is shown: groups beside their measures, names of the rows asked for, links to other tables."""
    reading.outputs = list(dict.fromkeys(reading.outputs))
    measures: list[Operand] = [output for output in reading.outputs if not isinstance(output, ColumnOf)]
    plain = [output for output in reading.outputs if isinstance(output, ColumnOf)]
    ordered = [order.operand for order in reading.order if isinstance(order.operand, (Measure, Ratio))]
    if not plain and not reading.groups and reading.subject and (ordered or not reading.outputs):
        reading.outputs = []
        _refuse_unknown_head(reading)
        _show_subject(reading, grouped=bool(ordered or reading.having))
        plain = [output for output in reading.outputs if isinstance(output, ColumnOf)]
        reading.outputs.extend(measures)
    if reading.shown and not any(one.table == reading.shown and not _is_sorted_by(reading, one) for one in plain):
        names = [entry.ref for entry in reading.lexicon.tables[reading.shown].named()]
        names = names or [(reading.shown, column) for column in reading.graph.keys.get(reading.shown, ())]
        named = [ColumnOf(ref) for ref in names if ColumnOf(ref) not in plain]
        plain = [*named, *plain]
        reading.outputs[:0] = named
    if reading.groups:
        shown = [group for group in reading.groups if not _is_hidden_key(reading, group)]
        tables = {group.table for group in reading.groups}
        extra = [one for one in plain if one not in reading.groups]
        named = [one for one in extra if one.table in tables and not one.part]
        if named and any(_is_hidden_key(reading, group) for group in reading.groups):
            reading.groups.extend(named)
            shown = [one for one in shown if not any(one.table == other.table for other in named)]
            shown = [*named, *[one for one in shown if one not in named]]
        elif extra:
            reading.groups.extend(extra)
            shown = [*shown, *extra]
        if not measures and not ordered and reading.subject:
            measures = [Measure("count", reading.subject)]
        reading.outputs = [*dict.fromkeys(shown), *measures]
        reading.groups = list(dict.fromkeys(reading.groups))
    elif plain and (measures or ordered or reading.having):
        _group_by_shown(reading, plain)
    if reading.having and not reading.groups and plain:
        reading.groups = list(plain)


def pass_over_paying(reading: Reading) -> None:
    """In "the highest fee ever paid" the verb adds nothing to the fee."""
    figures = [*reading.outputs, *(order.operand for order in reading.order)]
    refs = [one.ref for one in figures if isinstance(one, (ColumnOf, Measure)) and one.ref is not None]
    words = {word for ref in refs for word in reading.lexicon.columns[ref].own}
    if words & (PRICE_WORDS | MONEY_COLUMN_WORDS):
        for item in reading.items:
            if item.kind == "word" and reading.tokens[item.first].stem in MONEY_WORDS:
                item.used = True


def show_groups_chosen_within(reading: Reading) -> None:
    """Name beside each chosen row the group it was chosen in; a key is shown only where there is no name."""
    if not reading.within:
        return
    hidden = {one for one in reading.within if _has_name_beside(reading, one)}
    reading.outputs[:0] = [one for one in reading.within if one not in hidden and one not in reading.outputs]
    if any(isinstance(order.operand, Measure) for order in reading.order):
        reading.groups.extend(one for one in reading.within if one not in reading.groups)


def _has_name_beside(reading: Reading, group: ColumnOf) -> bool:
    key = reading.graph.keys.get(group.table, ())
    named = {entry.ref for entry in reading.lexicon.tables[group.table].named()}
    return group.ref[1] in key and any(one.ref in named for one in reading.within)


def _is_sorted_by(reading: Reading, output: ColumnOf) -> bool:
    return any(order.operand == output for order in reading.order)


def _refuse_unknown_head(reading: Reading) -> None:
    """When what is asked for before the first link is unknown, naming rows would answer another question."""
    for item in reading.items:
        if item.kind == "word" and item.content and not item.used:
            raise Unreadable(f"Nothing in the database stands for “{item.text}”.")
        if item.kind in {"table", "column", "value", "quoted"}:
            return


def _group_by_shown(reading: Reading, plain: list[ColumnOf]) -> None:
    """Plain columns beside a measure: one group for each row they name, or for each of their values."""
    for output in plain:
        entry = reading.lexicon.columns[output.ref]
        key = reading.graph.keys.get(output.table, ())
        names_rows = entry.is_name or entry in reading.lexicon.tables[output.table].named() or entry.ref[1] in key
        if names_rows and key:
            reading.groups.extend(ColumnOf((output.table, column)) for column in key)
        reading.groups.append(output)
    reading.groups = list(dict.fromkeys(reading.groups))


def _is_hidden_key(reading: Reading, group: ColumnOf) -> bool:
    """A key by which rows are told apart but which nobody asked to see, since the rows have names."""
    if group.part == "isodow":
        return True
    key = reading.graph.keys.get(group.table, ())
    if group.ref[1] not in key or group.part:
        return False
    return any(ColumnOf(entry.ref) in reading.groups for entry in reading.lexicon.tables[group.table].named())


def _show_subject(reading: Reading, *, grouped: bool) -> None:
    table = reading.lexicon.tables[reading.subject]
    names = table.named()
    key = reading.graph.keys.get(reading.subject, ())
    restricted = bool(reading.conditions or reading.order or reading.limit)
    if grouped:
        group_by_table(reading, reading.subject)
    if names and (restricted or grouped):
        reading.outputs.extend(ColumnOf(entry.ref) for entry in names)
        if not grouped:
            for order in reading.order:
                if (
                    isinstance(order.operand, ColumnOf)
                    and order.operand not in reading.outputs
                    and (reading.limit or 0) > 1
                ):
                    reading.outputs.append(order.operand)
    elif grouped and key:
        reading.outputs.extend(ColumnOf((reading.subject, column)) for column in key)
        label = label_of(table)
        reading.outputs.extend([ColumnOf(label.ref)] if label is not None else [])
    else:
        reading.outputs.extend(ColumnOf(entry.ref) for entry in table.columns)
