"""What calls, types and series say themselves of how large they are.

A number that stands in the text is a bound; one that is computed is none, and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from sqlglot import exp

MAX_COUNT = 1_000  # of repeat, lpad and rpad, and characters of a padded type
MAX_SERIES_ROWS = 100_000
MAX_FACTORIAL = 100
MORE_THAN_ANY = 4_000_000  # what counts as a number that is none

_UNKNOWN_ROWS = 1_000
_UNKNOWN_NUMBERS = 1_000_000  # of a series that ends where the data says; of times there are fewer
_PARTS_OF_SMALL = 4_000  # bytes of what has no more than _UNKNOWN_ROWS parts, most likely
_ROW_MAKING = frozenset({"generate_subscripts", "json_array_elements", "json_array_elements_text", "json_each",
                         "json_each_text", "json_object_keys", "jsonb_array_elements", "jsonb_array_elements_text",
                         "jsonb_each", "jsonb_each_text", "jsonb_object_keys", "jsonb_path_query", "regexp_matches",
                         "regexp_split_to_table", "string_to_table", "unnest"})  # fmt: skip
_PADDED_TYPES = (exp.DType.CHAR, exp.DType.BIT)
_STEP = re.compile(r"\s*\d{1,5}\s*(hour|day|week|mon|month|year)s?\s*", re.IGNORECASE)
_FORMAT_WIDTH = re.compile(r"%[^%]*?(\*|\d{4,})")
# What ends of a series may be made of when they are no plain numbers: the data and the clock, moved by a little.
_MODEST = (exp.Column, exp.Paren, exp.Cast, exp.DataType, exp.DataTypeParam, exp.Identifier, exp.Literal, exp.Interval,
           exp.Var, exp.Add, exp.Sub, exp.Neg, exp.Extract, exp.CurrentDate, exp.CurrentTimestamp, exp.Localtimestamp,
           exp.Subquery, exp.Select, exp.From, exp.Table, exp.TableAlias, exp.Where, exp.Alias, exp.Limit, exp.Binary,
           exp.Null, exp.Anonymous, exp.Order, exp.Ordered, exp.Join, exp.Filter)  # fmt: skip
_IMMODEST = (exp.Mul, exp.Pow, exp.DPipe, exp.BitwiseLeftShift)
_MODEST_CALLS = frozenset({"age", "ceil", "coalesce", "count", "date", "date_part", "date_trunc", "floor", "greatest",
                           "least", "make_date", "make_interval", "max", "min", "now", "round", "array_length",
                           "cardinality", "jsonb_array_length", "json_array_length", "length"})  # fmt: skip
_MAX_NUMBER_IN_ENDS = 100_000
_LONG_NUMBER = re.compile(r"\d{5}")
_TIMES = frozenset({exp.DType.DATE, exp.DType.INTERVAL, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ})


class TooLarge(Exception):
    """The query could make more of itself than memory holds. `str(error)` names the part, `node` is where it stands."""

    def __init__(self, part: str, node: exp.Expr) -> None:
        super().__init__(part)
        self.node = node


def padding(to: exp.DataType) -> int:
    if to.this not in _PADDED_TYPES:
        return 0
    return max((plain_number(part.this) for part in to.expressions if isinstance(part, exp.DataTypeParam)), default=0)


def rows_of(call: exp.Anonymous, largest_part: int) -> int:
    """How many rows a call in FROM or SELECT makes of arguments of which the largest takes so many bytes."""
    name, parts = call.name.lower(), call.expressions
    if name == "generate_series":
        if _are_numbers(parts):
            return _series_rows(parts)
        return MAX_SERIES_ROWS if any(map(_is_of_time, parts)) else _UNKNOWN_NUMBERS
    if name == "unnest" and all(isinstance(part, exp.Array) for part in parts):
        return max((len(part.expressions) for part in parts), default=1)
    if name not in _ROW_MAKING:
        return 1
    return _UNKNOWN_ROWS if largest_part <= _PARTS_OF_SMALL else largest_part


def _is_of_time(part: exp.Expr) -> bool:
    inner = part.unnest()
    if isinstance(inner, exp.Cast):
        return inner.to.this in _TIMES
    return isinstance(inner, exp.Interval | exp.CurrentDate | exp.CurrentTimestamp) or inner.is_string


def check_counts(node: exp.Anonymous | exp.DataType) -> None:
    """What a call or type says itself of the size of its result."""
    if isinstance(node, exp.DataType):
        if padding(node) > MAX_COUNT:
            raise TooLarge(f"a type of more than {MAX_COUNT} characters that is padded", node)
        return
    name, parts = node.name.lower(), node.expressions
    if name in _CHECKS and not _CHECKS[name](parts):
        raise TooLarge(f"{name} of a size that is not plain or too large", node)


def _has_plain_count(most: int, place: int) -> Callable[[list[exp.Expr]], bool]:
    return lambda parts: len(parts) > place and 0 <= plain_number(parts[place]) <= most


def _is_plain_template(parts: list[exp.Expr]) -> bool:
    return bool(parts) and isinstance(parts[0], exp.Literal) and not _FORMAT_WIDTH.search(parts[0].name)


def _is_plain_series(parts: list[exp.Expr]) -> bool:
    if _are_numbers(parts):
        return _series_rows(parts) <= MAX_SERIES_ROWS
    if len(parts) > 2 and not _is_plain_step(parts[2]):
        return False
    return all(_is_modest(part) for end in parts[:2] for part in end.walk())


def _is_modest(node: exp.Expr) -> bool:
    if isinstance(node, _IMMODEST) or not isinstance(node, _MODEST):
        return False
    if isinstance(node, exp.Anonymous):
        return node.name.lower() in _MODEST_CALLS
    if isinstance(node, exp.Literal):
        if node.is_string:
            return not _LONG_NUMBER.search(node.name)
        return node.name.isdecimal() and int(node.name) <= _MAX_NUMBER_IN_ENDS
    return True


def _is_plain_step(node: exp.Expr) -> bool:
    inner = node.unnest()
    inner = inner.this.unnest() if isinstance(inner, exp.Cast) else inner
    if isinstance(inner, exp.Interval):
        text = inner.this.name + (f" {inner.args['unit'].name}" if isinstance(inner.args.get("unit"), exp.Var) else "")
        return _STEP.fullmatch(text) is not None
    if isinstance(inner, exp.Literal) and inner.is_string:
        return _STEP.fullmatch(inner.name) is not None
    return _signed(inner) is not None


_CHECKS: dict[str, Callable[[list[exp.Expr]], bool]] = {
    "repeat": _has_plain_count(MAX_COUNT, 1),
    "lpad": _has_plain_count(MAX_COUNT, 1),
    "rpad": _has_plain_count(MAX_COUNT, 1),
    "factorial": _has_plain_count(MAX_FACTORIAL, 0),
    "format": _is_plain_template,
    "generate_series": _is_plain_series,
}


def plain_number(node: exp.Expr) -> int:
    """The plain number that a node is, or else more than any bound."""
    is_number = isinstance(node, exp.Literal) and not node.is_string and node.name.isdecimal()
    return int(node.name) if is_number else MORE_THAN_ANY


def _signed(node: exp.Expr) -> float | None:
    inner = node.unnest()
    inner = inner.this.unnest() if isinstance(inner, exp.Cast) else inner
    sign = -1 if isinstance(inner, exp.Neg) else 1
    inner = inner.this.unnest() if isinstance(inner, exp.Neg) else inner
    return sign * float(inner.name) if isinstance(inner, exp.Literal) and not inner.is_string else None


def _are_numbers(parts: Iterable[exp.Expr]) -> bool:
    return all(_signed(part) is not None for part in parts)


def _series_rows(parts: Sequence[exp.Expr]) -> int:
    numbers = [_signed(part) or 0 for part in parts]
    if len(numbers) < 2:
        return MORE_THAN_ANY
    step = numbers[2] if len(numbers) > 2 else 1
    return int(abs(numbers[1] - numbers[0]) / abs(step)) + 1 if step else 1
