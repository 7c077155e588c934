"""Figures that no single column holds: units sold, the value of the stock, the profit."""

from __future__ import annotations

from collections.abc import Iterable

from services.sql.grounding.lexicon import ColumnEntry
from services.sql.grounding.logical_form import Measure
from services.sql.grounding.reading_state import TRADE_TABLES, Reading
from services.sql.grounding.thesaurus import PRICE_WORDS, QUANTITY_WORDS
from services.sql.grounding.words import stem

_UNITS = frozenset({"item", "items", "unit", "units", "piece", "pieces"})
_SOLD = frozenset({"sold", "bought", "ordered", "purchased"})
_HELPERS = frozenset("were was are is have has been being that we did".split())
_STOCK = frozenset(stem(word) for word in ("stock", "inventory"))
_WORTH = frozenset({"value", "worth", "cost"})
_PROFIT = frozenset(stem(word) for word in ("profit", "earnings", "gain"))
_TAKEN = frozenset(stem(word) for word in ("sales", "revenue", "income", "turnover", "amount", "total"))


def read_goods(reading: Reading) -> None:
    """Read each such figure as a sum over rows, where the columns for it are there and nothing else is named so."""
    if any(item.is_cue("superlative", "compare", "between", "share", "negation") for item in reading.items):
        return
    for read in (_units_sold, _stock_value, _profit):
        found = read(reading)
        if found is None:
            continue
        measure, first, last, note = found
        reading.outputs.append(measure)
        reading.subject = measure.table
        reading.notes.append(note)
        for index, item in enumerate(reading.items):
            inside = first <= item.first and item.last <= last
            leads = item.last < first and item.is_cue("count", "aggregate") and index < 2
            item.used = item.used or inside or leads
        return


_Found = tuple[Measure, int, int, str]


def _units_sold(reading: Reading) -> _Found | None:
    tokens = reading.tokens
    for at, token in enumerate(tokens):
        if token.lower not in _UNITS:
            continue
        end = at + 1
        while end < len(tokens) and tokens[end].lower in _HELPERS:
            end += 1
        if end >= len(tokens) or tokens[end].lower not in _SOLD:
            continue
        for table in reading.lexicon.tables.values():
            quantity = _first(table.columns, QUANTITY_WORDS)
            if quantity is not None and TRADE_TABLES & set(table.stems) and _points_on(reading, table.name):
                text = reading.text_of(quantity.ref)
                said = f"“{token.text} {tokens[end].text}” → sum of {text}"
                return Measure("sum", table.name, quantity.ref), at, end, said
    return None


def _stock_value(reading: Reading) -> _Found | None:
    tokens = reading.tokens
    places = {token.stem: at for at, token in enumerate(tokens) if token.stem in _STOCK or token.lower in _WORTH}
    stock = [at for word, at in places.items() if word in _STOCK]
    worth = [at for word, at in places.items() if word not in _STOCK]
    if len(stock) != 1 or not worth or abs(stock[0] - worth[0]) > 3:
        return None
    for table in reading.lexicon.tables.values():
        is_stock = bool(_STOCK & set(table.stems))
        held = [
            entry
            for entry in table.columns
            if entry.is_numeric and (_STOCK & set(entry.own) or (is_stock and set(entry.own) & QUANTITY_WORDS))
        ]
        held = [entry for entry in held if not set(entry.own) & PRICE_WORDS]
        if not held:
            continue
        beside = [table.name, *(edge.target for edge in reading.graph.edges.get(table.name, ()) if edge.to_one)]
        asked = PRICE_WORDS & {token.stem for token in tokens}
        prices = [
            entry
            for name in beside
            for entry in reading.lexicon.tables[name].columns
            if entry.is_numeric and set(entry.own) & (asked or PRICE_WORDS)
        ]
        if prices:
            said = (
                f"“{tokens[stock[0]].text}” → sum of {reading.text_of(held[0].ref)} × {reading.text_of(prices[0].ref)}"
            )
            first, last = min(stock[0], worth[0]), max(stock[0], worth[0])
            for item in reading.items:
                item.used = item.used or (item.kind == "column" and prices[0].ref in item.columns and bool(asked))
            return Measure("sum", table.name, held[0].ref, times=prices[0].ref), first, last, said
    return None


def _profit(reading: Reading) -> _Found | None:
    for at, token in enumerate(reading.tokens):
        following = reading.tokens[at + 1].lower if at + 1 < len(reading.tokens) else ""
        if token.stem not in _PROFIT or following in {"margin", "margins", "ratio", "rate"}:
            continue
        if any(token.stem in entry.own for entry in reading.lexicon.columns.values()):
            return None  # a column holds it
        for table in reading.lexicon.tables.values():
            cost = _first(table.columns, frozenset({"cost"}))
            taken = _first([one for one in table.columns if one != cost], _TAKEN)
            if (
                cost is not None
                and taken is not None
                and set(cost.own) & {"amount", "total"}
                == set(taken.own)
                & {
                    "amount",
                    "total",
                }
            ):
                said = f"“{token.text}” → sum of {reading.text_of(taken.ref)} - {reading.text_of(cost.ref)}"
                return Measure("sum", table.name, taken.ref, minus=cost.ref), at, at, said
    return None


def _first(entries: Iterable[ColumnEntry], words: frozenset[str]) -> ColumnEntry | None:
    return next((entry for entry in entries if entry.is_numeric and set(entry.own) & words), None)


def _points_on(reading: Reading, table: str) -> bool:
    return any(edge.to_one for edge in reading.graph.edges.get(table, ()))
