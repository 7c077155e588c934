"""Two results are compared as the scorer of the evaluation data compares them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.quality.row_comparison import EXACT, NONE, SUBSET, Agreement, Rows, compare


@pytest.mark.parametrize(
    ("expected", "found", "agreement"),
    [
        ([], [], EXACT),
        ([(1,)], [], NONE),
        ([(1, "a"), (2, "b")], [("b", 2), ("a", 1)], EXACT),
        ([(1,), (1,)], [(1,)], SUBSET),
        ([(1,)], [(1,), (1,)], SUBSET),
        ([(1,), (2,)], [(1,)], NONE),
        ([("a",)], [("a", 7)], SUBSET),
        ([("a", 7)], [("a",)], NONE),
        ([(1, 2), (2, 1)], [(1, 1), (2, 2)], NONE),
        ([(1, 1)], [(1, 2)], NONE),
        ([(None,)], [(None,)], EXACT),
        ([(None,)], [(0,)], NONE),
    ],
)
def test_columns_and_rows_count_in_any_order(expected: Rows, found: Rows, agreement: Agreement) -> None:
    assert compare(expected, found, ordered=False) == agreement


@pytest.mark.parametrize(
    ("one", "other", "are_alike"),
    [
        (Decimal("33.333333"), 33.33, True),
        (33.33, 33.34, False),
        (1_000_000, 1_000_099, True),
        (7, "7", True),
        (7, "007", False),
        (True, 1, True),
        (datetime(2025, 3, 1), date(2025, 3, 1), True),
        (datetime(2025, 3, 1, 12, tzinfo=UTC), "2025-03-01T12:00:00Z", True),
        (datetime(2025, 3, 1, 12), "2025-03-01", False),
        (timedelta(hours=1), 3600, True),
        ([1, 2], [1, 2], True),
        (b"\x0a", "0a", True),
        ("Rome", " Rome ", True),
        ("Rome", "rome", False),
    ],
)
def test_values_are_alike_when_they_say_the_same(one: object, other: object, are_alike: bool) -> None:
    assert (compare([(one,)], [(other,)], ordered=False) == EXACT) is are_alike


@pytest.mark.parametrize(
    ("expected", "found", "agreement"),
    [
        ([(1,), (2,), (3,)], [(3,), (2,), (1,)], NONE),
        ([(3, "c"), (2, "b"), (2, "a")], [(3, "c"), (2, "a"), (2, "b")], EXACT),
        ([("b", 1), ("c", 2), ("a", 3)], [("c", 2), ("b", 1), ("a", 3)], NONE),
    ],
)
def test_where_order_counts_ties_may_stand_in_any(expected: Rows, found: Rows, agreement: Agreement) -> None:
    assert compare(expected, found, ordered=True) == agreement


def test_numbers_that_are_nearly_equal_are_paired_however_they_sort() -> None:
    expected = [(1.001, "b"), (1.002, "a")]
    found = [(1.002, "b"), (1.001, "a")]

    assert compare(expected, found, ordered=False) == EXACT
