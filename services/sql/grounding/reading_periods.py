"""Periods as conditions, and which date of the database they are about."""

from __future__ import annotations

from services.sql.grounding.dates import Period, between, bounded
from services.sql.grounding.events import date_of_event
from services.sql.grounding.lexicon import COMMENT_QUALITY, ColumnEntry
from services.sql.grounding.logical_form import InPeriod
from services.sql.grounding.negation_scope import is_negated, mark_negation
from services.sql.grounding.reading_measures import measured_tables
from services.sql.grounding.reading_state import TRADE_TABLES, Reading, Unreadable
from services.sql.grounding.wording import CONTRASTS

BEGINNINGS = frozenset({"start", "begin", "open"})
TIME_WORDS = frozenset({"day", "week", "month", "quarter", "year", "calendar", "period", "summer", "time"})


def read_periods(reading: Reading) -> None:
    """Each period as a condition on the date the question speaks of."""
    items = reading.items
    done: set[int] = set()
    spans: list[tuple[int, Period]] = []
    for index, item in enumerate(items):
        if index in done or item.used or item.period is None:
            continue
        if item.kind == "number" and not _is_dated(reading, index):
            continue
        period: Period = item.period
        other = next(
            (
                one
                for one in range(index + 1, min(index + 4, len(items)))
                if items[one].period is not None and not items[one].used
            ),
            None,
        )
        opening = _opening(reading, index)
        joining = reading.words_between(index, other) if other is not None else []
        if (
            other is not None
            and items[other].period is not None
            and (
                opening == "between"
                or (
                    opening in {"since", "from", ""}
                    and not set(joining) & CONTRASTS
                    and set(joining) & {"to", "until", "till", "through"}
                )
            )
        ):
            period = between(period, items[other].period or period)
            done.add(other)
            items[other].used = True
            for one in range(index + 1, other):
                items[one].used = True
        elif opening in {"after", "before", "since", "until", ">", "<", ">=", "<="}:
            period = bounded(period, opening)
        elif (
            index + 1 < len(items)
            and items[index + 1].is_cue("compare")
            and items[index + 1].cue is not None
            and _follows_or(reading, index)
        ):
            sign = items[index + 1].cue
            backwards = sign is not None and sign.data in {"<=", "<", "before", "until"}
            period = bounded(period, "until" if backwards else "since")
            items[index + 1].used = True
        for one in range(max(0, index - 2), index):
            if items[one].is_cue("or"):
                items[one].used = True
        if (
            index > 0
            and items[index - 1].kind == "word"
            and items[index - 1].text.lower().removesuffix("s") in TIME_WORDS
        ):
            items[index - 1].used = True  # "the year 2025"
        spans.append((index, period))
        item.used = True
    if not spans:
        return
    by_column: dict[tuple[str, str], list[Period]] = {}
    for index, period in spans:
        entry = date_near(reading, index)
        if entry is None:
            raise Unreadable(f"No date column for “{items[index].text}” could be told.")
        by_column.setdefault(entry, []).append(period)
        reading.notes.append(f"“{items[index].text}” → {reading.text_of(entry)} {period.text}")
    for ref, periods in by_column.items():
        bounds = [one for one in periods if not one.begin or not one.end]
        if len(bounds) == len(periods) > 1 and not any(item.is_cue("or") for item in items):
            reading.conditions.extend(InPeriod(ref, (one,)) for one in periods)
        else:
            negated = any(is_negated(reading, index) for index, _ in spans)
            if negated and reading.subject and reading.graph.path((reading.subject,), ref[0], to_one=True) is None:
                negated = False  # what is denied is a related row, which is read with the tables
            condition = InPeriod(ref, tuple(periods), negated)
            reading.conditions.append(condition)
            reading.placed[condition] = spans[0][0]
            if negated:
                for index, _ in spans:
                    mark_negation(reading, index)


def _documents_first(reading: Reading, tables: list[str], near: list[str]) -> list[str]:
    """Beside lines of an order, the order comes before the product: what was launched when dates no sale."""
    own = {word for table in tables for word in reading.lexicon.tables[table].stems} | TRADE_TABLES
    return sorted(dict.fromkeys(near), key=lambda one: not own & set(reading.lexicon.tables[one].stems))


def _begins(reading: Reading) -> bool:
    """Whether rows asked about have a beginning: "leases starting in 2020" are not those since then."""
    columns = reading.lexicon.tables[reading.subject].columns if reading.subject else ()
    return any(entry.is_date and set(entry.own) & BEGINNINGS for entry in columns)


