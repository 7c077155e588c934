"""Notes in alias descriptions: what is written can be read, fits, and is told from what others write."""

from datetime import UTC, datetime

import pytest

from deploy.aws.alias_note import MAX_NOTE_CHARACTERS, AliasNote, Marker, Stamp, State, following, read_note, stamp_of

STAMP = Stamp("4f2c1e", "20261121T102200Z")
LATER = Stamp("x" * 64, "20261122T102200Z")


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("lock", [None, LATER])
def test_a_note_is_read_as_it_was_written(state: State, lock: Stamp | None) -> None:
    note = AliasNote(Marker(STAMP, "7", "8", state), lock=lock)

    assert read_note(str(note)) == note


def test_a_stamp_without_a_marker_is_read_as_it_was_written() -> None:
    assert read_note(str(AliasNote(undone=STAMP))) == AliasNote(undone=STAMP)
    assert read_note(str(AliasNote(lock=STAMP))) == AliasNote(lock=STAMP)
    assert read_note(str(AliasNote())) == AliasNote()


def test_the_longest_note_fits() -> None:
    marker = Marker(Stamp("y" * 64, LATER.at), "9" * 8, "9" * 8, State.ROLLED_BACK)

    assert len(str(AliasNote(marker, lock=LATER, undone=LATER))) <= MAX_NOTE_CHARACTERS


@pytest.mark.parametrize("text", ["", "made by hand", "id=a at=20261121T102200Z from=1 to=2 state=done"])
def test_what_others_write_is_no_note(text: str) -> None:
    assert read_note(text) == AliasNote()


@pytest.mark.parametrize("text", ["diglot id=a at=20261121T102200Z from=1 to=2 state=lost", "diglot id=a from=1"])
def test_a_note_that_was_tampered_with_names_no_release(text: str) -> None:
    assert read_note(text).marker is None


def test_a_stamp_is_later_than_what_is_recorded_even_when_the_clock_is_not() -> None:
    slow = Stamp("next", "20261121T102159Z")

    assert following(slow, [STAMP]) == Stamp("next", "20261121T102201Z")
    assert following(LATER, [STAMP]) == LATER
    assert following(slow, []) == slow


def test_a_stamp_sorts_by_time() -> None:
    early = stamp_of("b", datetime(2026, 11, 21, 9, tzinfo=UTC))
    late = stamp_of("a", datetime(2026, 11, 21, 10, tzinfo=UTC))

    assert max(early, late, key=lambda stamp: stamp.at) is late
