"""First and last occasions, and days of the week: "the date of their latest invoice", "visits on Mondays"."""

from __future__ import annotations

from services.sql.grounding.logical_form import Measure, OnWeekdays
from services.sql.grounding.reading_periods import date_near
from services.sql.grounding.reading_state import Reading, Unreadable

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEKDAYS: dict[str, tuple[int, ...]] = {
    **{f"{day}{end}": (number,) for number, day in enumerate(_DAYS, start=1) for end in ("", "s")},
    **dict.fromkeys(("weekend", "weekends"), (6, 7)),
    **dict.fromkeys(("weekday", "weekdays"), (1, 2, 3, 4, 5)),
}
_FIRSTS = frozenset({"first", "earliest"})
_LASTS = frozenset({"last", "latest", "most recent", "newest"})


def read_occasions(reading: Reading) -> None:
    """Take "when was the first visit" and "the date of their latest visit" for the earliest or latest date."""
    items = reading.items
    for index, item in enumerate(items[:-1]):
        if not item.is_cue("superlative") or item.used or item.text not in _FIRSTS | _LASTS:
            continue
        named = items[index + 1]
        if named.kind == "table" and reading.word_before(index) == "whose":
            raise Unreadable(f"It asks for rows by their {item.text} {named.text}, of which each has its own.")
        rows = named.kind == "table" and reading.are_adjacent(index, index + 1)
        table = reading.table_of(index + 1) if rows else None
        date = reading.date_column([table]) if table is not None else None
        if table is None or date is None or date.table != table or date.is_year or not _asks_when(reading, index):
            continue
        reading.outputs.append(Measure("min" if item.text in _FIRSTS else "max", table, date.ref))
        reading.note(index, f"{item.text} {reading.text_of(date.ref)}")
        reading.note(index + 1, "")
        for other in items:
            if reading.tokens[other.first].lower in {"date", "time", "day"} and other.first == other.last:
                other.used = True
        if index and items[index - 1].is_cue("pair"):
            items[index - 1].used = True


def _asks_when(reading: Reading, index: int) -> bool:
    """Whether the date is asked for: "when" opens the question, or "the date of" stands before."""
    words = [token.lower for token in reading.tokens[: reading.items[index].first]]
    before = [word for word in words[-4:] if word not in {"the", "their", "its", "his", "her"}]
    counted = reading.items[index + 2 : index + 3]
    if counted and counted[0].is_cue("count"):
        return False
    return words[:1] == ["when"] or before[-2:] in (["date", "of"], ["time", "of"], ["day", "of"])


def read_weekdays(reading: Reading) -> None:
    """Each day of the week as a condition on the date spoken of. Raises Unreadable: there is no such date."""
    days: list[int] = []
    at: int | None = None
    for index, item in enumerate(reading.items):
        found = WEEKDAYS.get(item.text.lower(), ())
        if not found or item.used or item.kind != "word":
            continue
        before = reading.items[index - 1] if index else None
        if before is not None and before.is_cue("group", "by"):
            continue
        if before is not None and before.is_cue("negation", "compare", "between"):
            raise Unreadable(f"It is not clear what “{before.text} {item.text}” means.")
        days, at = [*days, *found], index
        item.used = True
        if before is not None and before.is_cue("or", "and"):
            before.used = True
    if at is None:
        return
    ref = date_near(reading, at)
    if ref is None or reading.lexicon.columns[ref].is_year:
        raise Unreadable(f"No date column for “{reading.items[at].text}” could be told.")
    reading.conditions.append(OnWeekdays(ref, tuple(sorted(set(days)))))
    reading.notes.append(f"“{reading.items[at].text}” → day of the week of {reading.text_of(ref)}")
