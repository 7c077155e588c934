"""Superlatives: "the oldest member", "top 5 customers by total spent", "which branch has the most visits"."""

from __future__ import annotations

from services.sql.grounding.logical_form import ColumnOf, Compare, Measure, Ordering
from services.sql.grounding.phrases import Cue
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.reading_values import table_beside
from services.sql.grounding.superlative_orders import (
    order_by_frequency,
    order_by_hint,
    order_by_named,
    order_by_what_precedes,
)
from services.sql.grounding.wording import ORDINALS
from services.sql.grounding.words import stem

PLAIN_EXTREMES = frozenset({"highest", "lowest", "largest", "smallest", "greatest", "biggest"})
COUNTED_ON = frozenset(stem(word) for word in "minute second hour day week month round lap mile kilometre".split())


def read_superlatives(reading: Reading) -> None:
    """Turn each superlative into an order with a limit, an extreme value, or a condition on another table."""
    _pair_extremes(reading)
    for index, item in enumerate(reading.items):
        if _is_outer_aggregate(reading, index) and item.cue is not None:  # "the maximum average price"
            item.cue = Cue("superlative", "desc" if item.cue.data == "max" else "asc")
        if item.is_cue("superlative") and not item.used and not _is_idle(reading, index):
            _read(reading, index)


def _pair_extremes(reading: Reading) -> None:
    """Take "the lowest and highest price" for two figures rather than for choices of rows."""
    items = reading.items
    for index in range(len(items) - 2):
        pair = (items[index], items[index + 2])
        joined = items[index + 1].is_cue("and") and all(one.is_cue("superlative", "aggregate") for one in pair)
        if not joined or not all(one.text in PLAIN_EXTREMES or one.is_cue("aggregate") for one in pair):
            continue
        for one in pair:
            if one.cue is not None and one.is_cue("superlative"):
                one.cue = Cue("aggregate", "max" if one.cue.data == "desc" else "min")


def _is_outer_aggregate(reading: Reading, index: int) -> bool:
    """Whether "maximum" and "minimum" choose a row or a group instead of being shown."""
    item = reading.items[index]
    if not item.is_cue("aggregate") or item.used or item.cue is None or item.cue.data not in {"max", "min"}:
        return False
    following = reading.items[index + 1] if index + 1 < len(reading.items) else None
    if following is not None and following.is_cue("aggregate", "count") and following.cue is not None:
        return following.cue.data not in {"max", "min"} and following.first == item.last + 1
    words = {reading.word_before(index), reading.word_before(index, 2)}
    named = any(one.kind in {"table", "column"} and not one.used for one in reading.items[:index])
    return named and bool(words & {"with", "has", "have", "having", "had"})


def _is_idle(reading: Reading, index: int) -> bool:
    """Whether it asks for nothing: "first" and "last" alone are too common to be taken for more than they are."""
    item = reading.items[index]
    if item.text in {"first", "last"}:
        after = index + 1
        if after >= len(reading.items) and index > 0 and reading.items[index - 1].columns:
            return reading.column_of(index - 1, wanted="ordered") is None  # "born first"
        if after >= len(reading.items) or reading.items[after].kind not in {"table", "number"}:
            return True
    return item.text == "most" and reading.word_before(index) == "at"


def _read(reading: Reading, index: int) -> None:
    items, cue = reading.items, reading.items[index].cue
    assert cue is not None
    descending = cue.data == "desc"
    if items[index].text in {"first", "last"} and _first_span(reading, index):
        return
    limit, at = _limit_and_next(reading, index)
    _skip_by_ordinal(reading, index)
    reading.note(index, "")
    if at is not None and items[at].is_cue("share") and not cue.hints:
        reading.share_order = descending, limit  # "the highest percentage of": read with the shares
        return
    by = next((one for one in range(index + 1, len(items)) if items[one].is_cue("by") and not items[one].used), None)
    rows = at is not None and items[at].kind in {"table", "column"}
    if (
        "#count" in cue.hints
        and by is not None
        and rows
        and order_by_named(reading, by + 1, index, descending, limit, shows=True)
    ):
        _show_chosen(reading, at, by)
        return
    if "#count" in cue.hints:
        order_by_frequency(reading, index, at, descending, limit)
        return
    if cue.hints:
        by_date = by is not None and by + 1 < len(items) and reading.column_of(by + 1, wanted="date") is not None
        aged = "age" in cue.hints and by_date  # the oldest has the earliest date
        tabled = at is not None and items[at].kind == "table" and by is not None
        if (
            tabled
            and at is not None
            and by is not None
            and order_by_named(reading, by + 1, index, descending != aged, limit, shows=True)
        ):
            reading.note(by, "")
            reading.shown = reading.table_of(at) or ""
            return
        if by is not None and order_by_named(reading, by + 1, index, descending != aged, limit, shows=(limit or 1) > 1):
            reading.note(by, "")
            return
        if order_by_hint(reading, index, at, cue.hints, descending, limit):
            return
        raise Unreadable(f"Nothing in the database tells which is “{items[index].text}”.")
    if by is None and items[index].text in {"top", "bottom"}:
        by = next(
            (one for one in range(index + 1, len(items)) if items[one].is_cue("order") and not items[one].used), None
        )
    if by is not None and at == by and order_by_named(reading, by + 1, index, descending, limit, shows=False):
        reading.note(by, "")  # "the largest by floor area"
        return
    if _times_said(reading, index, descending, limit):
        return
    if at is not None and set(reading.words_between(index, at)) & {"in", "during"}:
        if {"single", "one"} & set(reading.words_between(index, at)) or not order_by_what_precedes(
            reading, index, descending, limit
        ):
            raise Unreadable(f"It is not clear by what “{items[index].text}” is measured.")
        return
    names_entity = at is not None and (items[at].kind == "table" or (by is not None and items[at].kind == "column"))
    if by is not None and names_entity and order_by_named(reading, by + 1, index, descending, limit, shows=True):
        _show_chosen(reading, at, by)
        return
    if at is not None and order_by_named(
        reading,
        at,
        index,
        descending,
        limit,
        shows=False,
        entity_first=items[index].text not in {"most", "the most", "fewest", "the fewest", "least", "the least"},
    ):
        return
    if index > 0 and order_by_what_precedes(reading, index, descending, limit):
        return
    raise Unreadable(f"It is not clear by what “{items[index].text}” is measured.")


