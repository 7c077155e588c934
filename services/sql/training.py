"""Teaching the service: what may be taught, by whom it is decided, and what becomes of it.

An item counts only when it is APPROVED. Documentation and DDL of a trainer are approved as they are added; a question
with its query waits for a separate approval whoever gives it, because generators follow examples most closely.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from services.sql.approved_training import ApprovedTraining
from services.sql.documented_terms import defined_otherwise
from services.sql.errors import (
    SqlError,
    SqlRefused,
    TrainerRoleMissing,
    TrainingContradicts,
    TrainingFull,
    TrainingInvalid,
    TrainingNotFound,
)
from services.sql.grounding.example_units import same_text
from services.sql.knowledge import SchemaKnowledge
from services.sql.models import EPOCH, SqlQuery
from services.sql.ports import TrainingStore
from services.sql.provenance import without_provenance
from services.sql.query_guard import QueryGuard
from services.sql.training_ddl import DdlUnreadable, check_ddl
from services.sql.training_models import (
    TrainingContent,
    TrainingItem,
    TrainingKind,
    TrainingPage,
    TrainingPosition,
    TrainingScope,
    TrainingSource,
    TrainingState,
)
from services.sql.training_vectors import TrainingVectors

logger = logging.getLogger(__name__)

TRAINER_ROLE = "sql_trainer"
_SETTLING_SECONDS = 0.5
_COMPARED_AT_A_TIME = 200
_MOST_EXPLAINED = 1_000  # characters of an explanation


@dataclass(frozen=True)
class Teacher:
    """Who asks: a subject of a tenant, and whether it may decide what is taught."""

    tenant: str
    subject: str
    may_decide: bool


@dataclass(frozen=True)
class Taught:
    """An item as callers see it. `unusable_reason` says why it would not be used even if approved; empty: it would."""

    item: TrainingItem
    unusable_reason: str = ""


class Training:
    """Adds, lists, approves and forgets what a tenant teaches about one database."""

    def __init__(
        self,
        *,
        store: TrainingStore,
        approved: ApprovedTraining,
        vectors: TrainingVectors | None,
        guard: QueryGuard,
        knowledge: SchemaKnowledge,
        database: str,
        max_items: int,
    ) -> None:
        self._store = store
        self._approved = approved
        self._vectors = vectors
        self._guard = guard
        self._knowledge = knowledge
        self._database = database
        self._max_items = max_items

    async def add(self, teacher: Teacher, content: TrainingContent) -> tuple[Taught, bool]:
        """The item, and whether it is new; adding again what is there gives what is there.

        Raises: TrainingInvalid, SqlRefused, TrainingFull, DatabaseUnavailable, QueryStoreUnavailable;
            TrainingContradicts where the same question, but for case, punctuation and spaces, has another query, or
            where approved words define the same otherwise.
        """
        await self._check(content)
        scope = self._scope(teacher.tenant)
        match content.kind:
            case TrainingKind.EXAMPLE:
                await self._refuse_contradiction(scope, content)
            case TrainingKind.DOCUMENTATION:
                await self._refuse_other_definition(scope, content)
        at_once = teacher.may_decide and content.kind is not TrainingKind.EXAMPLE
        item = TrainingItem(
            id=content.id_in(scope),
            content=content,
            state=TrainingState.APPROVED if at_once else TrainingState.PENDING,
            source=TrainingSource.API,
            author=teacher.subject,
            create_time=EPOCH,  # The store sets the times by its own clock.
            decided_by=teacher.subject if at_once else "",
        )
        stored, is_new = await self._keep(scope, item, self._most(teacher.may_decide))
        return await self._as_seen(stored), is_new

    async def learn_from(self, query: SqlQuery, *, may_decide: bool) -> None:
        """Keep what a person approved as it was generated and what ran; it waits where that person may not decide.

        Raises: TrainingFull, QueryStoreUnavailable.
        """
        content = TrainingContent(TrainingKind.EXAMPLE, query.question, query.sql)
        scope = self._scope(query.owner.tenant)
        item = TrainingItem(
            id=content.id_in(scope),
            content=content,
            state=TrainingState.APPROVED if may_decide else TrainingState.PENDING,
            source=TrainingSource.APPROVED_QUERY,
            author=query.owner.subject,
            create_time=EPOCH,
            query_id=query.id,
            decided_by=query.owner.subject if may_decide else "",
            explanation=without_provenance(query.explanation)[:_MOST_EXPLAINED],
        )
        await self._keep(scope, item, self._most(may_decide))

    async def get(self, teacher: Teacher, item_id: str) -> Taught:
        """One item of the tenant. Raises TrainingNotFound, QueryStoreUnavailable."""
        return await self._as_seen(await self._find(teacher, item_id))

    async def page(
        self,
        teacher: Teacher,
        *,
        kind: TrainingKind | None,
        state: TrainingState | None,
        after: TrainingPosition | None,
        limit: int,
    ) -> tuple[list[Taught], TrainingPage]:
        """The tenant's items, newest first. Raises QueryStoreUnavailable."""
        scope = self._scope(teacher.tenant)
        page = await self._store.page(scope, kind=kind, state=state, after=after, limit=limit)
        taught = []
        for item in page.items:
            taught.append(await self._as_seen(item))
            await asyncio.sleep(0)  # a query that is checked for the first time takes milliseconds
        return taught, page

    async def approve(self, teacher: Teacher, item_id: str) -> Taught:
        """Let an item be used; approving again changes nothing.

        Raises: TrainingNotFound, TrainerRoleMissing, TrainingContradicts, SqlRefused, DatabaseUnavailable,
            QueryStoreUnavailable.
        """
        item = await self._find(teacher, item_id)
        if not teacher.may_decide:
            raise TrainerRoleMissing
        await self._check(item.content)
        scope = self._scope(teacher.tenant)
        if item.content.kind is TrainingKind.DOCUMENTATION and item.state is TrainingState.PENDING:
            await self._refuse_other_definition(scope, item.content)
        approved = await self._store.approve(scope, item_id, by=teacher.subject)
        if approved is None:
            raise TrainingNotFound
        logger.info("training.approved", extra={"kind": approved.content.kind.value})
        await self._changed(scope)
        return Taught(approved)

    async def delete(self, teacher: Teacher, item_id: str) -> None:
        """Forget an item for good. Whoever gave it may take it back while nobody has approved it.

        Raises: TrainingNotFound, TrainerRoleMissing, QueryStoreUnavailable.
        """
        item = await self._find(teacher, item_id)
        own = item.author == teacher.subject and item.state is TrainingState.PENDING
        if not teacher.may_decide and not own:
            raise TrainerRoleMissing
        scope = self._scope(teacher.tenant)
        if not await self._store.delete(scope, item_id):
            raise TrainingNotFound
        logger.info("training.deleted", extra={"kind": item.content.kind.value, "state": item.state.value})
        # The row decides; its vector, if this process should die now, is swept by a later comparison.
        await self._changed(scope)

    async def _find(self, teacher: Teacher, item_id: str) -> TrainingItem:
        found = await self._store.get_many(self._scope(teacher.tenant), [item_id])
        if not found:
            raise TrainingNotFound
        return found[0]

    def _most(self, may_decide: bool) -> int:
        """The last fifth is for those who decide: nobody else can fill it up."""
        return self._max_items if may_decide else max(1, self._max_items * 4 // 5)

    async def _keep(self, scope: TrainingScope, item: TrainingItem, most: int) -> tuple[TrainingItem, bool]:
        added = await self._store.add(scope, item, most=most)
        if added is None:
            raise TrainingFull(most)
        stored, is_new = added
        is_same = stored.content == item.content  # to the letter, so that nobody approves the text of another
        if item.state is TrainingState.APPROVED and stored.state is TrainingState.PENDING and is_same:
            # Somebody without a say gave the same before; now somebody with one has.
            stored = await self._store.approve(scope, item.id, by=item.decided_by) or stored
        if is_new:
            facts = {"kind": item.content.kind.value, "state": stored.state.value, "source": item.source.value}
            logger.info("training.added", extra=facts)
        if stored.state is TrainingState.APPROVED:
            await self._changed(scope)
        return stored, is_new

    async def _check(self, content: TrainingContent) -> None:
        """Raises: TrainingInvalid, SqlRefused, DatabaseUnavailable, QueryStoreUnavailable."""
        match content.kind:
            case TrainingKind.DDL:
                try:
                    await asyncio.to_thread(check_ddl, content.text)
                except DdlUnreadable as error:
                    raise TrainingInvalid(str(error), field="ddl") from None
            case TrainingKind.EXAMPLE:
                verdict = await self._guard.judge(content.sql, await self._knowledge.current())
                if not verdict.allowed:
                    raise SqlRefused(str(verdict.refusals[0]), refusal=verdict.refusals[0].code)

    async def _refuse_contradiction(self, scope: TrainingScope, content: TrainingContent) -> None:
        """Two who add at the same moment can pass by each other: then the one approved last counts."""
        own_id, after = content.id_in(scope), None
        while True:
            page = await self._store.page(
                scope, kind=TrainingKind.EXAMPLE, state=None, after=after, limit=_COMPARED_AT_A_TIME
            )
            for item in page.items:
                if item.id != own_id and same_text(item.content.text, content.text):
                    raise TrainingContradicts(item.id, what="an example of the same question with another query")
            after = page.next_after
            if after is None:
                return

    async def _refuse_other_definition(self, scope: TrainingScope, content: TrainingContent) -> None:
        """What is not approved yet defines nothing, and hinders nobody."""
        own_id = content.id_in(scope)
        items = await self._approved.of_kind(scope, TrainingKind.DOCUMENTATION)
        others = [(item.id, item.content.text) for item in items if item.id != own_id]
        found = await asyncio.to_thread(defined_otherwise, content.text, others)
        if found is not None:
            raise TrainingContradicts(found, what="approved documentation that defines the same words otherwise")

    async def _as_seen(self, item: TrainingItem) -> Taught:
        if item.content.kind is not TrainingKind.EXAMPLE:
            return Taught(item)
        try:
            schema = await self._knowledge.current()
        except SqlError:
            return Taught(item, "the database cannot be read at the moment, so the query cannot be checked")
        return Taught(item, await self._approved.refusal(item.content.sql, schema))

    async def _changed(self, scope: TrainingScope) -> None:
        self._approved.forget(scope)
        if self._vectors is not None:
            self._vectors.compare_behind(scope)
            # A moment, so that the next question finds it, also where a process does nothing between calls.
            await self._vectors.settled(scope, wait_seconds=_SETTLING_SECONDS)

    def _scope(self, tenant: str) -> TrainingScope:
        return TrainingScope(tenant, self._database)
