"""A queue whose destination the test holds in its hand."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence

import pytest

from services.transport import export_queue
from services.transport.export_queue import MAX_WAITING, ExportFailed, ExportQueue

LONG = 30.0  # a wait that ends as soon as what it waits for has come


class Place:
    """Where batches go: it takes them at once, or when it is let go on, or never."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.fails_with: Exception | None = None
        self.is_open = threading.Event()
        self.is_open.set()
        self.entered = threading.Semaphore(0)

    def export(self, batch: Sequence[int], is_flushed: bool) -> None:
        self.entered.release()
        self.is_open.wait(LONG)
        if self.fails_with is not None:
            raise self.fails_with
        self.batches.append(list(batch))


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def queue(place: Place) -> Iterator[ExportQueue[int]]:
    queue = ExportQueue("place", place.export, ticks=False)
    yield queue
    place.is_open.set()
    queue.stop(LONG)


def test_flushing_sends_what_waits_before_it_returns(queue: ExportQueue[int], place: Place) -> None:
    queue.put(1)
    queue.put(2)

    queue.flush(LONG)

    assert place.batches == [[1, 2]]


def test_flushing_what_is_empty_sends_nothing(queue: ExportQueue[int], place: Place) -> None:
    queue.flush(LONG)
    queue.put(1)
    queue.flush(LONG)
    queue.flush(LONG)

    assert place.batches == [[1]]


def test_many_items_go_in_batches_and_the_oldest_are_dropped(queue: ExportQueue[int], place: Place) -> None:
    for number in range(MAX_WAITING + 10):
        queue.put(number)

    queue.flush(LONG)

    assert [number for batch in place.batches for number in batch] == list(range(10, MAX_WAITING + 10))
    assert max(map(len, place.batches)) == export_queue.MAX_BATCH


def test_a_place_that_hangs_keeps_one_flush_waiting_and_none_after_it(queue: ExportQueue[int], place: Place) -> None:
    place.is_open.clear()
    queue.put(1)
    queue.flush(0.01)
    queue.put(2)

    queue.flush(3_600)  # would outlast the test

    assert place.batches == []
    place.is_open.set()
    queue.stop(LONG)
    assert place.batches == [[1], [2]]


def test_a_failure_is_logged_once_and_nothing_is_sent_for_a_while(
    queue: ExportQueue[int], place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.fails_with = ExportFailed("HTTP 401")
    with caplog.at_level(logging.INFO):
        for number in range(5):
            queue.put(number)
            queue.flush(LONG)

    assert [record.getMessage() for record in caplog.records] == ["telemetry.export_failed"]
    assert (vars(caplog.records[0])["cause"], vars(caplog.records[0])["lost"]) == ("HTTP 401", 1)
    assert place.entered.acquire(timeout=0)
    assert not place.entered.acquire(timeout=0)


def test_after_that_while_what_waited_is_sent(
    queue: ExportQueue[int], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_queue, "SKIPPED_SECONDS", 0.0)
    place.fails_with = OSError("driver text")
    queue.put(1)
    queue.flush(LONG)
    place.fails_with = None
    queue.put(2)

    queue.flush(LONG)

    assert place.batches == [[2]]


def test_a_server_sends_without_being_asked(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_queue, "_TICK_SECONDS", 0.01)
    queue = ExportQueue("place", place.export, ticks=True)

    queue.put(1)
    arrived = place.entered.acquire(timeout=LONG)

    queue.stop(LONG)
    assert arrived
    assert place.batches[0] == [1]


def test_stopping_sends_what_waits(queue: ExportQueue[int], place: Place) -> None:
    queue.put(1)

    queue.stop(LONG)

    assert place.batches == [[1]]
