"""Spans between two dates: "the average visit length in minutes", "paid more than 14 days after they were issued"."""

from __future__ import annotations

import re
from collections.abc import Iterable

from services.sql.grounding.date_pairs import beginning_of, date_said, natural_pair
from services.sql.grounding.lexicon import ColumnEntry
from services.sql.grounding.logical_form import CompareSpan, Measure
from services.sql.grounding.reading_state import Reading, Unreadable
from services.sql.grounding.wording import NUMBER_WORDS
from services.sql.models import ColumnKind

UNITS = {f"{unit}{end}": unit for unit in ("second", "minute", "hour", "day", "week", "year") for end in ("", "s")}
LENGTHS = frozenset({"duration", "durations", "length", "long", "last", "lasts", "lasted"})
FUNCTIONS = {
    "average": "avg", "mean": "avg", "avg": "avg", "typical": "avg", "typically": "avg", "usually": "avg",
    "total": "sum", "maximum": "max", "longest": "max", "minimum": "min", "shortest": "min", "median": "median",
}  # fmt: skip
_ASIDE = r"(?:the |a |an |its |their |his |her |being |getting |date |time |of )*"
_SPAN = r"(?:time|days?|hours?|minutes?|weeks?|gap|delay|duration|interval|lag|length|difference|long|takes?|taken)"
_BETWEEN = re.compile(
    rf"\b{_SPAN}\b(?: \w+){{0,4}}? between {_ASIDE}(?P<begin>\w+)(?: \w+){{0,3}}?"
    rf" and {_ASIDE}(?P<end>\w+)"
)
_FROM = re.compile(
    rf"\b{_SPAN}\b(?: \w+){{0,4}}? from {_ASIDE}(?P<begin>\w+)(?: \w+){{0,3}}?"
    rf" (?:to|until|till) {_ASIDE}(?P<end>\w+)"
)
_TAKES = re.compile(
    r"\bhow (?:long|many (?P<unit>days|hours|minutes|weeks)) (?:does|did|do) it (?:usually |typically )?take"
    r"(?: on average)?(?: for (?:an? |the |our )?\w+(?: \w+)?)? to (?:be |get )?(?P<end>\w+)"
)
_AFTER = re.compile(
    r"\b(?P<end>\w+) (?P<sign>more than|over|less than|fewer than|at least|at most|within|no more than) "
    r"(?P<number>\w+) (?P<unit>days?|hours?|minutes?|weeks?|years?) (?:after|of|from) "
    r"(?:(?:they|it|he|she) (?:were |was |had )?)?"
    rf"{_ASIDE}(?P<begin>\w+)$"
)
_LASTED = re.compile(
    r"\b(?P<verb>lasted|lasting|lasts|last|took|taking|take|longer|shorter|of) "
    r"(?P<sign>longer than|more than|over|less than|under|at least|at most|shorter than|than) "
    r"(?P<number>\w+) (?P<unit>minutes?|hours?|days?|weeks?)\b"
)
_SIGNS = {
    "more than": ">", "over": ">", "longer than": ">", "less than": "<", "fewer than": "<", "under": "<",
    "shorter than": "<", "at least": ">=", "at most": "<=", "within": "<=", "no more than": "<=",
}  # fmt: skip


def read_spans(reading: Reading) -> None:
    """Turn a span between two dates into a measure or a condition.

    Raises Unreadable: a span is asked for, but between which dates is not told.
    """
    if not any(word.lower in UNITS or word.lower in LENGTHS or word.lower in _WORTH for word in reading.tokens):
        return
    text = _Text(reading)
    _condition(reading, text)
    _measure(reading, text)


_WORTH = frozenset({"time", "between", "gap", "delay", "take", "longest", "shortest"})


class _Text:
    """The words of a question as one text, with the way back from its characters to the tokens."""

    def __init__(self, reading: Reading) -> None:
        self.text, self._starts = "", []
        for token in reading.tokens:
            if token.kind == "sign":
                self.text += "," if token.text == "," else ""
            self.text += " " if self.text else ""
            self._starts.append(len(self.text))
            self.text += token.lower if token.kind != "sign" else ""
        self.text = self.text.rstrip()

    def tokens(self, match: re.Match[str]) -> range:
        """The tokens a match covers."""
        inside = [place for place, start in enumerate(self._starts) if match.start() <= start < match.end()]
        return range(inside[0], inside[-1] + 1)

    def token(self, match: re.Match[str], group: str) -> int:
        """The token that begins a group."""
        return self._starts.index(match.start(group))


def _measure(reading: Reading, text: _Text) -> None:
    words = [token.lower for token in reading.tokens]
    function = next((FUNCTIONS[word] for word in words if word in FUNCTIONS), "")
    tables = _candidates(reading)
    for pattern in (_BETWEEN, _FROM):
        if match := pattern.search(text.text):
            end = date_said(reading, tables, text.token(match, "end"))
            begin = date_said(reading, [end.table, *tables] if end else tables, text.token(match, "begin"))
            if end is not None and begin is not None and end != begin and function:
                _add(reading, function, end, begin, text.tokens(match), _unit(words, end, begin))
            return
    if match := _TAKES.search(text.text):
        end = date_said(reading, tables, text.token(match, "end"))
        begin = beginning_of(reading, end) if end is not None else None
        if end is None or begin is None:
            raise Unreadable("It asks how long something takes, but not between which two dates.")
        _add(reading, function or "avg", end, begin, text.tokens(match), _unit(words, end, begin))
        return
    _length(reading, words, function)


