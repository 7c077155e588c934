"""What is approved, remembered for moments, so that a question of a tenant without training costs nothing."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from services.sql.models import Schema
from services.sql.ports import TrainingStore
from services.sql.query_guard import QueryGuard
from services.sql.training_ddl import DeclaredKey, declared_keys
from services.sql.training_models import TrainingCensus, TrainingItem, TrainingKind, TrainingScope, TrainingState

_REMEMBERED_SCOPES = 16
_REMEMBERED_CHARACTERS = 10_000_000  # of the items of all scopes
_REMEMBERED_VERDICTS = 4_000


@dataclass
class _Remembered:
    census: TrainingCensus
    asked_at: float
    items: tuple[TrainingItem, ...] | None = None
    by_kind: dict[TrainingKind, tuple[TrainingItem, ...]] = field(default_factory=dict)

    @property
    def characters(self) -> int:
        """Length of the items' texts together."""
        return sum(len(item.content.text) + len(item.content.sql) for item in self.items or ())


class ApprovedTraining:
    """Reads approved items. What another process approves is seen `trusted_seconds` later at most."""

    def __init__(
        self,
        store: TrainingStore,
        guard: QueryGuard,
        *,
        trusted_seconds: float = 15,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._guard = guard
        self._trusted_seconds = trusted_seconds
        self._monotonic = monotonic
        self._scopes: OrderedDict[TrainingScope, _Remembered] = OrderedDict()
        self._verdicts: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._keys: OrderedDict[tuple[TrainingScope, str, str], tuple[DeclaredKey, ...]] = OrderedDict()

    async def census(self, scope: TrainingScope) -> TrainingCensus:
        """How much is approved. Raises QueryStoreUnavailable."""
        return (await self._remembered(scope)).census

    async def of_kind(self, scope: TrainingScope, kind: TrainingKind) -> tuple[TrainingItem, ...]:
        """Every item of a kind, the one decided last first; to choose from, not yet to use: it may have been deleted.

        Raises: QueryStoreUnavailable.
        """
        remembered = await self._remembered(scope)
        if remembered.items is None:
            remembered.items = tuple(await self._store.approved(scope))
            self._make_room(remembered)
        if kind not in remembered.by_kind:
            remembered.by_kind[kind] = tuple(item for item in remembered.items if item.content.kind is kind)
        return remembered.by_kind[kind]

    async def still(self, scope: TrainingScope, ids: Sequence[str]) -> list[TrainingItem]:
        """Those of the items that are there and approved now. Raises QueryStoreUnavailable."""
        if not ids:
            return []
        items = await self._store.get_many(scope, ids)
        return [item for item in items if item.state is TrainingState.APPROVED]

    async def declared_keys(self, scope: TrainingScope, schema: Schema) -> tuple[DeclaredKey, ...]:
        """Foreign keys that approved DDL tells of and the schema lacks. Raises QueryStoreUnavailable."""
        census = await self.census(scope)
        if not census.approved.get(TrainingKind.DDL):
            return ()
        key = (scope, census.revision, schema.fingerprint)
        known = self._keys.get(key)
        if known is None or not schema.fingerprint:
            texts = [item.content.text for item in await self.of_kind(scope, TrainingKind.DDL)]
            known = self._keys[key] = await asyncio.to_thread(declared_keys, texts, schema)
            if len(self._keys) > _REMEMBERED_SCOPES:
                self._keys.popitem(last=False)
        return known

    async def refusal(self, sql: str, schema: Schema) -> str:
        """Why the guard refuses an example's query under this schema; empty when it lets it pass."""
        key = (schema.fingerprint, sql)
        known = self._verdicts.get(key)
        if known is None or not schema.fingerprint:
            verdict = await self._guard.judge(sql, schema)
            known = "" if verdict.allowed else str(verdict.refusals[0])
            self._verdicts[key] = known
            if len(self._verdicts) > _REMEMBERED_VERDICTS:
                self._verdicts.popitem(last=False)
        return known

    def forget(self, scope: TrainingScope) -> None:
        """Ask again at the next question: something was decided in this process."""
        self._scopes.pop(scope, None)

    def _make_room(self, now_read: _Remembered) -> None:
        left = _REMEMBERED_CHARACTERS
        for remembered in reversed(self._scopes.values()):
            left -= remembered.characters
            if left < 0 and remembered is not now_read:
                remembered.items, remembered.by_kind = None, {}

    async def _remembered(self, scope: TrainingScope) -> _Remembered:
        known = self._scopes.get(scope)
        now = self._monotonic()
        if known is not None and now - known.asked_at < self._trusted_seconds:
            return known
        census = await self._store.census(scope)
        if known is not None and known.census.revision == census.revision:
            known.asked_at = now
            return known
        fresh = self._scopes[scope] = _Remembered(census, now)
        self._scopes.move_to_end(scope)
        if len(self._scopes) > _REMEMBERED_SCOPES:
            self._scopes.popitem(last=False)
        return fresh