def _show_chosen(reading: Reading, at: int | None, by: int) -> None:
    """What a superlative with "by" chooses is shown: a column of its own, or the rows of a table."""
    reading.note(by, "")
    assert at is not None
    entry = reading.column_of(at) if reading.items[at].kind == "column" else None
    if entry is not None:
        reading.outputs.insert(0, ColumnOf(entry.ref))
        reading.note(at, reading.text_of(entry.ref))
    else:
        reading.shown = reading.table_of(at) or ""


def _times_said(reading: Reading, index: int, descending: bool, limit: int | None) -> bool:
    """For "visited museums the most times": the rows that the verb before names."""
    last = reading.items[index].last + 1
    if last >= len(reading.tokens) or reading.tokens[last].lower not in {"times", "often"} or not reading.subject:
        return False
    for before in range(index - 1, -1, -1):
        table = reading.table_of(before) if reading.items[before].kind == "table" else None
        if table is None or table == reading.subject:
            continue
        if reading.graph.path((table,), reading.subject, to_one=True) is not None:
            reading.order.append(Ordering(Measure("count", table), descending))
            reading.limit = limit if limit is not None else 1
            for item in reading.items:
                item.used = item.used or item.first == last
            reading.notes.append(f"“{reading.items[index].text}” → by the number of {table.split('.', 1)[1]}")
            for item in reading.items[before : index + 1]:
                item.used = item.used or item.kind == "table"
            return True
    return False


def _first_span(reading: Reading, index: int) -> bool:
    """For "in the first 15 minutes": what is counted on is at most that. Raises Unreadable for the last ones."""
    items = reading.items
    if index + 2 >= len(items) or items[index + 1].number is None or not items[index + 2].columns:
        return False
    entry = reading.column_of(index + 2, wanted="numeric")
    if entry is None or items[index + 2].kind != "column" or not set(entry.own) & COUNTED_ON:
        return False
    if items[index].text == "last":
        raise Unreadable(f"It is not clear where the last {items[index + 1].text} {items[index + 2].text} begin.")
    reading.conditions.append(Compare(entry.ref, "<=", items[index + 1].number or 0.0))
    reading.note(index, f"{reading.text_of(entry.ref)} <= {items[index + 1].text}")
    reading.note(index + 1, "")
    reading.note(index + 2, "")
    return True


def _skip_by_ordinal(reading: Reading, index: int) -> None:
    """Leave out the first for "the second highest"."""
    rank = ORDINALS.get(reading.word_before(index), 0)
    if not rank:
        return
    reading.offset = rank - 1
    for item in reading.items[:index]:
        if item.last == reading.items[index].first - 1:
            item.used = True


def _limit_and_next(reading: Reading, index: int) -> tuple[int | None, int | None]:
    items = reading.items
    limit: int | None = None
    if (
        index > 0
        and items[index - 1].kind == "number"
        and not items[index - 1].used
        and not reading.words_between(index - 1, index)
    ):
        limit = _whole(reading, index - 1)
    if limit is None:
        limit = _counted_head(reading, index)
    at = reading.next_index(index)
    if at is not None and items[at].kind == "number" and items[at].period is None:
        limit = _whole(reading, at)
        at = reading.next_index(at)
    while at is not None and items[at].is_cue("superlative", "distinct"):  # "top 3 most expensive"
        following = items[at].cue
        said_by = any(one.is_cue("by") and not one.used for one in items[at:])
        if following is not None and following.kind == "superlative" and following.hints and not said_by:
            break
        items[at].used = True
        at = reading.next_index(at)
    while at is not None and (items[at].values or items[at].kind == "verb") and table_beside(reading, at):
        at = reading.next_index(at)  # "the most active subscriptions": which ones is read with the values
    return limit, at


def _counted_head(reading: Reading, index: int) -> int | None:
    """For "which 5 cities generated the most revenue"."""
    for one in range(index - 1):
        item, following = reading.items[one], reading.items[one + 1]
        is_count = item.kind == "number" and not item.used and item.period is None
        opened = any(before.is_cue("compare", "relative") and before.first > 0 for before in reading.items[:one])
        if is_count and following.kind in {"table", "column"} and not opened:
            return _whole(reading, one)
    return None


def _whole(reading: Reading, index: int) -> int | None:
    number = reading.items[index].number
    if number is None or number != int(number) or not 0 < number <= 100_000:
        return None
    reading.items[index].used = True
    return int(number)