def _length(reading: Reading, words: list[str], function: str) -> None:
    """For "the average visit length": between the dates at which the row's own thing begins and ends."""
    asked = next((place for place, word in enumerate(words) if word in LENGTHS), None)
    if asked is None and function in {"avg", "sum"} and _names_time_spent(words):
        asked = words.index("time")
    if (
        asked is None
        or (not function and words[asked] != "long")
        or any(item.period for item in reading.items if item.first <= asked <= item.last)
    ):
        return
    holder = next((item for item in reading.items if item.first <= asked <= item.last), None)
    if holder is not None and holder.kind in {"column", "value"} and not _is_span_word(reading, holder.columns):
        return
    tables = [
        table for index, item in enumerate(reading.items) if item.kind == "table" and (table := reading.table_of(index))
    ]
    pair = next((pair for table in tables if (pair := natural_pair(reading, table))), None)
    if pair is None or not function:
        return
    begin, end = pair
    _add(reading, function, end, begin, range(asked, asked + 1), _unit(words, end, begin))


def _names_time_spent(words: list[str]) -> bool:
    return "time" in words and "spent" in words


def _is_span_word(reading: Reading, columns: Iterable[tuple[str, str]]) -> bool:
    """Whether the columns a length was taken for are the dates themselves."""
    return all(reading.lexicon.columns[ref].column.kind is ColumnKind.TIMESTAMP for ref in columns)


def _condition(reading: Reading, text: _Text) -> None:
    if (match := _AFTER.search(text.text)) and (number := _number(match["number"])) is not None:
        tables = _candidates(reading)
        end = date_said(reading, tables, text.token(match, "end"))
        begin = date_said(reading, [end.table, *tables] if end else tables, text.token(match, "begin"))
        if end is not None and begin is not None and begin != end:
            _compare(reading, (end, begin), match, number, text)
            return
        if match["sign"] != "within" or begin is not None:
            raise Unreadable("It is not clear between which two dates the time is meant.")
    if (match := _LASTED.search(text.text)) and (number := _number(match["number"])) is not None and reading.subject:
        pair = natural_pair(reading, reading.subject)
        if pair is not None:
            _compare(reading, (pair[1], pair[0]), match, number, text)


def _compare(
    reading: Reading, dates: tuple[ColumnEntry, ColumnEntry], match: re.Match[str], number: float, text: _Text
) -> None:
    sign = _SIGNS.get(match["sign"]) or (">" if match.groupdict().get("verb") == "longer" else "<")
    end, begin = dates
    unit = UNITS[match["unit"]]
    reading.conditions.append(CompareSpan(end.ref, begin.ref, sign, number, unit))
    if sign in {"<", "<="}:
        reading.conditions.append(CompareSpan(end.ref, begin.ref, ">=", 0, unit))
    _use(reading, text.tokens(match))
    reading.notes.append(f"“{match.group()}” → {reading.text_of(begin.ref)} to {reading.text_of(end.ref)}")


def _add(reading: Reading, function: str, end: ColumnEntry, begin: ColumnEntry, covered: range, unit: str) -> None:
    reading.outputs.append(Measure(function, end.table, end.ref, minus=begin.ref, unit=unit))
    reading.subject = reading.subject or end.table
    words = [token.lower for token in reading.tokens]
    _use(reading, covered)
    for item in reading.items:
        said = words[item.first : item.last + 1]
        if set(said) <= {
            *FUNCTIONS,
            *LENGTHS,
            *UNITS,
            "time",
            "number",
            "of",
            "in",
            "on",
            "how",
            "many",
            "take",
            "takes",
            "spent",
        }:
            item.used = item.used or item.cue is None or item.is_cue("aggregate", "count", "superlative")
    reading.notes.append(f"time from {reading.text_of(begin.ref)} to {reading.text_of(end.ref)}")


def _use(reading: Reading, covered: range) -> None:
    for item in reading.items:
        if item.first in covered and item.last in covered and not (item.kind == "table" and item.first == covered[-1]):
            item.used = True


def _unit(words: list[str], end: ColumnEntry, begin: ColumnEntry) -> str:
    """The unit that is said; days between days, and the span as it is between points in time."""
    for place, word in enumerate(words):
        if word in UNITS and words[max(0, place - 1)] not in {"per", "last", "each", "every", "by", "past"}:
            return UNITS[word]
    is_days = {end.column.kind, begin.column.kind} == {ColumnKind.DATE}
    return "day" if is_days else "interval"


def _number(word: str) -> float | None:
    return float(word) if word.isdigit() else NUMBER_WORDS.get(word)


def _candidates(reading: Reading) -> list[str]:
    """Tables whose dates may be meant: the subject, those named, and those that these point to or are pointed at by."""
    named = list(dict.fromkeys([*([reading.subject] if reading.subject else []), *reading.mentioned_tables()]))
    near = [edge.target for table in named for edge in reading.graph.edges.get(table, ())]
    return list(dict.fromkeys([*named, *near])) or list(reading.lexicon.tables)
