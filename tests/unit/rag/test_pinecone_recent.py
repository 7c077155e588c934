"""What a process wrote lately is held against reads that lag behind."""

from services.rag.adapters.pinecone_recent import RecentWrites


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_what_was_stored_is_there_and_what_was_deleted_is_gone() -> None:
    recent = RecentWrites()

    recent.note_stored("red", ["doc#1", "doc#2", "other#1"])
    recent.note_deleted("red", ["doc#1"])

    assert recent.stored("red", "doc#") == {"doc#2"}
    assert [recent.is_deleted("red", name) for name in ("doc#1", "doc#2", "doc#3")] == [True, False, False]
    assert (recent.stored("blue", "doc#"), recent.is_deleted("blue", "doc#1")) == (frozenset(), False)


def test_what_is_stored_again_is_there_again() -> None:
    recent = RecentWrites()
    recent.note_deleted("red", ["doc#1"])

    recent.note_stored("red", ["doc#1"])

    assert recent.stored("red", "doc#") == {"doc#1"}
    assert not recent.is_deleted("red", "doc#1")


def test_what_another_process_stored_after_our_deletion_is_there() -> None:
    clock = Clock()
    recent = RecentWrites(clock=clock)
    recent.note_deleted("red", ["doc#1"])

    assert recent.is_deleted("red", "doc#1", written=clock.now - 1)
    assert not recent.is_deleted("red", "doc#1", written=clock.now + 1)


def test_everything_is_forgotten_after_a_while() -> None:
    clock = Clock()
    recent = RecentWrites(remembered_seconds=20, clock=clock)
    recent.note_stored("red", ["doc#1"])
    recent.note_deleted("red", ["old#1"])
    clock.now += 15
    recent.note_stored("red", ["doc#2"])

    clock.now += 15
    recent.note_stored("red", ["new#1"])

    assert recent.stored("red", "doc#") == {"doc#1", "doc#2"}
    assert not recent.is_deleted("red", "old#1")
    clock.now += 21
    recent.note_stored("red", ["newer#1"])
    assert recent.stored("red", "doc#") == recent.stored("red", "new#") == frozenset()
