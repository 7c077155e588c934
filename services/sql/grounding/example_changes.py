"""What may differ between a question and an approved one, and what each difference replaces in the approved query.

Every function gives a description of the replacement, or raises NotAdaptable: a doubt means that nothing is reused.
Replacements are collected first and made together, so that "from Berlin to Paris" can become "from Paris to Berlin".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from sqlglot import exp

from services.sql.grounding.dates import Period
from services.sql.grounding.example_queries import ExampleQuery, LiteralUse
from services.sql.grounding.example_units import Unit
from services.sql.grounding.lexicon import ColumnEntry, Lexicon
from services.sql.grounding.logical_form import Ref
from services.sql.grounding.reading_state import TRADE_TABLES
from services.sql.grounding.words import stem

SURE_COLUMN = 0.95
_TIMES = frozenset({stem("date"), stem("age"), stem("year")})
_LAST_FEW = re.compile(r"the last (\d+) (\w+?)s?\Z")
_INTERVAL = re.compile(r"\s*(\d+)\s+(\w+?)s?\s*\Z", re.IGNORECASE)
_DAY = re.compile(r"DATE '(\d{4}-\d{2}-\d{2})'\Z")
_PLAIN_COMPARISONS = frozenset({"equals", "compares"})


class NotAdaptable(Exception):
    """The approved query cannot be made to answer the other question with certainty."""


@dataclass
class Changes:
    """Replacements under way: of literals by their use, and others as steps to be taken."""

    query: ExampleQuery
    lexicon: Lexicon
    literals: list[tuple[LiteralUse, exp.Expr]] = field(default_factory=list)
    steps: list[Callable[[], None]] = field(default_factory=list)
    columns: set[Ref] = field(default_factory=set)  # those that another one takes the place of
    told: list[str] = field(default_factory=list)

    def replace(self, use: LiteralUse, text: str, *, is_text: bool | None = None) -> None:
        """Put another literal where this one stands."""
        if any(known is use for known, _ in self.literals):
            raise NotAdaptable
        as_text = use.is_text if is_text is None else is_text
        self.literals.append((use, exp.Literal.string(text) if as_text else exp.Literal.number(text)))

    def apply(self) -> None:
        """Make all replacements."""
        for use, literal in self.literals:
            use.node.replace(literal)
        for step in self.steps:
            step()


def change_number(changes: Changes, old: Unit, new: Unit, role: str) -> None:
    """A number for a number, where exactly one literal stands for it; `role` is limit, compares or any."""
    was, now = _number(old), _number(new)
    uses = [use for use in changes.query.uses if use.number == was and use.role in {"limit", *_PLAIN_COMPARISONS}]
    if len(uses) != 1:
        raise NotAdaptable
    [use] = uses
    if (role == "limit") != (use.role == "limit") and role != "any":
        raise NotAdaptable
    if use.role == "limit" and not (now == int(now) and 1 <= now <= 1_000):
        raise NotAdaptable
    if (use.of_year or _holds_years(changes.lexicon, use.column)) and _year(new) is None:
        raise NotAdaptable
    changes.replace(use, _plain_number(now))
    changes.told.append(f"{_plain_number(now)} in place of {_plain_number(was)}")


def change_period(changes: Changes, old: Unit, new: Unit) -> None:
    """A period for a period of the same kind: year for year, month for month, "last 7 days" for "last 30 days"."""
    was, now = _period(old), _period(new)
    few_was, few_now = _LAST_FEW.match(was.text), _LAST_FEW.match(now.text)
    if few_was and few_now:
        _change_interval(changes, few_was, few_now)
    elif _length(was) is None or _length(was) != _length(now):
        raise NotAdaptable
    else:
        _change_days(changes, was, now)
    changes.told.append(f"{now.text} in place of {was.text}")


def change_year(changes: Changes, old: Unit, new: Unit) -> None:
    """A year for a year: either one number of a year's column or EXTRACT, or the days where the year begins or ends."""
    if any(use.number == _number(old) for use in changes.query.uses):
        change_number(changes, old, new, "compares")
    else:
        change_period(changes, old, new)


