"""Releases: all functions shift or none, whatever goes wrong on the way."""

import signal
from collections import Counter

import pytest

from tests.integration.deploy.stack import Stack, everywhere


def test_a_release_puts_every_function_on_its_image_by_digest_and_says_so(stack: Stack) -> None:
    ran = stack.release()

    assert (ran.code, stack.api.state) == (0, everywhere("2"))
    images = {name: function.versions["2"] for name, function in stack.api.functions.items()}
    assert images["diglot-rag"].endswith(f"/diglot-rag@{stack.digests['rag', 2]}")
    assert images["diglot-images"] == images["diglot-ingest"]
    assert ran.out.splitlines()[0].split() == ["FUNCTION", "BEFORE", "NOW"]
    assert "diglot-gateway  1       2" in ran.out.splitlines()


def test_callees_shift_before_their_callers_in_every_stage(stack: Stack) -> None:
    stack.release()

    moves = [name for operation, name in stack.api.writes if operation == "UpdateAlias"]
    order = [f"diglot-{part}" for part in ("rag", "sql", "ingest", "images", "router", "gateway")]
    assert moves == ["diglot-gateway", *order, *order, *order]


def test_the_canary_gets_its_share_of_the_calls_first(stack: Stack) -> None:
    seen: list[dict[str, float]] = []
    stack.faults.after_write = lambda operation, name: seen.append(dict(stack.api.functions[name].weights))

    stack.release("--canary-percent", "10", "--watch-seconds", "60")

    assert seen.count({"2": 0.1}) == 6
    assert sum(stack.clock.slept) == 60


def test_a_release_without_canary_shifts_at_once(stack: Stack) -> None:
    seen: list[dict[str, float]] = []
    stack.faults.after_write = lambda operation, name: seen.append(dict(stack.api.functions[name].weights))

    ran = stack.release("--canary-percent", "0")

    assert (ran.code, stack.api.state) == (0, everywhere("2"))
    assert not any(seen)


def test_every_new_version_is_asked_before_callers_reach_it(stack: Stack) -> None:
    asked_by_then: list[list[str]] = []

    def look(operation: str, name: str) -> None:
        if operation == "UpdateAlias" and stack.api.functions["diglot-rag"].weights and not asked_by_then:
            asked_by_then.extend(list(function.invoked) for function in stack.api.functions.values())

    stack.faults.after_write = look
    stack.release()

    assert asked_by_then
    assert all(set(qualifiers) == {"2"} for qualifiers in asked_by_then)


def test_images_that_are_live_already_move_no_alias(stack: Stack) -> None:
    stack.release()
    moves_before = stack.api.functions["diglot-rag"].revision

    ran = stack.release(name="again")

    assert (ran.code, stack.api.state) == (0, everywhere("2"))
    assert stack.api.functions["diglot-rag"].revision == moves_before
    assert ran.out.count("(unchanged)") == 6


def test_a_name_is_not_given_to_two_releases(stack: Stack) -> None:
    stack.release()
    stack.push(build=3)
    stack.api.writes.clear()

    ran = stack.release(build=3)

    assert (ran.code, stack.api.writes) == (2, [])
    assert "there was a release two already: choose another --release-id" in ran.err


def test_a_release_of_one_part_leaves_the_others_alone(stack: Stack) -> None:
    ran = stack.release(services=["rag"])

    assert ran.code == 0
    assert stack.api.state == {**everywhere("1"), "diglot-rag": ("2", {})}


def test_a_stack_without_the_images_function_is_released_without_it(stack: Stack) -> None:
    del stack.api.functions["diglot-images"]

    ran = stack.release()

    assert ran.code == 0
    assert {version for version, _ in stack.api.state.values()} == {"2"}


def test_an_update_in_progress_is_waited_for(stack: Stack) -> None:
    stack.faults.conflicting = Counter(UpdateFunctionCode=2, PublishVersion=1)
    stack.faults.slow_updates = 3

    ran = stack.release()

    assert (ran.code, stack.api.state) == (0, everywhere("2"))
    assert stack.clock.slept


def test_throttled_calls_are_made_again(stack: Stack) -> None:
    stack.faults.throttled = Counter(UpdateAlias=1, PublishVersion=1)

    assert stack.release().code == 0


