"""Figures about the service, for people who run it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from services.sql.answering import Answering, AutoApproval
from services.sql.errors import DatabaseUnavailable
from services.sql.generating import Generating
from services.sql.knowledge import SchemaKnowledge
from services.sql.models import QueryState
from services.sql.ports import QueryStore


@dataclass(frozen=True)
class Figures:
    """What GetStats tells. `table_count` is 0 while the database has not been read; `parts` is what settings chose,
    and how the model stands.
    """

    queries_by_state: Mapping[QueryState, int]
    table_count: int
    generator: str
    auto_approval: AutoApproval
    uptime: timedelta
    parts: Mapping[str, str]


class Statistics:
    """Collects figures when asked."""

    def __init__(
        self,
        *,
        store: QueryStore,
        knowledge: SchemaKnowledge,
        generating: Generating,
        answering: Answering,
        parts: Callable[[], Mapping[str, str]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._knowledge = knowledge
        self._generating = generating
        self._answering = answering
        self._parts = parts
        self._monotonic = monotonic
        self._started_at = monotonic()

    async def figures(self, tenant: str) -> Figures:
        """Figures of a tenant. A database that is down is no reason to tell none. Raises QueryStoreUnavailable."""
        by_state = await self._store.count_by_state(tenant)
        try:
            tables = len((await self._knowledge.current()).tables)
        except DatabaseUnavailable:
            tables = 0
        return Figures(
            queries_by_state=by_state,
            table_count=tables,
            generator=self._generating.generator_name,
            auto_approval=self._answering.auto_approval,
            uptime=timedelta(seconds=self._monotonic() - self._started_at),
            parts=self._parts(),
        )