def change_value(changes: Changes, old: Unit, new: Unit) -> None:
    """A value for another value of the same column."""
    spelled = {old.text.lower()}
    if old.mention is not None:
        spelled |= {link.value.lower() for link in old.mention.values}
    uses = [
        use
        for use in changes.query.uses
        if use.is_text and use.role == "equals" and use.text.strip("%").lower() in spelled
    ]
    columns = {use.column for use in uses}
    ref = columns.pop() if len(columns) == 1 else None
    entry = changes.lexicon.columns.get(ref) if ref is not None else None
    if entry is None:
        raise NotAdaptable
    text = _value_of(new, entry)
    for use in uses:
        written = (
            text.lower()
            if use.folded or (use.text.islower() and use.text.strip("%") not in entry.column.values)
            else text
        )
        inner = use.text.strip("%")
        if inner != use.text and set(written) & set("%_\\"):
            raise NotAdaptable
        changes.replace(use, use.text.replace(inner, written))
    changes.told.append(f"{entry.table.split('.', 1)[1]}.{entry.column.name} = '{text}' in place of '{uses[0].text}'")


def change_column(changes: Changes, old: Unit, new: Unit) -> None:
    """A column for another column of the same table and kind."""
    refs = {ref for _, ref in changes.query.columns() if ref is not None}
    was = [ref for ref in _sure_columns(old) if ref in refs]
    if len(was) != 1:
        raise NotAdaptable
    table = was[0][0]
    now = [ref for ref in _sure_columns(new) if ref[0] == table]
    if len(now) != 1 or now[0] in refs:
        raise NotAdaptable
    before, after = changes.lexicon.columns[was[0]], changes.lexicon.columns[now[0]]
    if _kind(before) != _kind(after) or before.is_key or after.is_key:
        raise NotAdaptable
    if any(use.column == was[0] and use.is_text for use in changes.query.uses):
        raise NotAdaptable
    changes.columns.add(was[0])
    changes.steps.append(lambda: _rename(changes.query, was[0], now[0]))
    changes.told.append(f"{after.column.name} in place of {before.column.name}")


def change_direction(changes: Changes, old: Unit, new: Unit) -> None:
    """The lowest for the highest, ascending for descending."""
    left, right = _cue(old), _cue(new)
    if left[0] != right[0] or left[2] != right[2] or {left[1], right[1]} != {"asc", "desc"}:
        raise NotAdaptable
    key = changes.query.first_order()
    if key is None or (left[0] == "superlative") != changes.query.is_cut:
        raise NotAdaptable
    if left[2] and not _is_ordered_by(changes, key, left[2]):
        raise NotAdaptable  # what was approved orders by something that the words do not name

    def turn() -> None:
        key.set("desc", not key.args.get("desc"))
        key.set("nulls_first", False)  # what is unknown is neither the highest nor the lowest

    changes.steps.append(turn)
    changes.told.append(f"“{new.text}” in place of “{old.text}”")


def _is_ordered_by(changes: Changes, key: exp.Expr, hints: Sequence[str]) -> bool:
    """Whether an order is by what a superlative is about: a price for the cheapest, a count for the most frequent."""
    if "#count" in hints:
        return key.find(exp.Count) is not None
    inside = {id(node) for node in key.find_all(exp.Column)}
    entries = [
        changes.lexicon.columns[ref]
        for node, ref in changes.query.columns()
        if id(node) in inside and ref is not None and ref in changes.lexicon.columns
    ]
    if "sold" in hints:
        return any(TRADE_TABLES & set(changes.lexicon.tables[entry.table].stems) for entry in entries)
    words = {stem(hint) for hint in hints}
    return any(set(entry.own) & words or (entry.is_date and words & _TIMES) for entry in entries)


def all_days_explained(changes: Changes, kept: Sequence[Period]) -> bool:
    """Whether every date of the query is replaced or is a bound of a period that both questions name."""
    replaced = {id(use) for use, _ in changes.literals}
    bounds = {text for period in kept for text in _bounds(period)}
    return all(
        id(use) in replaced or (use.is_text and use.text[:10] in bounds) or (not use.is_text and _is_kept(use, kept))
        for use in changes.query.uses
        if use.is_day or use.of_year
    )


def _is_kept(use: LiteralUse, kept: Sequence[Period]) -> bool:
    return any(period.year == use.number for period in kept)


