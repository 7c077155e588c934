"""What the aliases' notes tell together: which release is the latest, and whether it ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deploy.aws.alias_note import Marker, Stamp, State
from deploy.aws.aliases import LiveAlias


@dataclass(frozen=True)
class LatestRelease:
    """The last release that touched the stack.

    `open` when it neither reached all of its functions nor was taken back from all of them: it is under way, or was
    killed. `markers` are by part; empty when it never reached an alias.
    """

    stamp: Stamp
    markers: Mapping[str, Marker]
    open: bool


def recorded_stamps(aliases: Mapping[str, LiveAlias]) -> list[Stamp]:
    """Every release that the notes name."""
    notes = [alias.note for alias in aliases.values()]
    return [
        stamp
        for note in notes
        for stamp in (note.marker.stamp if note.marker else None, note.lock, note.undone)
        if stamp is not None
    ]


def latest_release(aliases: Mapping[str, LiveAlias]) -> LatestRelease | None:
    """None: no release has been recorded on these aliases."""
    notes = {part: alias.note for part, alias in aliases.items()}
    stamps = recorded_stamps(aliases)
    locks = [note.lock for note in notes.values() if note.lock]
    if not stamps:
        return None
    # The one that holds the lock wins over whatever clocks say.
    stamp = locks[0] if locks else _unfinished(aliases.values()) or max(stamps, key=lambda stamp: stamp.at)
    markers = {part: note.marker for part, note in notes.items() if note.marker and note.marker.stamp == stamp}
    ended = {marker.state for marker in markers.values()} in ({State.DONE}, {State.ROLLED_BACK}, set())
    return LatestRelease(stamp, markers, open=bool(locks) or not ended)


def _unfinished(aliases: Iterable[LiveAlias]) -> Stamp | None:
    markers = (alias.note.marker for alias in aliases)
    return next((mark.stamp for mark in markers if mark and mark.state in (State.CANARY, State.SHIFTED)), None)
