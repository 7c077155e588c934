"""What is known of the user's database: read once, remembered, and read again when it has changed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from services.sql.errors import SqlError
from services.sql.fingerprints import structure_digest
from services.sql.models import Schema
from services.sql.ports import SchemaReader, SchemaStore

logger = logging.getLogger(__name__)

_FRESH_SECONDS = 5.0


@dataclass(frozen=True)
class Synced:
    """The schema just read, and whether it differs from the one before."""

    schema: Schema
    changed: bool


class SchemaKnowledge:
    """The schema of one database, current to within `check_seconds` for DDL and `max_age_seconds` for values.

    The first caller waits until there is one. Later callers get what is known at once, while checks run behind them.
    Whoever asks for a reading shares it with all who ask before it begins: many cause one at a time, and one more.
    """

    def __init__(
        self,
        reader: SchemaReader,
        store: SchemaStore,
        *,
        database: str,
        check_seconds: float,
        max_age_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._store = store
        self._database = database
        self._check_seconds = check_seconds
        self._max_age_seconds = max_age_seconds
        self._monotonic = monotonic
        self._schema: Schema | None = None
        self._checked_at = 0.0
        self._read_at = 0.0
        self._compared_at = 0.0
        self._reading = asyncio.Lock()
        self._behind: asyncio.Task[None] | None = None
        self._next_sync: asyncio.Task[Synced] | None = None  # that has not begun
        self._syncs: set[asyncio.Task[Synced]] = set()
        self._comparisons: set[asyncio.Task[None]] = set()

    @property
    def known(self) -> Schema | None:
        """What is known without asking anybody."""
        return self._schema

    async def current(self) -> Schema:
        """The schema. Raises DatabaseUnavailable and QueryStoreUnavailable while nothing is known yet."""
        if self._schema is None:
            async with self._reading:
                if self._schema is None:
                    return await self._first()
        self._check_behind()
        return self._schema

    async def sync(self) -> Synced:
        """The schema as it is now. Raises DatabaseUnavailable, QueryStoreUnavailable.

        What was read in the last seconds is only looked through for changes of structure, which is cheap: values take
        a walk through every table.
        """
        if self._next_sync is None:
            self._next_sync = asyncio.create_task(self._sync_in_turn())
            self._syncs.add(self._next_sync)
            self._next_sync.add_done_callback(self._forget_sync)
        # Shielded: others wait for it too.
        return await asyncio.shield(self._next_sync)

    async def differs_from(self, schema: Schema) -> bool:
        """Whether the database is another than this schema tells; if so, what it is like has been read again.

        Asked when the database says that something the schema tells of is gone. Many who ask at a time cause one
        comparison and one reading. Raises DatabaseUnavailable, QueryStoreUnavailable.
        """
        asked_at = self._monotonic()
        async with self._reading:
            if self._schema is schema and self._compared_at <= asked_at:
                self._compared_at = self._monotonic()
                if structure_digest(schema.tables, schema.own_functions) != await self._reader.structure_digest():
                    await self._read()
        return self._schema is not schema

    def compare_behind(self, schema: Schema) -> None:
        """The same without waiting for it; what is read is there for the next question."""
        task = asyncio.create_task(self._differs_quietly(schema))
        self._comparisons.add(task)
        task.add_done_callback(self._comparisons.discard)

    async def _differs_quietly(self, schema: Schema) -> None:
        try:
            await self.differs_from(schema)
        except SqlError as error:
            logger.warning("schema.check_failed", extra={"error": type(error).__name__})

    async def aclose(self) -> None:
        """Stop readings that are under way."""
        tasks = [*self._syncs, *self._comparisons, *([self._behind] if self._behind is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget_sync(self, done: asyncio.Task[Synced]) -> None:
        self._syncs.discard(done)
        if not done.cancelled():
            done.exception()  # looked at also where nobody waits any more

    async def _sync_in_turn(self) -> Synced:
        async with self._reading:
            # Whoever asks from now on may know of a change that this reading misses, and waits for another.
            self._next_sync = None
            schema = self._schema
            is_fresh = schema is not None and self._monotonic() - self._read_at < _FRESH_SECONDS
            if (
                schema is None
                or not is_fresh
                or structure_digest(schema.tables, schema.own_functions) != await self._reader.structure_digest()
            ):
                return await self._read()
            self._checked_at = self._monotonic()
            return Synced(schema, changed=False)

    async def _first(self) -> Schema:
        """What an earlier process remembered, when the structure is still the same; otherwise read anew."""
        remembered = await self._store.load(self._database)
        if (
            remembered is None
            or structure_digest(remembered.tables, remembered.own_functions) != await self._reader.structure_digest()
        ):
            return (await self._read()).schema
        self._schema = remembered
        self._checked_at = self._monotonic()
        # Its values may be as old as that process: due for reading at the next check.
        self._read_at = self._checked_at - self._max_age_seconds
        return remembered

    async def _read(self) -> Synced:
        schema = await self._reader.read()
        changed = await self._store.save(self._database, schema)
        self._schema = schema
        self._checked_at = self._read_at = self._monotonic()
        return Synced(schema, changed)

    def _check_behind(self) -> None:
        now = self._monotonic()
        running = self._behind is not None and not self._behind.done()
        if not running and now - self._checked_at >= self._check_seconds:
            self._behind = asyncio.create_task(self._check())

    async def _check(self) -> None:
        try:
            async with self._reading:
                self._checked_at = self._monotonic()
                schema = self._schema
                old = self._checked_at - self._read_at >= self._max_age_seconds
                if (
                    old
                    or schema is None
                    or structure_digest(schema.tables, schema.own_functions) != await self._reader.structure_digest()
                ):
                    await self._read()
        except SqlError as error:
            # What is known stays in use; who runs a query meanwhile learns of the trouble from the run.
            logger.warning("schema.check_failed", extra={"error_kind": type(error).__name__})
        except Exception:  # nobody waits for it who could be told
            logger.exception("schema.check_failed")
