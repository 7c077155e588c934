"""Measures: counts, sums and averages, named by the question or meant by words such as "sales" and "spent"."""

from __future__ import annotations

from services.sql.grounding.lexicon import ColumnEntry
from services.sql.grounding.logical_form import ColumnOf, Measure
from services.sql.grounding.reading_state import Reading
from services.sql.grounding.thesaurus import MONEY_COLUMN_WORDS, MONEY_WORDS, PRICE_WORDS, QUANTITY_WORDS
from services.sql.grounding.words import stem

TOTAL = stem("total")  # a total price is an amount, not the price of one thing
OUTGOINGS = frozenset(
    stem(word) for word in "refund return expense discount tax fine penalty payroll repair payout budget cost".split()
)
PAID_TO_PEOPLE = frozenset(stem(word) for word in "salary wage pay compensation bonus".split())
PERCENT_WORDS = frozenset(stem(word) for word in ("interest", "percent", "discount", "tax"))


def is_money_word(reading: Reading, index: int) -> bool:
    """Whether an item is a word such as "sales" that means sums of money and names no column well."""
    item = reading.items[index]
    stems = {token.stem for token in reading.tokens[item.first : item.last + 1]}
    following = [token.lower for token in reading.tokens[item.last + 1 : item.last + 3]]
    if item.kind == "table" and following[:1] in (["were"], ["was"]) and set(following[1:]) & {"made", "recorded"}:
        return False  # sales that were made are counted
    return bool(stems & MONEY_WORDS) and len(stems) == 1


def money_measure(reading: Reading, index: int, function: str) -> Measure | None:
    """The measure a money word stands for: a numeric column of that name or comment, a total, or price × quantity."""
    item = reading.items[index]
    named = [
        (quality, reading.lexicon.columns[ref])
        for ref, quality in item.columns.items()
        if reading.lexicon.columns[ref].is_numeric and quality >= 0.5
    ]
    tables = _tables_near(reading)
    spoken = {link.entry.table for one in reading.items for link in one.values[:1]} | set(reading.mentioned_tables())
    paid = any(_is_amount(entry) for table in spoken for entry in reading.lexicon.tables[table].columns)
    if paid:  # "paid in cash" is what the payments say, and nobody's pay
        named = [pair for pair in named if pair[0] >= 0.95 or pair[1].table in spoken]
    near, said = {reading.subject, *reading.mentioned_tables()}, {token.stem for token in reading.tokens}
    named = [
        pair
        for pair in named
        if not set(pair[1].own) & PAID_TO_PEOPLE or pair[1].table in near or set(pair[1].own) & said
    ]
    if named:
        quality, entry = max(named, key=lambda pair: (pair[0] - 0.1 * _rank(pair[1].table, tables), pair[1].ref))
        if quality >= 0.8 or not (set(entry.own) & (PRICE_WORDS | QUANTITY_WORDS)):
            return Measure(function, entry.table, entry.ref)
    best: tuple[float, ColumnEntry] | None = None
    for entry in reading.lexicon.columns.values():
        own = set(entry.own)
        if not _is_amount(entry) or (_gives_away(reading, entry.table) and entry.table not in spoken):
            continue
        score = len(own & MONEY_COLUMN_WORDS) - 0.3 * _rank(entry.table, tables) - 0.2 * len(own - MONEY_COLUMN_WORDS)
        if any(edge.to_one for edge in reading.graph.edges.get(entry.table, ())):
            score += 0.3  # facts point to other tables
        if best is None or (score, entry.ref) > (best[0], best[1].ref):
            best = (score, entry)
    product = price_times_quantity(reading, function)
    if product is not None and (best is None or _needs_detail(reading, best[1].table, product.table)):
        return product
    return Measure(function, best[1].table, best[1].ref) if best is not None else product


def _gives_away(reading: Reading, table: str) -> bool:
    """Whether the amounts of a table are what went out, as refunds do: never the sales of anybody."""
    return bool(set(reading.lexicon.tables[table].stems) & OUTGOINGS)


def _is_amount(entry: ColumnEntry) -> bool:
    own = set(entry.own)
    return entry.is_numeric and bool(own & MONEY_COLUMN_WORDS) and (not own & PRICE_WORDS or TOTAL in own)


