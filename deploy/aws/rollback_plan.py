"""What a rollback would do, told before it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from deploy.aws.alias_note import AliasNote, Marker, State, following, stamp_of
from deploy.aws.aliases import LiveAlias
from deploy.aws.history import latest_release, recorded_stamps
from deploy.aws.parts import ORDER, function_name
from deploy.aws.release_errors import FunctionMissing, ImageMissing, ReleaseUnderWay
from deploy.aws.versions import Versions


@dataclass(frozen=True)
class Move:
    """An alias, and where it goes."""

    alias: LiveAlias
    version: str
    note: AliasNote


@dataclass(frozen=True)
class RollbackPlan:
    """Moves in their order. `undoes` is the release that is taken back, lock and all; empty for other moves."""

    title: str
    moves: Sequence[Move] = ()
    undoes: str = ""

    @property
    def anything(self) -> bool:
        """Whether there is something to do."""
        return bool(self.moves or self.undoes)

    def require_versions(self, versions: Versions, prefix: str) -> None:
        """Raises ImageMissing: AWS no longer has a version of the plan. AwsRefused."""
        for move in self.moves:
            part = move.alias.part
            if move.alias.version != move.version and not versions.exists(part, move.version):
                published = ", ".join(versions.published(part)) or "none"
                raise ImageMissing(
                    f"{function_name(prefix, part)} has no version {move.version}; it has {published}. "
                    f"Choose with --to-version {part}=N"
                )


def backward(live: Mapping[str, LiveAlias], release_id: str) -> RollbackPlan:
    """Take a release back, the latest one unless named. Raises ImageMissing, ReleaseUnderWay."""
    latest = latest_release(live)
    if latest is None:
        if release_id:
            return RollbackPlan(f"release {release_id} has left no trace on these functions")
        raise ImageMissing(
            "no release has been recorded on these functions, so there is no version before: "
            "choose with --to-version, for example --to-version rag=7 gateway=7"
        )
    wanted = release_id or latest.stamp.id
    moves = [
        Move(alias, marker.before, replace(alias.note, marker=marker.now(State.ROLLED_BACK)))
        for alias, marker in _marked(live, wanted)
        if marker.state is not State.ROLLED_BACK
    ]
    locked = any(alias.note.lock is not None and alias.note.lock.id == wanted for alias in live.values())
    if not moves and not locked:
        further = "" if release_id else "; to go back further, name a release (--release-id) or versions (--to-version)"
        return RollbackPlan(f"release {wanted} holds no function now{further}")
    if wanted != latest.stamp.id and latest.markers:
        raise ReleaseUnderWay(
            f"release {latest.stamp.id} came after {wanted} and moved some of the same functions: choose versions with "
            "--to-version instead"
        )
    # Callers first, as undo does it.
    return RollbackPlan(f"take back release {wanted}", tuple(reversed(moves)), undoes=wanted)


def forward(live: Mapping[str, LiveAlias], release_id: str) -> RollbackPlan:
    """Bring a release that was taken back again to its callers. Raises ReleaseUnderWay."""
    latest = latest_release(live)
    wanted = release_id or (latest.stamp.id if latest else "")
    if latest is not None and (latest.stamp.id != wanted or any(alias.note.lock for alias in live.values())):
        raise ReleaseUnderWay(
            f"release {latest.stamp.id} is the latest, and {wanted} cannot be brought back over it: "
            "choose versions with --to-version"
        )
    moves = [
        Move(alias, marker.after, replace(alias.note, marker=marker.now(State.DONE)))
        for alias, marker in _marked(live, wanted)
        if marker.state is State.ROLLED_BACK
    ]
    if not moves:
        return RollbackPlan("no release that was taken back is the latest")
    return RollbackPlan(f"bring back release {wanted}", moves)


def to_versions(live: Mapping[str, LiveAlias], versions: Mapping[str, str], now: datetime) -> RollbackPlan:
    """Put functions on versions of somebody's choice. Raises FunctionMissing."""
    stamp = following(stamp_of(f"by-hand-{now:%Y%m%dT%H%M%SZ}", now), recorded_stamps(live))
    absent = [part for part in versions if part not in live]
    if absent:
        raise FunctionMissing(f"--to-version names {absent[0]}, and there is no such function in this stack")
    moves = [
        Move(
            live[part],
            versions[part],
            _by_hand(live[part], Marker(stamp, live[part].version, versions[part], State.DONE)),
        )
        for part in ORDER
        if part in versions and (live[part].version != versions[part] or live[part].weights)
    ]
    wanted = ", ".join(f"{part}={version}" for part, version in versions.items())
    return RollbackPlan(f"put functions on versions {wanted}" if moves else f"the functions are on {wanted}", moves)


def _by_hand(alias: LiveAlias, marker: Marker) -> AliasNote:
    return replace(alias.note, marker=marker)


def _marked(live: Mapping[str, LiveAlias], release_id: str) -> list[tuple[LiveAlias, Marker]]:
    """Aliases that a release has moved, callees first."""
    found = ((alias, alias.note.marker) for alias in live.values())
    return [(alias, marker) for alias, marker in found if marker is not None and marker.stamp.id == release_id]
