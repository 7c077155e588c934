"""A release: new versions of the functions, tried on a few calls, then on all of them, or on none.

    lock → for each function: image, version → each version answers → canary → watch → shift → done

Callers address the aliases, so that nothing before the canary can be felt, and whatever comes after it is undone by
moving aliases. Each step leaves a note of itself in the call that makes it (alias_note.py): when this is killed,
`undo.Undo` can take it back from what AWS holds alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from deploy.aws.alias_note import Marker, Stamp, State, following
from deploy.aws.aliases import LiveAlias, LiveAliases
from deploy.aws.canary_watch import CanaryWatch
from deploy.aws.history import latest_release, recorded_stamps
from deploy.aws.parts import IMAGE_OF, ORDER
from deploy.aws.release_errors import FunctionMissing, ReleaseRepeated, ReleaseUnderWay
from deploy.aws.version_probe import VersionProbe
from deploy.aws.versions import Versions

logger = logging.getLogger(__name__)

_LOCKED_PART = "gateway"


@dataclass(frozen=True)
class Plan:
    """What to release. `images` are digests' URIs by part; `canary_share` is 0 (no canary) to below 1."""

    stamp: Stamp
    images: Mapping[str, str]
    canary_share: float
    watch_seconds: float


@dataclass(frozen=True)
class Outcome:
    """What became of one function."""

    part: str
    before: str
    after: str


class Release:
    """Releases to one stack."""

    def __init__(
        self, aliases: LiveAliases, versions: Versions, probe: VersionProbe, canary: CanaryWatch, prefix: str
    ) -> None:
        self._aliases = aliases
        self._versions = versions
        self._probe = probe
        self._canary = canary
        self._prefix = prefix
        self._live: dict[str, LiveAlias] = {}

    def prepare(self, parts: Mapping[str, str]) -> list[str]:
        """Read the stack, and return which functions of `parts` there are to release; changes nothing.

        Raises FunctionMissing, ReleaseUnderWay, AwsRefused.
        """
        self._live = self._aliases.read_all()
        latest = latest_release(self._live)
        if latest is not None and latest.open:
            raise ReleaseUnderWay(
                f"release {latest.stamp.id}, begun {latest.stamp.at}, is under way or was interrupted: wait for it, or "
                f"take it back with `python -m deploy.aws.rollback --prefix {self._prefix}`"
            )
        for alias in self._live.values():
            if alias.weights:
                shared = ", ".join(f"version {version}" for version in alias.weights)
                raise ReleaseUnderWay(
                    f"{self._prefix}-{alias.part}:live sends calls to {shared} too, which no release did: decide with "
                    f"`python -m deploy.aws.rollback --prefix {self._prefix} --to-version {alias.part}={alias.version}`"
                )
        absent = [part for part in parts if part not in self._live and part not in IMAGE_OF]
        if absent:
            raise FunctionMissing(f"there is no function {self._prefix}-{absent[0]}")
        return [part for part in ORDER if part in parts and part in self._live]

    def stamped(self, stamp: Stamp) -> Stamp:
        """The release's stamp, later than that of any release `prepare` found. Raises ReleaseRepeated."""
        recorded = recorded_stamps(self._live)
        if stamp.id in {each.id for each in recorded}:
            # Taken back by its name, this one would take the other one along.
            raise ReleaseRepeated(f"there was a release {stamp.id} already: choose another --release-id, or none")
        return following(stamp, recorded)

    def run(self, plan: Plan) -> list[Outcome]:
        """Release what `prepare` found. After any error the release has to be undone. Raises ReleaseError."""
        self._lock(plan.stamp)
        before = {part: self._live[part].version for part in plan.images}
        after = {
            part: self._versions.publish(part, image, f"release {plan.stamp.id}") for part, image in plan.images.items()
        }
        for part, version in after.items():
            self._probe.check(part, version)
            logger.info("%s version %s answers", part, version)
        changed = {part: version for part, version in after.items() if version != before[part]}
        if plan.canary_share and changed:
            for part, version in changed.items():
                self._move(plan, part, before[part], version, State.CANARY)
            self._canary.watch(changed, plan.watch_seconds)
        for part, version in changed.items():
            self._move(plan, part, before[part], version, State.SHIFTED)
        for part, version in changed.items():
            if part != _LOCKED_PART:
                self._move(plan, part, before[part], version, State.DONE)
        self._finish(plan, before, changed)
        return [Outcome(part, before[part], after[part]) for part in after]

    def _lock(self, stamp: Stamp) -> None:
        alias = self._live[_LOCKED_PART]
        note = replace(alias.note, lock=stamp)
        self._live[_LOCKED_PART] = self._aliases.move(alias, version=alias.version, weights={}, note=note)

    def _move(self, plan: Plan, part: str, before: str, after: str, state: State) -> None:
        alias = self._live[part]
        marker = Marker(plan.stamp, before, after, state)
        if state is State.CANARY:
            version, weights = before, {after: plan.canary_share}
        else:
            version, weights = after, {}
        note = replace(alias.note, marker=marker)
        self._live[part] = self._aliases.move(alias, version=version, weights=weights, note=note)

    def _finish(self, plan: Plan, before: Mapping[str, str], changed: Mapping[str, str]) -> None:
        """The last call of a release: with the lock gone it has ended."""
        alias = self._live[_LOCKED_PART]
        marker = alias.note.marker
        if _LOCKED_PART in changed:
            marker = Marker(plan.stamp, before[_LOCKED_PART], changed[_LOCKED_PART], State.DONE)
        undone = None if changed else plan.stamp
        note = replace(alias.note, marker=marker, lock=None, undone=undone)
        self._live[_LOCKED_PART] = self._aliases.move(alias, version=alias.version, weights={}, note=note)


def with_shared_images(images: Mapping[str, str]) -> dict[str, str]:
    """Images by function rather than by repository: some functions run another one's image."""
    wanted = {part: images.get(IMAGE_OF.get(part, part)) for part in ORDER}
    return {part: image for part, image in wanted.items() if image is not None}
