"""What a release writes into the description of an alias, so that anybody can undo it later without knowing anything.

    diglot id=4f2c1e at=20261121T102200Z from=7 to=8 state=canary lock=4f2c1e@20261121T102200Z

An alias' versions, weights and description change in one call to AWS, so that note and routing never disagree.

`state`: canary (a share of the calls goes to `to`), shifted (all of them), done (so does every other function of the
release), rolled_back (all calls go to `from` again).
The gateway's alias also carries `lock`, from a release's first step to its last, and `undone`, the last release that
ended without having reached callers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

MAX_NOTE_CHARACTERS = 256  # AWS's limit for a description
RELEASE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_TIME = "%Y%m%dT%H%M%SZ"
_MARKER = re.compile(
    r"\bid=(?P<id>[A-Za-z0-9._-]{1,64}) at=(?P<at>\d{8}T\d{6}Z) "
    r"from=(?P<before>\d+) to=(?P<after>\d+) state=(?P<state>[a-z_]+)"
)
_STAMP = r"\b{word}=(?P<id>[A-Za-z0-9._-]{{1,64}})@(?P<at>\d{{8}}T\d{{6}}Z)"
_LOCK = re.compile(_STAMP.format(word="lock"))
_UNDONE = re.compile(_STAMP.format(word="undone"))


class State(Enum):
    """How far a release has come on one alias."""

    CANARY = "canary"
    SHIFTED = "shifted"
    DONE = "done"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True)
class Stamp:
    """A release and when it began (UTC, sortable as text)."""

    id: str
    at: str

    def __str__(self) -> str:
        return f"{self.id}@{self.at}"


@dataclass(frozen=True)
class Marker:
    """What a release did to one alias."""

    stamp: Stamp
    before: str
    after: str
    state: State

    def __str__(self) -> str:
        stamp = self.stamp
        return f"id={stamp.id} at={stamp.at} from={self.before} to={self.after} state={self.state.value}"

    def now(self, state: State) -> Marker:
        """The same in another state."""
        return replace(self, state=state)


@dataclass(frozen=True)
class AliasNote:
    """Everything an alias' description tells."""

    marker: Marker | None = None
    lock: Stamp | None = None
    undone: Stamp | None = None

    def __str__(self) -> str:
        words = ["diglot"]
        words += [str(self.marker)] if self.marker else []
        words += [f"lock={self.lock}"] if self.lock else []
        words += [f"undone={self.undone}"] if self.undone and not self.lock else []
        return " ".join(words)


def stamp_of(release_id: str, began: datetime) -> Stamp:
    """Raises ValueError: an id that does not fit into a note."""
    if not RELEASE_ID.fullmatch(release_id):
        raise ValueError(
            f"--release-id {release_id!r} must be up to 64 of letters, digits, '.', '_' and '-', such as a commit"
        )
    return Stamp(release_id, began.strftime(_TIME))


def following(stamp: Stamp, earlier: Iterable[Stamp]) -> Stamp:
    """The stamp, moved behind all earlier ones should a clock be slow, or the same second hold both."""
    last = max((each.at for each in earlier), default="")
    if stamp.at > last:
        return stamp
    return replace(stamp, at=f"{datetime.strptime(last, _TIME) + timedelta(seconds=1):{_TIME}}")


def read_note(description: str) -> AliasNote:
    """A description as AWS returned it; one that is not ours is an empty note."""
    if not description.startswith("diglot"):
        return AliasNote()
    return AliasNote(_marker(description), _stamp(_LOCK, description), _stamp(_UNDONE, description))


def _marker(description: str) -> Marker | None:
    found = _MARKER.search(description)
    if found is None or found["state"] not in {state.value for state in State}:
        return None
    return Marker(Stamp(found["id"], found["at"]), found["before"], found["after"], State(found["state"]))


def _stamp(pattern: re.Pattern[str], description: str) -> Stamp | None:
    found = pattern.search(description)
    return Stamp(found["id"], found["at"]) if found else None
