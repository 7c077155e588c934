"""How the bench tells our own time from the time of the parts that work for a question."""

import pytest

from tests.performance.query import covered


@pytest.mark.parametrize(
    ("spans", "nanoseconds"),
    [
        ([], 0),
        ([(12, 15)], 3),
        ([(12, 15), (13, 18)], 6),
        ([(12, 18), (13, 14)], 6),
        ([(5, 12), (18, 30)], 4),
        ([(1, 2), (25, 30)], 0),
        ([(0, 100)], 10),
    ],
    ids=["none", "one", "overlapping", "nested", "over the edges", "outside", "around"],
)
def test_time_in_which_a_part_works_counts_once_and_only_within_the_window(
    spans: list[tuple[int, int]], nanoseconds: int
) -> None:
    assert covered((10, 20), spans) == nanoseconds
