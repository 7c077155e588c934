"""What this process wrote lately, held against reads that lag behind writes."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

# Pinecone's reads follow its writes most often within a second.
_REMEMBERED_SECONDS = 20.0


@dataclass(slots=True)
class _Changes:
    noted_at: float = 0
    stored: set[str] = field(default_factory=set)
    deleted_at: dict[str, float] = field(default_factory=dict)


class RecentWrites:
    """Which records were stored or deleted in the last seconds, so that what is read can be put right.

    Times are those of the wall clock, because they are compared with those that records bear.
    """

    def __init__(
        self, *, remembered_seconds: float = _REMEMBERED_SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        self._remembered_seconds = remembered_seconds
        self._clock = clock
        self._changes: OrderedDict[tuple[str, str], _Changes] = OrderedDict()

    def note_stored(self, namespace: str, ids: Iterable[str]) -> None:
        for record_id in ids:
            changes = self._touch(namespace, record_id)
            changes.stored.add(record_id)
            changes.deleted_at.pop(record_id, None)

    def note_deleted(self, namespace: str, ids: Iterable[str]) -> None:
        for record_id in ids:
            changes = self._touch(namespace, record_id)
            changes.stored.discard(record_id)
            changes.deleted_at[record_id] = changes.noted_at

    def stored(self, namespace: str, prefix: str) -> frozenset[str]:
        """The ids of one prefix that are there, whether they are listed or not yet."""
        changes = self._changes.get((namespace, _prefix(prefix)))
        return frozenset(changes.stored) if changes else frozenset()

    def is_deleted(self, namespace: str, record_id: str, *, written: float = 0) -> bool:
        """Whether a record that a read still shows is gone; one that was written after it was deleted is not."""
        changes = self._changes.get((namespace, _prefix(record_id)))
        return changes is not None and changes.deleted_at.get(record_id, float("-inf")) >= written

    def _touch(self, namespace: str, record_id: str) -> _Changes:
        now = self._clock()
        key = (namespace, _prefix(record_id))
        changes = self._changes.setdefault(key, _Changes())
        changes.noted_at = now
        self._changes.move_to_end(key)
        while next(iter(self._changes.values())).noted_at + self._remembered_seconds < now:
            self._changes.popitem(last=False)
        return changes


def _prefix(record_id: str) -> str:
    return record_id.partition("#")[0]
