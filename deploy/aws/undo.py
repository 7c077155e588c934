"""Taking a release back: every alias it reached goes to the version that answered before, without shares."""

from __future__ import annotations

import logging
from dataclasses import replace

from deploy.aws.alias_note import State
from deploy.aws.aliases import LiveAlias, LiveAliases
from deploy.aws.parts import LIVE, OPTIONAL, ORDER, function_name
from deploy.aws.release_errors import AliasMoved, FunctionMissing, ImageMissing, ReleaseError, RollbackIncomplete
from deploy.aws.versions import Versions

logger = logging.getLogger(__name__)

_ATTEMPTS = 5


class Undo:
    """Takes releases of one stack back."""

    def __init__(self, aliases: LiveAliases, versions: Versions, prefix: str) -> None:
        self._aliases = aliases
        self._versions = versions
        self._prefix = prefix

    def undo(self, release_id: str) -> list[str]:
        """Take back whatever the release did; returns the parts that were at another version.

        Callers go first, so that none of them meets a callee older than it knows. Nothing is done twice, so it can be
        repeated after it was killed. An alias that cannot be moved does not keep the others from going back.
        Raises RollbackIncomplete.
        """
        undone: list[str] = []
        failures: list[str] = []
        for part in reversed(ORDER):
            try:
                if self._set_back(part, release_id):
                    undone.append(part)
            except ReleaseError as error:
                if isinstance(error, FunctionMissing) and part in OPTIONAL:
                    continue
                logger.error("%s", error)
                failures.append(str(error))
        if not failures:  # The lock keeps other releases out until everything is back.
            try:
                self._unlock(release_id)
            except ReleaseError as error:
                failures.append(str(error))
        if failures:
            raise RollbackIncomplete(
                "not everything is back: " + "; ".join(failures) + ". Then run "
                f"`python -m deploy.aws.rollback --prefix {self._prefix} --release-id {release_id}` again."
            )
        return undone

    def _set_back(self, part: str, release_id: str) -> bool:
        """Whether the alias had to be moved. Raises ReleaseError."""
        for attempt in range(_ATTEMPTS):
            alias = self._aliases.read(part)
            marker = alias.note.marker
            if marker is None or marker.stamp.id != release_id or marker.state is State.ROLLED_BACK:
                return False
            self._require(alias, marker.before)
            note = replace(alias.note, marker=marker.now(State.ROLLED_BACK))
            try:
                self._aliases.move(alias, version=marker.before, weights={}, note=note)
                return True
            except AliasMoved:
                # The release itself may be about to notice; what counts is how the alias stands now.
                if attempt == _ATTEMPTS - 1:
                    raise
        return False

    def _require(self, alias: LiveAlias, version: str) -> None:
        if alias.version == version or self._versions.exists(alias.part, version):
            return
        function = function_name(self._prefix, alias.part)
        published = ", ".join(self._versions.published(alias.part)) or "none"
        raise ImageMissing(
            f"{function} has no version {version} any more, so {function}:{LIVE} stays at {alias.version}; "
            f"choose one of {published} with --to-version {alias.part}=N"
        )

    def _unlock(self, release_id: str) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                alias = self._aliases.read("gateway")
                lock = alias.note.lock
                if lock is None or lock.id != release_id:
                    return
                note = replace(alias.note, lock=None, undone=lock)
                self._aliases.move(alias, version=alias.version, weights=alias.weights, note=note)
                return
            except AliasMoved:
                if attempt == _ATTEMPTS - 1:
                    raise
