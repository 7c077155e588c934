"""What every queue of jobs does, seen from both its ends."""

import json
from collections.abc import Callable
from typing import Protocol

import pytest

from services.ingest.models import JobMessage
from services.ingest.ports import JobMessages, JobQueue

JOB = "0" * 32
OTHER_JOB = "1" * 32


class BothEnds(JobQueue, JobMessages, Protocol):
    """A queue to send to and to receive from."""


async def received(queue: BothEnds) -> JobMessage:
    for _ in range(3):
        for message in await queue.receive():
            return message
    raise AssertionError("no message came")


class JobQueueContract:
    @pytest.fixture
    def queue(self) -> BothEnds:
        """A queue that sets messages aside after two receives."""
        raise AssertionError("a suite must say which queue it is about")

    @pytest.fixture
    def put_nonsense(self) -> Callable[[str], object]:
        """Sends a message with this body."""
        raise AssertionError("a suite must say how others send to its queue")

    async def test_an_announced_job_is_received_once(self, queue: BothEnds) -> None:
        await queue.announce(JOB)

        message = await received(queue)

        assert (message.job_id, message.receive_count, message.is_last) == (JOB, 1, False)
        assert await queue.receive() == []

    async def test_a_removed_message_does_not_come_again(self, queue: BothEnds) -> None:
        await queue.announce(JOB)
        message = await received(queue)

        await queue.remove(message)
        await queue.remove(message)

        assert await queue.receive() == []

    async def test_a_message_that_is_let_go_comes_again_at_once_and_says_when_it_is_for_the_last_time(
        self, queue: BothEnds
    ) -> None:
        await queue.announce(JOB)
        await queue.keep(await received(queue), seconds=0)

        again = await received(queue)

        assert (again.job_id, again.receive_count, again.is_last) == (JOB, 2, True)

    async def test_a_message_that_is_kept_does_not_come_again_meanwhile(self, queue: BothEnds) -> None:
        await queue.announce(JOB)

        await queue.keep(await received(queue), seconds=500)

        assert await queue.receive() == []

    async def test_a_delayed_message_does_not_come_at_once(self, queue: BothEnds) -> None:
        await queue.announce(JOB, delay_seconds=899.5)
        await queue.announce(OTHER_JOB)

        assert (await received(queue)).job_id == OTHER_JOB
        assert await queue.receive() == []

    @pytest.mark.parametrize("seconds", [-1, 0.2, 10**9])
    async def test_any_delay_and_any_time_is_taken(self, queue: BothEnds, seconds: float) -> None:
        await queue.announce(JOB)
        await queue.keep(await received(queue), seconds=seconds)

        await queue.announce(OTHER_JOB, delay_seconds=seconds)

    @pytest.mark.parametrize(
        "body",
        [
            "",
            "job",
            "[]",
            "{}",
            json.dumps({"job_id": 3}),
            json.dumps({"job_id": "../x"}),
            json.dumps({"job_id": ""}),
            pytest.param("9" * 10_000, id="a-long-number"),
            pytest.param("[" * 100_000, id="nested"),
        ],
    )
    async def test_a_message_that_names_no_job_is_told_as_such(
        self, queue: BothEnds, put_nonsense: Callable[[str], object], body: str
    ) -> None:
        put_nonsense(body or " ")

        assert (await received(queue)).job_id is None