def _needs_detail(reading: Reading, coarse: str, fine: str) -> bool:
    """Whether the question speaks of a table that only the finer of two facts reaches without repeating rows."""
    for table in [*reading.mentioned_tables(), *(entry.table for entry in _grouping_columns(reading))]:
        if reading.graph.path((coarse,), table, to_one=True) is None and reading.graph.path(
            (fine,), table, to_one=True
        ):
            return True
    return False


def _grouping_columns(reading: Reading) -> list[ColumnEntry]:
    return [
        entry
        for index, item in enumerate(reading.items)
        if ((item.kind == "column" and item.quality >= 0.6) or item.values)
        and (entry := reading.column_of(index) or (item.values[0].entry if item.values else None)) is not None
    ]


def price_times_quantity(reading: Reading, function: str) -> Measure | None:
    """Price × quantity where one table has both, the price of the moment of sale."""
    for table in reading.lexicon.tables.values():
        prices = [entry for entry in table.columns if entry.is_numeric and set(entry.own) & PRICE_WORDS]
        amounts = [
            entry
            for entry in table.columns
            if entry.is_numeric and set(entry.own) & QUANTITY_WORDS and entry not in prices
        ]
        points_on = any(edge.to_one for edge in reading.graph.edges.get(table.name, ()))
        if prices and amounts and points_on:
            return Measure(function, table.name, prices[0].ref, times=amounts[0].ref)
    return _price_of_what_is_counted(reading, function)


def _price_of_what_is_counted(reading: Reading, function: str) -> Measure | None:
    """Quantity × the price of the thing it points to, where that is the only pair of this kind."""
    found = []
    for table in reading.lexicon.tables.values():
        amounts = [one for one in table.columns if one.is_numeric and set(one.own) & QUANTITY_WORDS]
        for edge in reading.graph.edges.get(table.name, ()):
            if not edge.to_one or len(amounts) != 1 or edge.target in reading.lexicon.roles:
                continue
            things = reading.lexicon.tables[edge.target].columns
            prices = [one for one in things if one.is_numeric and set(one.own) & PRICE_WORDS and TOTAL not in one.own]
            if len(prices) == 1:
                found.append(Measure(function, table.name, prices[0].ref, times=amounts[0].ref))
    return found[0] if len(found) == 1 else None


def _tables_near(reading: Reading) -> dict[str, int]:
    mentioned = list(reading.mentioned_tables())
    mentioned = mentioned or [link.entry.table for item in reading.items for link in item.values[:1]]
    return {
        table: min((reading.graph.distance(table, one) for one in mentioned), default=0)
        for table in reading.lexicon.tables
    }


def _rank(table: str, near: dict[str, int]) -> int:
    return min(near.get(table, 0), 5)


def usual_measure(reading: Reading, table: str) -> ColumnEntry | None:
    """The one number of a table people mean when they name none: its amount, total or price; None when unsure."""
    numeric = [
        entry
        for entry in reading.lexicon.tables[table].columns
        if entry.is_numeric and not entry.is_year and not set(entry.own) & PERCENT_WORDS
    ]
    for words in (MONEY_COLUMN_WORDS, PRICE_WORDS):
        found = [entry for entry in numeric if set(entry.own) & words]
        if found:
            return found[0]
    return numeric[0] if len(numeric) == 1 else None


def _is_aggregated(reading: Reading, index: int) -> bool:
    """Whether an aggregate stands right before: "average score", "average number of seats"."""
    before = reading.items[:index]
    while before and before[-1].values and before[-1].kind == "value":
        before = before[:-1]  # "average electricity consumption"
    if before and before[-1].is_cue("count"):
        before = before[:-1]
        return bool(before) and before[-1].is_cue("aggregate")
    return bool(before) and before[-1].is_cue("aggregate")


def measured_tables(reading: Reading) -> list[str]:
    """Tables over which the question computes something, found so far or still to be read."""
    found = [one.table for one in reading.outputs if not isinstance(one, ColumnOf)]
    found += [order.operand.table for order in reading.order if isinstance(order.operand, Measure)]
    for index, item in enumerate(reading.items):
        if item.used:
            continue
        if is_money_word(reading, index) and (measure := money_measure(reading, index, "sum")) is not None:
            found.append(measure.table)
        elif item.swallowed or _is_aggregated(reading, index):
            entry = reading.column_of(index, wanted="numeric") if item.columns else None
            if entry is not None:
                found.append(entry.table)
    return list(dict.fromkeys(found))