@pytest.mark.parametrize("operation", ["UpdateFunctionCode", "PublishVersion", "UpdateAlias"])
def test_a_call_whose_answer_is_lost_is_not_done_twice(stack: Stack, operation: str) -> None:
    stack.faults.lost_replies = Counter({operation: 1})

    ran = stack.release()

    assert (ran.code, stack.api.state) == (0, everywhere("2"))
    assert {len(function.versions) for function in stack.api.functions.values()} == {2}


@pytest.mark.parametrize("part", ["rag", "images", "gateway"])
def test_a_version_that_crashes_reaches_nobody(stack: Stack, part: str) -> None:
    service = "ingest" if part == "images" else part
    stack.faults.crashing.add(stack.digests[service, 2])

    ran = stack.release()

    assert (ran.code, stack.api.state) == (1, everywhere("1"))
    assert not any(function.weights for function in stack.api.functions.values())
    assert "exit status 1" in ran.err
    assert f"/aws/lambda/diglot-{service}" in ran.err


@pytest.mark.parametrize(("part", "told"), [("sql", "says that it does not serve"), ("gateway", "/health with 503")])
def test_a_version_that_answers_but_does_not_serve_reaches_nobody(stack: Stack, part: str, told: str) -> None:
    stack.faults.not_serving.add(stack.digests[part, 2])

    ran = stack.release()

    assert (ran.code, stack.api.state) == (1, everywhere("1"))
    assert told in ran.err


def test_an_image_that_lambda_cannot_set_up_reaches_nobody(stack: Stack) -> None:
    stack.faults.broken_setup.add(stack.digests["router", 2])

    ran = stack.release()

    assert (ran.code, stack.api.state) == (1, everywhere("1"))
    assert "diglot-router" in ran.err
    assert "entry point is not an executable" in ran.err


def test_callers_errors_during_the_canary_take_everything_back_and_tell_people(stack: Stack) -> None:
    topic_arn, mail = stack.topic()
    stack.count("rag", "2", calls=200, failed=3)

    ran = stack.release("--max-error-rate", "0.01", "--sns-topic-arn", topic_arn)

    assert (ran.code, stack.api.state) == (1, everywhere("1"))
    assert "3 of 200 calls to diglot-rag version 2 failed (1.5%, allowed 1.0%)" in ran.err
    (message,) = mail()
    assert message["Subject"] == "diglot: release two failed, rolled back"
    assert "3 of 200 calls" in message["Message"]


def test_errors_that_are_borne_and_errors_of_the_former_version_stop_nothing(stack: Stack) -> None:
    stack.count("rag", "2", calls=200, failed=2)
    stack.count("rag", "1", calls=10, failed=10)

    assert stack.release("--max-error-rate", "0.01").code == 0


def test_answers_that_turn_bad_without_failing_for_lambda_take_everything_back(stack: Stack) -> None:
    stack.count_requests(requests=100, failed=0, minutes_ago=10)
    stack.count_requests(requests=50, failed=5)

    ran = stack.release()

    assert (ran.code, stack.api.state) == (1, everywhere("1"))
    assert "5 of 50 requests to the URL were answered with 5xx in the canary (10.0%, 0.0% in the hour" in ran.err


def test_answers_that_were_as_bad_before_stop_no_release_that_may_mend_them(stack: Stack) -> None:
    stack.count_requests(requests=100, failed=10, minutes_ago=10)
    stack.count_requests(requests=50, failed=5)

    assert stack.release().code == 0


def test_errors_that_come_late_in_the_watch_are_seen(stack: Stack) -> None:
    sleep = stack.clock.sleep

    def fail_after_a_while(seconds: float) -> None:
        sleep(seconds)
        if stack.clock.now_seconds == 45:
            stack.count("sql", "2", calls=5, failed=5)

    stack.clock.sleep = fail_after_a_while  # type: ignore[method-assign]
    ran = stack.release("--watch-seconds", "120")

    assert (ran.code, stack.api.state) == (1, everywhere("1"))
    assert stack.clock.now_seconds == 45


def test_a_version_that_dies_during_the_canary_is_taken_back_even_when_nobody_calls_it(stack: Stack) -> None:
    def die(seconds: float) -> None:
        stack.faults.crashing.add(stack.digests["router", 2])

    stack.clock.sleep = die  # type: ignore[method-assign]
    ran = stack.release("--watch-seconds", "60")

    assert (ran.code, stack.api.state) == (1, everywhere("1"))