def _spoken_of(reading: Reading) -> list[str]:
    """The tables a question names, those left out that only a comment connects with a word of it."""
    weak = {table for item in reading.items if item.quality <= COMMENT_QUALITY for table in item.tables}
    return [one for one in reading.mentioned_tables() if one not in weak]


def _facts_first(reading: Reading, index: int) -> tuple[str, str] | None:
    """The date of a named table that points to another named one: when members borrowed, not when they joined."""
    named = [one for one in dict.fromkeys([*_spoken_of(reading), reading.subject]) if one]
    for table in named:
        others = [one for one in named if one != table]
        if any(reading.graph.path((table,), one, to_one=True) for one in others):
            entry = reading.date_column([table])
            if entry is not None and not entry.is_year:
                return entry.ref
    return None


def _follows_or(reading: Reading, index: int) -> bool:
    following = reading.items[index + 1]
    return reading.word_before(index + 1) in {"or", "and"} or following.text.startswith(("or ", "and "))


def _opening(reading: Reading, index: int) -> str:
    """The comparison that governs a period: "after", "between"."""
    for before in range(index - 1, max(index - 3, -1), -1):
        item = reading.items[before]
        if (
            item.is_cue("compare", "between")
            and item.cue is not None
            and (reading.are_adjacent(before, index) or before == index - 1)
        ):
            item.used = True
            after = [token.lower for token in reading.tokens[reading.items[index].last + 1 :][:2]]
            onwards = {"on", "onward", "onwards", "to", "until", "till", "through", "and", "-"} & set(after)
            if item.text == "starting in" and _begins(reading):
                return ""
            if item.text == "from" and not onwards:
                return ""  # "orders from last year" are those of it
            if item.text in {"over", "under", "above", "below"}:
                return ""  # "over the last year" is within it
            return item.cue.data or item.cue.kind
        if item.kind != "number" and not item.is_cue("and", "or"):
            break
    return ""


def _is_of_others(reading: Reading, index: int, entry: ColumnEntry) -> bool:
    """Whether a likeness names the date of rows nobody spoke of, while those spoken of have one of their own."""
    item = reading.items[index]
    if not reading.subject or entry.table in {*reading.mentioned_tables(), *measured_tables(reading)}:
        return False
    outright = any(token.stem in entry.own for token in reading.tokens[item.first : item.last + 1])
    near = reading.graph.path((reading.subject,), entry.table, to_one=True) is not None
    return not outright and not near and reading.date_column([reading.subject]) is not None


def _is_dated(reading: Reading, index: int) -> bool:
    """Whether a four-digit number is a year here: "in 2014", "since 2014", "the 2014 orders", "year 2014"."""
    before = reading.word_before(index)
    if before in {
        "in",
        "during",
        "year",
        "since",
        "after",
        "before",
        "until",
        "through",
        "of",
        "for",
        "from",
        "by",
        "to",
        "and",
        "or",
        "between",
        "than",
        "years",
        "till",
        "calendar",
    }:
        return True
    return index > 0 and reading.items[index - 1].is_cue("compare", "between", "or", "and")


def date_near(reading: Reading, index: int) -> tuple[str, str] | None:
    """The date that what stands at an item is about."""
    items = reading.items
    for other in (index - 1, index - 2, index + 1, index - 3):
        if 0 <= other < len(items) and items[other].columns and items[other].kind in {"column", "word", "verb"}:
            if items[other].kind == "column" and items[other].quality < 0.45:
                continue  # "per day" names no date
            entry = reading.column_of(other, wanted="date")
            if entry is not None and _is_of_others(reading, other, entry):
                continue
            own_state = any(link.entry.table == reading.subject for link in items[other].values)
            if entry is not None and own_state and entry.table != reading.subject:
                continue  # "bookings that were cancelled" by their status: when is told by no date of another table
            if entry is not None:
                if items[other].kind == "column" and (other != index + 1):
                    items[other].used = True
                return entry.ref
    of_event = date_of_event(reading, index)
    if of_event is not None:
        return of_event
    measured = measured_tables(reading)
    tables = [*measured, *([reading.subject] if reading.subject else [])]
    facts = _facts_first(reading, index)
    if not measured and facts:
        return facts
    named = [item for item in reversed(items[:index]) if item.kind == "table" and item.quality > COMMENT_QUALITY]
    before = [table for item in named if (table := item.best_table)]
    nearest = next((table for table in before if reading.date_column([table]) is not None), None)
    if nearest is not None and not measured:
        tables.insert(0, nearest)
    entry = reading.date_column([*tables, *_spoken_of(reading)])
    if entry is None:
        near = [edge.target for table in tables for edge in reading.graph.edges.get(table, ())]
        entry = reading.date_column(_documents_first(reading, tables, near))
    return entry.ref if entry is not None else None
