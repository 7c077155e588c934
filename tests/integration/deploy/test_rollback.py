"""Rollbacks: back to what was live before and forward again, without being told anything."""

import pytest

from tests.integration.deploy.stack import Stack, everywhere


@pytest.fixture
def released(stack: Stack) -> Stack:
    """A stack on which version 2 has been released everywhere."""
    assert stack.release().code == 0
    stack.api.writes.clear()
    return stack


def test_the_latest_release_is_taken_back_callers_first(released: Stack) -> None:
    ran = released.rollback()

    assert (ran.code, released.api.state) == (0, everywhere("1"))
    order = ["gateway", "router", "images", "ingest", "sql", "rag"]
    assert [name for _, name in released.api.writes] == [f"diglot-{part}" for part in order]
    assert ran.out.splitlines()[-1] == "Done: take back release two"
    assert ran.out.splitlines()[0].split() == ["FUNCTION", "BEFORE", "SHARES", "RELEASE", "STATE", "AFTER"]
    assert "diglot-rag      2       -       two      done   1" in ran.out.splitlines()


def test_taking_back_twice_is_taking_back_once(released: Stack) -> None:
    released.rollback()
    released.api.writes.clear()

    ran = released.rollback()

    assert (ran.code, released.api.state, released.api.writes) == (0, everywhere("1"), [])
    assert "Nothing to do: release two holds no function now" in ran.out


def test_what_was_taken_back_can_be_brought_back_and_taken_back_again(released: Stack) -> None:
    released.rollback()

    forward = released.rollback("--forward")
    assert (forward.code, released.api.state) == (0, everywhere("2"))

    released.rollback()
    assert released.api.state == everywhere("1")


def test_only_the_functions_of_the_latest_release_go_back(released: Stack) -> None:
    released.push(build=3)
    released.release(build=3, name="three", services=["rag"])

    released.rollback()

    assert released.api.state == everywhere("2")


def test_a_dry_run_shows_everything_and_changes_nothing(released: Stack) -> None:
    ran = released.rollback("--dry-run")

    assert (ran.code, released.api.state, released.api.writes) == (0, everywhere("2"), [])
    assert ran.out.splitlines()[-1] == "Would: take back release two"


def test_functions_are_put_on_chosen_versions_and_that_can_be_taken_back(released: Stack) -> None:
    ran = released.rollback("--to-version", "rag=1", "gateway=1")

    assert ran.code == 0
    assert released.api.state == {**everywhere("2"), "diglot-rag": ("1", {}), "diglot-gateway": ("1", {})}

    released.rollback()
    assert released.api.state == everywhere("2")


def test_a_version_that_does_not_exist_is_refused_before_anything_moves(released: Stack) -> None:
    ran = released.rollback("--to-version", "rag=1", "sql=7")

    assert (ran.code, released.api.writes) == (2, [])
    assert "diglot-sql has no version 7; it has 2, 1. Choose with --to-version sql=N" in ran.err


def test_a_release_whose_former_version_was_deleted_is_refused_before_anything_moves(released: Stack) -> None:
    del released.api.functions["diglot-router"].versions["1"]

    ran = released.rollback()

    assert (ran.code, released.api.state, released.api.writes) == (2, everywhere("2"), [])
    assert "diglot-router has no version 1; it has 2" in ran.err


def test_a_release_that_is_not_there_is_not_taken_back(released: Stack) -> None:
    ran = released.rollback("--release-id", "refused")

    assert (ran.code, released.api.state) == (0, everywhere("2"))
    assert "Nothing to do" in ran.out


def test_a_release_that_a_later_one_partly_replaced_is_not_half_taken_back(released: Stack) -> None:
    released.push(build=3)
    released.release(build=3, name="three", services=["rag"])

    ran = released.rollback("--release-id", "two")

    assert (ran.code, released.api.state) == (2, {**everywhere("2"), "diglot-rag": ("3", {})})
    assert "release three came after two" in ran.err


def test_a_release_that_failed_before_callers_felt_it_leaves_the_former_one_to_take_back(released: Stack) -> None:
    released.push(build=3)
    released.faults.crashing.add(released.digests["sql", 3])
    assert released.release(build=3, name="three").code == 1

    assert "Nothing to do: release three holds no function now" in released.rollback().out
    assert released.rollback("--release-id", "two").code == 0
    assert released.api.state == everywhere("1")


def test_a_stack_without_a_recorded_release_asks_for_versions(stack: Stack) -> None:
    ran = stack.rollback()

    assert ran.code == 2
    assert "choose with --to-version, for example --to-version rag=7 gateway=7" in ran.err


def test_people_are_told_what_went_back(released: Stack) -> None:
    topic_arn, mail = released.topic()

    released.rollback("--sns-topic-arn", topic_arn)

    (message,) = mail()
    assert message["Subject"] == "diglot: take back release two"
    assert "diglot-rag" in message["Message"]


def test_a_topic_that_cannot_be_reached_does_not_keep_functions_from_going_back(released: Stack) -> None:
    ran = released.rollback("--sns-topic-arn", "arn:aws:sns:us-east-1:123456789012:nobody")

    assert (ran.code, released.api.state) == (0, everywhere("1"))
    assert "nobody was told" in ran.err


def test_an_alias_that_cannot_be_moved_does_not_keep_the_others(released: Stack) -> None:
    def refuse_sql(operation: str, name: str) -> None:
        if name == "diglot-sql":
            released.faults.conflicting["UpdateAlias"] = 1

    released.faults.before_write = refuse_sql
    ran = released.rollback()

    assert ran.code == 1
    assert released.api.state == {**everywhere("1"), "diglot-sql": ("2", {})}

    released.faults.before_write = lambda operation, name: None
    assert released.rollback().code == 0
    assert released.api.state == everywhere("1")


def test_without_permission_to_look_nothing_is_moved(released: Stack) -> None:
    released.faults.denied = {"GetAlias"}

    ran = released.rollback()

    assert (ran.code, released.api.writes) == (2, [])
    assert "may not GetAlias" in ran.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--to-version", "rag"], "--to-version 'rag' must be NAME=VALUE"),
        (["--to-version", "rag=latest"], "--to-version rag=latest must be a published version's number"),
        (["--to-version", "rag=1", "rag=2"], "--to-version names rag twice"),
        (["--to-version", "rag=1", "--forward"], "leave --forward and --release-id out"),
        (["--release-id", "a b"], "--release-id 'a b'"),
        (["--prefix", "Di glot"], "--prefix 'Di glot'"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused_by_name(stack: Stack, arguments: list[str], told: str) -> None:
    ran = stack.rollback(*arguments)

    assert (ran.code, stack.api.calls) == (2, [])
    assert told in ran.err
