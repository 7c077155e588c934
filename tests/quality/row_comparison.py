"""Whether two results say the same.

Names and order of columns do not count, nor does the order of rows unless the question asks for one. Numbers may differ
by a rounding to two decimals or by 1 in 10,000; a midnight is its date; text that reads as a number is that number.
These are the rules of the scorer that comes with the evaluation data, told there in score_sql.py.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise

Rows = Sequence[Sequence[object]]
Number = float
Value = None | Number | str
"""A value as it is compared."""

_ABSOLUTE, _RELATIVE = 5e-3, 1e-4
_MOST_MAPPINGS = 2_000
_MOST_ROWS_IN_DOUBT = 2_000  # beyond, rows are compared in sorted order alone
_NUMBER = re.compile(r"(?!-?0\d+$)-?\d+(\.\d+)?([eE][-+]?\d+)?")  # 007 is a code
_INSTANT = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(\.\d+)?(?:Z|[+-]00:?00)?")


@dataclass(frozen=True)
class Agreement:
    """How far a result agrees with a right one: to the column, or with further columns and repeated rows beside it."""

    exact: bool
    subset: bool


NONE, SUBSET, EXACT = Agreement(False, False), Agreement(False, True), Agreement(True, True)


def same_rows(expected: Rows, found: Rows, *, ordered: bool = False) -> bool:
    """Whether the expected columns are among those found, with the same rows, in the same order where that counts."""
    return compare(expected, found, ordered=ordered).subset


def compare(expected: Rows, found: Rows, *, ordered: bool) -> Agreement:
    """How far `found` agrees with `expected`."""
    right, given = [[*map(plain, row)] for row in expected], [[*map(plain, row)] for row in found]
    if not right or not given:
        return EXACT if not right and not given else NONE
    width, given_width = len(right[0]), len(given[0])
    if width == given_width and _agrees(right, given, ordered=ordered):
        return EXACT
    if width > given_width:
        return NONE
    few_right, few_given = _once_each(right), _once_each(given)
    pairs = [(right, given), (few_right, given), (right, few_given), (few_right, few_given)]
    return SUBSET if any(_agrees(one, other, ordered=ordered) for one, other in pairs) else NONE


def plain(value: object) -> Value:
    """A value of the database as it is compared."""
    match value:
        case None:
            return None
        case bool() | int() | float() | Decimal():
            number = float(value)
            return None if math.isnan(number) else number
        case timedelta():
            return value.total_seconds()
        case datetime():
            moment = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
            if moment.time() == time():
                return moment.date().isoformat()
            return moment.isoformat(sep=" ", timespec="seconds")
        case date():
            return value.isoformat()
        case time():
            return value.isoformat(timespec="seconds")
        case list() | tuple():
            return json.dumps([str(item) for item in value])
        case bytes() | memoryview():
            return bytes(value).hex()
    return _plain_text(str(value).strip())


def _plain_text(text: str) -> Value:
    if _NUMBER.fullmatch(text):
        return float(text)
    instant = _INSTANT.fullmatch(text)
    if instant is None:
        return text
    day, clock, fraction = instant.groups()
    is_midnight = clock == "00:00:00" and not (fraction or "").strip(".0")
    return day if is_midnight else f"{day} {clock}"


def _near(one: Value, other: Value) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other or abs(one - other) <= max(_ABSOLUTE, _RELATIVE * max(abs(one), abs(other)))
    return one == other


def _rank(value: Value) -> tuple[int, float, str]:
    """Numbers before texts, and what is missing first."""
    match value:
        case None:
            return (0, 0.0, "")
        case float():
            return (1, value, "")
    return (2, 0.0, value)


def _ranks(row: list[Value]) -> list[tuple[int, float, str]]:
    return [_rank(value) for value in row]


def _all_near(one: Sequence[Value], other: Sequence[Value]) -> bool:
    return all(map(_near, one, other))


def _agrees(right: list[list[Value]], given: list[list[Value]], *, ordered: bool) -> bool:
    """Whether some columns of `given`, one for each of `right`, hold the same rows."""
    if len(right) != len(given):
        return False
    for places in _mappings(right, given):
        picked = [[row[place] for place in places] for row in given]
        if _same_multiset(right, picked) and (not ordered or _same_order(right, picked)):
            return True
    return False


def _mappings(right: list[list[Value]], given: list[list[Value]]) -> Iterator[tuple[int, ...]]:
    """Ways to find every column of `right` among those of `given`, each used once; of very many, the first ones."""
    given_columns = [sorted(column, key=_rank) for column in zip(*given, strict=True)]
    alike: list[list[int]] = []
    for column in zip(*right, strict=True):
        in_order = sorted(column, key=_rank)
        alike.append([place for place, other in enumerate(given_columns) if _all_near(in_order, other)])
    left = _MOST_MAPPINGS

    def extend(taken: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        nonlocal left
        if len(taken) == len(alike):
            yield taken
            return
        for place in alike[len(taken)]:
            if place not in taken and left > 0:
                left -= 1
                yield from extend((*taken, place))

    return extend(())


def _same_multiset(right: list[list[Value]], given: list[list[Value]]) -> bool:
    if all(map(_all_near, sorted(right, key=_ranks), sorted(given, key=_ranks))):
        return True
    if len(right) > _MOST_ROWS_IN_DOUBT:
        return False
    # Numbers that are only nearly equal can sort differently on the two sides.
    left = list(given)
    for row in right:
        twin = next((place for place, other in enumerate(left) if _all_near(row, other)), None)
        if twin is None:
            return False
        del left[twin]
    return True


def _same_order(right: list[list[Value]], given: list[list[Value]]) -> bool:
    """Rows one by one, or at least a column that the right rows are sorted by: ties may stand in any order."""
    if all(map(_all_near, right, given)):
        return True
    columns = zip(zip(*right, strict=True), zip(*given, strict=True), strict=True)
    return any(_is_sorted(one) and _all_near(one, other) for one, other in columns)


def _is_sorted(column: Sequence[Value]) -> bool:
    ranks = [_rank(value) for value in column if value is not None]
    pairs = list(pairwise(ranks))
    rises, falls = all(one <= other for one, other in pairs), all(one >= other for one, other in pairs)
    return len(set(ranks)) > 1 and (rises or falls)


def _once_each(rows: list[list[Value]]) -> list[list[Value]]:
    """The first of rows that agree to two decimals and three digits."""
    kept: dict[tuple[object, ...], list[Value]] = {}
    for row in rows:
        kept.setdefault(tuple((f"{v:.3g}", round(v, 2)) if isinstance(v, float) else v for v in row), row)
    return list(kept.values())