def _change_days(changes: Changes, was: Period, now: Period) -> None:
    moved = dict(zip(_bounds(was), _bounds(now), strict=True))
    uses = [use for use in changes.query.uses if use.is_day and use.text[:10] in moved]
    if not uses:
        raise NotAdaptable
    for use in uses:
        changes.replace(use, moved[use.text[:10]] + use.text[10:])


def _change_interval(changes: Changes, was: re.Match[str], now: re.Match[str]) -> None:
    uses = [use for use in changes.query.uses if use.role == "interval"]
    if was[2] != now[2] or len(uses) != 1:
        raise NotAdaptable
    # Depending on how it was written, the unit stands inside the quotes or behind them.
    unit = uses[0].node.parent.args.get("unit") if uses[0].node.parent is not None else None
    written = _INTERVAL.match(f"{uses[0].text} {unit.name}" if unit is not None else uses[0].text)
    if written is None or written[1] != was[1] or written[2].lower() != was[2]:
        raise NotAdaptable
    changes.replace(uses[0], now[1] if unit is not None else f"{now[1]} {now[2]}s")


def _bounds(period: Period) -> list[str]:
    """First day, last day, and the day behind it; empty unless both ends are plain days."""
    begin, end = _DAY.match(period.begin), _DAY.match(period.end)
    if begin is None or end is None:
        return []
    last = date.fromisoformat(end[1]) - timedelta(days=1)
    if begin[1] == last.isoformat():
        return [begin[1], end[1]]
    return [begin[1], last.isoformat(), end[1]]


def _length(period: Period) -> str | None:
    """Day, month, quarter or year; None when it is none of them."""
    bounds = _bounds(period)
    if not bounds:
        return None
    begin, end = date.fromisoformat(bounds[0]), date.fromisoformat(bounds[-1])
    months = (end.year - begin.year) * 12 + end.month - begin.month
    if begin.day == end.day == 1 and months in {1, 3, 12}:
        return {1: "month", 3: "quarter", 12: "year"}[months]
    return "day" if (end - begin).days == 1 else None


def _value_of(new: Unit, entry: ColumnEntry) -> str:
    """How the database spells the value, or how the question does where the database's values are not all known."""
    links = new.mention.values if new.mention is not None else ()
    for link in sorted(links, key=lambda one: -one.quality):
        if link.entry.ref == entry.ref:
            return link.value
    if links or entry.column.values_complete or new.kind != "value":
        raise NotAdaptable
    return new.text


def _rename(query: ExampleQuery, was: Ref, now: Ref) -> None:
    aliases = {
        node.alias: node.alias.replace(was[1], now[1])
        for node in query.tree.find_all(exp.Alias)
        if was[1] in node.alias
    }
    for node, ref in list(query.columns()):
        if ref == was:
            node.set("this", exp.to_identifier(now[1], quoted=True))
        elif not node.table and node.name in aliases:
            node.set("this", exp.to_identifier(aliases[node.name], quoted=True))
    for alias in query.tree.find_all(exp.Alias):
        if alias.alias in aliases:
            alias.set("alias", exp.to_identifier(aliases[alias.alias], quoted=True))


def _sure_columns(unit: Unit) -> list[Ref]:
    if unit.mention is None or unit.kind != "name":
        return []
    return [ref for ref, quality in unit.mention.columns.items() if quality >= SURE_COLUMN]


def _kind(entry: ColumnEntry) -> str:
    if entry.is_date:
        return "date"
    return "number" if entry.is_numeric else "text" if entry.is_text else entry.column.kind


def _holds_years(lexicon: Lexicon, ref: Ref | None) -> bool:
    return ref is not None and ref in lexicon.columns and lexicon.columns[ref].is_year


def _number(unit: Unit) -> float:
    if unit.mention is None or unit.mention.number is None:
        raise NotAdaptable
    return unit.mention.number


def _period(unit: Unit) -> Period:
    if unit.mention is None or unit.mention.period is None:
        raise NotAdaptable
    return unit.mention.period


def _year(unit: Unit) -> int | None:
    return unit.mention.period.year if unit.mention is not None and unit.mention.period is not None else None


def _cue(unit: Unit) -> tuple[str, str, tuple[str, ...]]:
    cue = unit.mention.cue if unit.mention is not None else None
    if cue is None or cue.kind not in {"superlative", "direction"}:
        raise NotAdaptable
    return cue.kind, cue.data, cue.hints


def _plain_number(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(number)
