"""Which release is the latest, and whether it ended, from the aliases' notes alone."""

from deploy.aws.alias_note import AliasNote, Marker, Stamp, State
from deploy.aws.aliases import LiveAlias
from deploy.aws.history import latest_release

ONE, TWO, THREE = (Stamp(name, f"2026112{day}T100000Z") for day, name in enumerate(("one", "two", "three")))


def aliases(**notes: AliasNote) -> dict[str, LiveAlias]:
    return {part: LiveAlias(part, "2", {}, note, "r") for part, note in notes.items()}


def marked(stamp: Stamp, state: State, **more: Stamp) -> AliasNote:
    return AliasNote(Marker(stamp, "1", "2", state), **more)


def test_aliases_without_notes_have_no_release() -> None:
    assert latest_release(aliases(rag=AliasNote(), gateway=AliasNote())) is None


def test_the_newest_one_is_the_latest_and_only_its_functions_belong_to_it() -> None:
    latest = latest_release(aliases(rag=marked(TWO, State.DONE), gateway=marked(ONE, State.DONE)))

    assert latest is not None
    assert (latest.stamp, list(latest.markers), latest.open) == (TWO, ["rag"], False)


def test_a_canary_or_a_half_done_shift_is_open() -> None:
    for state in (State.CANARY, State.SHIFTED):
        latest = latest_release(aliases(rag=marked(TWO, state), gateway=marked(ONE, State.DONE)))
        assert latest is not None
        assert (latest.stamp, latest.open) == (TWO, True)


def test_a_release_that_is_back_in_part_is_open() -> None:
    latest = latest_release(aliases(rag=marked(TWO, State.DONE), gateway=marked(TWO, State.ROLLED_BACK)))

    assert latest is not None
    assert latest.open


def test_the_holder_of_the_lock_is_the_latest_whatever_the_clocks_say() -> None:
    latest = latest_release(aliases(rag=marked(THREE, State.DONE), gateway=marked(THREE, State.DONE, lock=ONE)))

    assert latest is not None
    assert (latest.stamp, latest.markers, latest.open) == (ONE, {}, True)


def test_a_release_that_ended_before_it_reached_anybody_is_the_latest_and_ended() -> None:
    latest = latest_release(aliases(rag=marked(ONE, State.DONE), gateway=marked(ONE, State.DONE, undone=TWO)))

    assert latest is not None
    assert (latest.stamp, latest.markers, latest.open) == (TWO, {}, False)