def test_a_second_release_is_refused_while_one_is_under_way(stack: Stack) -> None:
    second: list[int] = []

    def start_another(operation: str, name: str) -> None:
        if (operation, name) == ("PublishVersion", "diglot-sql") and not second:
            second.append(stack.release_elsewhere(name="three", services=["router"]))

    stack.faults.after_write = start_another
    ran = stack.release()

    assert second == [2]
    assert (ran.code, stack.api.state) == (0, everywhere("2"))


def test_of_two_releases_that_start_together_one_wins(stack: Stack) -> None:
    """The other one takes the lock between this one's look at it and its own attempt."""
    won: list[int] = []

    def be_faster(operation: str, name: str) -> None:
        if operation == "UpdateAlias" and not won:
            won.append(-1)
            won[0] = stack.release_elsewhere(name="faster", services=["rag"])

    stack.faults.before_write = be_faster
    ran = stack.release()

    assert won == [0]
    assert ran.code == 1
    assert "changed by somebody else" in ran.err
    assert stack.api.state == {**everywhere("1"), "diglot-rag": ("2", {})}


def test_an_alias_moved_by_hand_during_the_canary_stops_the_release(stack: Stack) -> None:
    def meddle(seconds: float) -> None:
        stack.clock.now_seconds += seconds
        stack.api.functions["diglot-sql"].revision += 1

    stack.clock.sleep = meddle  # type: ignore[method-assign]
    ran = stack.release("--watch-seconds", "15")

    assert (ran.code, stack.api.state) == (1, everywhere("1"))
    assert "alias diglot-sql:live was changed by somebody else" in ran.err


def test_shares_that_no_release_gave_are_not_taken_over(stack: Stack) -> None:
    function = stack.api.functions["diglot-sql"]
    function.versions["9"], function.weights = function.image, {"9": 0.05}

    ran = stack.release()

    assert ran.code == 2
    assert "--to-version sql=1" in ran.err
    assert stack.api.writes == []


def test_a_missing_image_is_refused_before_anything_changes(stack: Stack) -> None:
    ran = stack.release(build=7)

    assert ran.code == 2
    assert "diglot-rag:build-7 does not exist: build and push it first" in ran.err
    assert stack.api.writes == []


def test_a_missing_function_is_refused_before_anything_changes(stack: Stack) -> None:
    ran = stack.release("--prefix", "other")

    assert ran.code == 2
    assert "function other-rag with an alias 'live' does not exist here: check --prefix and AWS_REGION" in ran.err


def test_a_missing_permission_is_named(stack: Stack) -> None:
    stack.faults.denied = {"PublishVersion"}

    ran = stack.release()

    assert (ran.code, stack.api.state) == (1, everywhere("1"))
    assert "may not PublishVersion: allow that action" in ran.err


def test_a_rollback_that_cannot_be_made_is_told_with_the_command_to_run(stack: Stack) -> None:
    topic_arn, mail = stack.topic()

    def cut_off(seconds: float) -> None:
        stack.faults.denied = {"UpdateAlias"}
        stack.faults.crashing.add(stack.digests["rag", 2])

    stack.clock.sleep = cut_off  # type: ignore[method-assign]
    ran = stack.release("--watch-seconds", "15", "--sns-topic-arn", topic_arn)

    assert ran.code == 3
    assert "python -m deploy.aws.rollback --prefix diglot --release-id two" in ran.err
    assert [message["Subject"] for message in mail()] == ["diglot: release two failed, ROLLBACK INCOMPLETE"]


def test_a_stop_signal_during_the_canary_takes_everything_back(stack: Stack) -> None:
    def stop(seconds: float) -> None:
        signal.raise_signal(signal.SIGTERM)

    stack.clock.sleep = stop  # type: ignore[method-assign]
    ran = stack.release("--watch-seconds", "60")

    assert (ran.code, stack.api.state) == (1, everywhere("1"))
    assert "stopped by SIGTERM" in ran.err


def test_after_a_failed_release_the_next_one_works(stack: Stack) -> None:
    stack.count("rag", "2", calls=10, failed=10)
    stack.release()
    stack.push(build=3)

    ran = stack.release(build=3, name="three")

    assert (ran.code, stack.api.state) == (0, everywhere("3"))
