"""A release that ends in the middle, at every step there is: rollback needs nothing but what AWS holds."""

import os
import signal
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from tests.integration.deploy.stack import Stack, everywhere
from tests.lambda_api import Faults

# Lock; image and version of two functions; canary, shift and done of both, the gateway's done with the lock.
TWO = ("rag", "gateway")
WRITES_OF_TWO = 1 + 2 * 2 + 3 * 2
# The same for all six.
WRITES_OF_ALL = 1 + 2 * 6 + 3 * 6


def at_write(number: int, action: Callable[[], None]) -> Callable[[str, str], None]:
    """A hook that acts at the n-th write, counted from 1."""
    seen = SimpleNamespace(writes=0)

    def hook(operation: str, name: str) -> None:
        seen.writes += 1
        if seen.writes == number:
            action()

    return hook


def test_the_steps_below_are_all_there_are(stack: Stack) -> None:
    stack.release(services=TWO)
    assert len(stack.api.writes) == WRITES_OF_TWO

    stack.api.writes.clear()
    stack.push(build=3)
    stack.release(build=3, name="three")
    assert len(stack.api.writes) == WRITES_OF_ALL


@pytest.mark.parametrize("step", range(1, WRITES_OF_TWO + 1))
def test_a_release_killed_at_any_step_is_taken_back_by_rollback(stack: Stack, step: int) -> None:
    process = stack.release_process(services=TWO)
    stack.faults.after_write = at_write(step, lambda: os.kill(process.pid, signal.SIGKILL))

    with process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    stack.faults.after_write = Faults().after_write

    assert (stack.rollback().code, stack.api.state, stack.api.dangling()) == (0, everywhere("1"), [])
    assert (stack.rollback().code, stack.api.state) == (0, everywhere("1"))
    assert stack.release(services=TWO, name="next").code == 0


# Images and versions of one function after another are alike: the first function stands for all.
@pytest.mark.parametrize("step", [1, 2, 3, *range(13, WRITES_OF_ALL + 1)])
def test_a_release_that_loses_the_network_at_any_step_is_taken_back_by_rollback(stack: Stack, step: int) -> None:
    stack.release_is_impatient()

    def cut() -> None:
        stack.faults.unreachable = True

    stack.faults.after_write = at_write(step, cut)
    ran = stack.release("--watch-seconds", "0")
    # The answer to the last call got through: the release has ended well, and is taken back as any other.
    assert ran.code == (0 if step == WRITES_OF_ALL else 3)
    stack.faults.unreachable = False

    assert stack.rollback().code == 0
    assert (stack.api.state, stack.api.dangling()) == (everywhere("1"), [])


@pytest.mark.parametrize("step", range(1, 7))
def test_a_rollback_that_ends_in_the_middle_is_finished_by_the_next_one(stack: Stack, step: int) -> None:
    stack.release()
    stack.release_is_impatient()

    def cut() -> None:
        stack.faults.unreachable = True

    stack.faults.after_write = at_write(step, cut)
    stack.rollback()
    stack.faults.unreachable = False
    between = stack.release(name="too-early")

    assert between.code == (0 if step == 6 else 2)
    if step < 6:
        assert stack.rollback().code == 0
        assert (stack.api.state, stack.api.dangling()) == (everywhere("1"), [])


def test_a_killed_release_keeps_others_out_until_it_is_taken_back(stack: Stack) -> None:
    process = stack.release_process(services=TWO)
    stack.faults.after_write = at_write(2, lambda: os.kill(process.pid, signal.SIGKILL))
    with process:
        process.communicate(timeout=60)

    refused = stack.release(name="next")

    assert refused.code == 2
    assert "release two, begun" in refused.err
    assert "python -m deploy.aws.rollback --prefix diglot" in refused.err
