from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.transport.deadlines import call_timeout_seconds, enter_served_call, inside_served_call, swap_served_call


@pytest.fixture(autouse=True)
def _outside() -> Iterator[None]:
    swap_served_call(None)
    yield
    swap_served_call(None)


def test_outside_a_served_call_the_caller_chooses() -> None:
    assert call_timeout_seconds(None, 30) == 30
    assert call_timeout_seconds(100, 30) == 100
    assert not inside_served_call()


def test_inside_a_served_call_a_little_of_its_time_is_kept_back() -> None:
    enter_served_call(10)

    assert 9.8 < call_timeout_seconds(None, 30) < 9.95
    assert call_timeout_seconds(2, 30) == 2
    assert inside_served_call()


def test_the_margin_of_a_short_call_is_a_share_of_it() -> None:
    enter_served_call(0.2)

    assert 0.17 < call_timeout_seconds(None, 30) <= 0.19


@pytest.mark.parametrize("remaining_seconds", [None, 1e10])
def test_a_served_call_without_a_deadline_leaves_the_default(remaining_seconds: float | None) -> None:
    enter_served_call(remaining_seconds)

    assert call_timeout_seconds(None, 30) == 30
    assert inside_served_call()


def test_no_time_left_is_negative() -> None:
    enter_served_call(-1)

    assert call_timeout_seconds(5, 30) == -1
    assert call_timeout_seconds(0, 30) == -1
