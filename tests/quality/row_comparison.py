"""Whether two results say the same: names and order of columns do not count, numbers may differ by rounding."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import permutations

Rows = Sequence[Sequence[object]]


def _plain(value: object) -> object:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float, Decimal)):
        return float(f"{float(value):.6g}")
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time().isoformat() == "00:00:00" else value.isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)


def same_rows(expected: Rows, found: Rows, *, ordered: bool = False) -> bool:
    """Whether the expected columns are among those found, with the same rows, in the same order where that counts."""
    if len(expected) != len(found):
        return False
    if not expected:
        return True
    wanted = [tuple(_plain(value) for value in row) for row in expected]
    given = [tuple(_plain(value) for value in row) for row in found]
    for places in permutations(range(len(given[0])), len(wanted[0])):
        picked = [tuple(row[place] for place in places) for row in given]
        if picked == wanted or (not ordered and Counter(picked) == Counter(wanted)):
            return True
    return False
