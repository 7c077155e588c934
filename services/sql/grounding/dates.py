"""Spans of time in questions: days, months, quarters, years, and those relative to today."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from services.sql.grounding.wording import NUMBER_WORDS
from services.sql.grounding.words import Token

MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
MONTHS |= {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name} | {"sept": 9}
UNITS = ("day", "week", "month", "quarter", "year")
PAST = frozenset({"last", "past", "previous", "prior"})


@dataclass(frozen=True)
class Period:
    """From `begin` up to but not including `end`, as SQL date expressions; either may be empty, which means open.

    `year` is set where the period is one whole calendar year, for columns that hold bare years.
    """

    begin: str
    end: str
    text: str
    year: int | None = None
    last_year: int | None = None  # of a span of years: the last one, `year` being the first


def _literal(day: date) -> str:
    return f"DATE '{day.isoformat()}'"


def whole_year(year: int) -> Period:
    """One calendar year."""
    return Period(_literal(date(year, 1, 1)), _literal(date(year + 1, 1, 1)), str(year), year, year)


def _month(year: int, month: int) -> Period:
    end = date(year + month // 12, month % 12 + 1, 1)
    return Period(_literal(date(year, month, 1)), _literal(end), f"{calendar.month_name[month]} {year}")


def _day(day: date) -> Period:
    return Period(_literal(day), _literal(day + timedelta(days=1)), day.isoformat())


def _unit(word: str) -> str:
    singular = word.removesuffix("s")
    return singular if singular in UNITS else ""


def _is_year(token: Token) -> bool:
    return token.kind == "number" and token.text.isdigit() and len(token.text) == 4 and 1700 <= int(token.text) <= 2100


def read_period(tokens: Sequence[Token], at: int) -> tuple[Period, int] | None:
    """The period that begins at this token and the number of tokens it takes; None when there is none.

    Bare years are not read here: they may be plain numbers, which only the context tells.
    """
    token = tokens[at]
    rest = tokens[at : at + 6]
    words = [one.lower for one in rest]
    if token.kind == "date":
        try:
            return _day(date.fromisoformat("-".join(part.zfill(2) for part in token.text.split("-")))), 1
        except ValueError:
            return None
    return _relative(words) or _named_month(rest, words) or _quarter(rest, words)


def _relative(words: list[str]) -> tuple[Period, int] | None:
    skip = 1 if words[0] == "the" else 0
    rest = words[skip:]
    if not rest:
        return None
    if rest[0] == "today":
        return Period("CURRENT_DATE", "CURRENT_DATE + INTERVAL '1 day'", "today"), skip + 1
    if rest[0] == "yesterday":
        return Period("CURRENT_DATE - INTERVAL '1 day'", "CURRENT_DATE", "yesterday"), skip + 1
    if len(rest) >= 2 and rest[0] in {"this", "current"} and (unit := _unit(rest[1])):
        begin = f"DATE_TRUNC('{unit}', CURRENT_DATE)"
        return Period(begin, f"{begin} + {_interval(1, unit)}", f"this {unit}"), skip + 2
    if len(rest) >= 2 and rest[0] in PAST and rest[1] in UNITS:
        unit = rest[1]
        if skip and rest[0] in {"last", "past"}:  # "in the last year" ends today, "last year" ended in December
            return Period(f"CURRENT_DATE - {_interval(1, unit)}", "", f"the last {unit}"), skip + 2
        end = f"DATE_TRUNC('{unit}', CURRENT_DATE)"
        return Period(f"{end} - {_interval(1, unit)}", end, f"last {unit}"), skip + 2
    if len(rest) >= 3 and rest[0] in PAST and (unit := _unit(rest[2])):
        count = int(rest[1]) if rest[1].isdigit() else NUMBER_WORDS.get(rest[1], 0)
        if 0 < count < 10_000:
            return Period(f"CURRENT_DATE - {_interval(count, unit)}", "", f"the last {count} {unit}s"), skip + 3
    return None


def _interval(count: int, unit: str) -> str:
    if unit == "quarter":
        count, unit = count * 3, "month"
    return f"INTERVAL '{count} {unit}{'s' if count != 1 else ''}'"


def _named_month(rest: Sequence[Token], words: list[str]) -> tuple[Period, int] | None:
    """A month or day with its year: "March 2024", "March 5, 2024", "5th of March 2024"; "may" alone is no month."""
    index = 0
    day = 0
    if rest[0].kind == "number" and rest[0].text.isdigit() and 1 <= int(rest[0].text) <= 31:
        day, index = int(rest[0].text), 1
        while index < len(words) and words[index] in {"st", "nd", "rd", "th", "of"}:
            index += 1
    if index >= len(words) or words[index] not in MONTHS or rest[index].kind != "word":
        return None
    month, index = MONTHS[words[index]], index + 1
    if not day and index < len(rest) and rest[index].kind == "number" and len(rest[index].text) <= 2:
        day, index = int(rest[index].text), index + 1
        while index < len(words) and words[index] in {"st", "nd", "rd", "th"}:
            index += 1
    while index < len(words) and words[index] in {",", "of", "in"}:
        index += 1
    if index >= len(rest) or not _is_year(rest[index]):
        return None
    year = int(rest[index].text)
    try:
        return (_day(date(year, month, day)) if day else _month(year, month)), index + 1
    except ValueError:
        return None


def _quarter(rest: Sequence[Token], words: list[str]) -> tuple[Period, int] | None:
    names = {"q1": 1, "q2": 2, "q3": 3, "q4": 4, "first": 1, "second": 2, "third": 3, "fourth": 4}
    if words[0] not in names:
        return None
    index = 1
    if not words[0].startswith("q"):
        if len(words) < 2 or words[1] != "quarter":
            return None
        index = 2
    while index < len(words) and words[index] in {"of", "in", ","}:
        index += 1
    if index >= len(rest) or not _is_year(rest[index]):
        return None
    year, quarter = int(rest[index].text), names[words[0]]
    first = _month(year, 3 * quarter - 2)
    return Period(first.begin, _month(year, 3 * quarter).end, f"Q{quarter} {year}"), index + 1


def bare_year(token: Token) -> int | None:
    """The year a bare number may be."""
    return int(token.text) if _is_year(token) else None


def unit_of(period: Period) -> str:
    """Of which unit a period is exactly one, as its text says: year, quarter, month or day; "" of none."""
    words = period.text.split()
    if period.year is not None and period.text == str(period.year):
        return "year"
    if len(words) == 2 and words[1].isdigit():
        return "quarter" if words[0][:1] == "Q" and words[0][1:].isdigit() else "month"
    return "day" if period.begin == f"DATE '{period.text}'" else ""


def between(first: Period, last: Period) -> Period:
    """From the beginning of one period to the end of another."""
    return Period(first.begin, last.end, f"{first.text} to {last.text}", first.year, last.last_year)


def bounded(period: Period, comparison: str) -> Period:
    """The open period before, after, since or until one."""
    text = f"{comparison} {period.text}"
    if comparison in {"after", ">"}:
        return Period(period.end, "", f"after {period.text}", None if period.year is None else period.year + 1)
    if comparison in {"since", ">="}:
        return Period(period.begin, "", text, period.year)
    if comparison in {"before", "<"}:
        return Period("", period.begin, f"before {period.text}", None, None if period.year is None else period.year - 1)
    return Period("", period.end, text, None, period.last_year)
