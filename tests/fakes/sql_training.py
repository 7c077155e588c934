"""In-memory stand-ins for what the sql service is taught with. They pass the behaviour suites of the real adapters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import sqrt

from services.sql.approved_training import ApprovedTraining
from services.sql.errors import KnowledgeUnavailable, QueryStoreUnavailable, TextTooLong
from services.sql.knowledge import SchemaKnowledge
from services.sql.query_guard import QueryGuard
from services.sql.training import Training
from services.sql.training_models import (
    Embeddings,
    HeldVector,
    Nearness,
    Passage,
    TrainingCensus,
    TrainingItem,
    TrainingKind,
    TrainingPage,
    TrainingPosition,
    TrainingScope,
    TrainingState,
    TrainingVector,
    Vector,
)
from services.sql.training_vectors import TrainingVectors
from tests.fakes.sql import FakeSchemaReader, FakeSchemaStore
from tests.openai_server import embedding_of


@dataclass
class FakeTrainingStore:
    """Keeps items in a dictionary; its clock moves with every use."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    items: dict[tuple[TrainingScope, str], TrainingItem] = field(default_factory=dict)
    is_down: bool = False
    fault: Exception | None = None
    """Raised by every call: what no store should."""
    censuses: int = 0
    texts_read: int = 0
    _revision: int = 0
    _last: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    async def add(self, scope: TrainingScope, item: TrainingItem, *, most: int) -> tuple[TrainingItem, bool] | None:
        self._refuse_when_down()
        known = self.items.get((scope, item.id))
        if known is not None:
            return known, False
        if sum(of == scope for of, _ in self.items) >= most:
            return None
        moment = self._tick()
        approved = item.state is TrainingState.APPROVED
        stored = replace(item, create_time=moment, decide_time=moment if approved else None)
        self.items[scope, item.id] = stored
        self._revision += approved
        return stored, True

    async def get_many(self, scope: TrainingScope, ids: Sequence[str]) -> list[TrainingItem]:
        self._refuse_when_down()
        self.texts_read += len(ids)
        return [self.items[scope, item_id] for item_id in ids if (scope, item_id) in self.items]

    async def approve(self, scope: TrainingScope, item_id: str, *, by: str) -> TrainingItem | None:
        self._refuse_when_down()
        item = self.items.get((scope, item_id))
        if item is not None and item.state is TrainingState.PENDING:
            item = replace(item, state=TrainingState.APPROVED, decided_by=by, decide_time=self._tick())
            self.items[scope, item_id] = item
            self._revision += 1
        return item

    async def delete(self, scope: TrainingScope, item_id: str) -> bool:
        self._refuse_when_down()
        item = self.items.pop((scope, item_id), None)
        self._revision += item is not None and item.state is TrainingState.APPROVED
        return item is not None

    async def page(
        self,
        scope: TrainingScope,
        *,
        kind: TrainingKind | None,
        state: TrainingState | None,
        after: TrainingPosition | None,
        limit: int,
    ) -> TrainingPage:
        self._refuse_when_down()
        found = [
            item
            for (of, _), item in self.items.items()
            if of == scope
            and kind in (None, item.content.kind)
            and state in (None, item.state)
            and (after is None or (item.create_time, item.id) < (after.create_time, after.id))
        ]
        found.sort(key=lambda item: (item.create_time, item.id), reverse=True)
        shown = tuple(found[:limit])
        more = len(found) > limit
        return TrainingPage(shown, TrainingPosition(shown[-1].create_time, shown[-1].id) if more else None)

    async def approved(self, scope: TrainingScope) -> list[TrainingItem]:
        self._refuse_when_down()
        found = [item for (of, _), item in self.items.items() if of == scope and item.decide_time is not None]
        self.texts_read += len(found)
        return sorted(found, key=lambda item: item.decide_time or item.create_time, reverse=True)

    async def approved_ids(self, scope: TrainingScope) -> list[str]:
        self._refuse_when_down()
        return [item.id for (of, _), item in self.items.items() if of == scope and item.decide_time is not None]

    async def census(self, scope: TrainingScope) -> TrainingCensus:
        self._refuse_when_down()
        self.censuses += 1
        kinds = [item.content.kind for item in await self.approved(scope)]
        return TrainingCensus({kind: kinds.count(kind) for kind in TrainingKind}, str(self._revision))

    def _tick(self) -> datetime:
        self._last = max(self.now(), self._last + timedelta(microseconds=1))
        return self._last

    def _refuse_when_down(self) -> None:
        if self.fault is not None:
            raise self.fault
        if self.is_down:
            raise QueryStoreUnavailable


@dataclass
class FakeTrainingIndex:
    """Vectors in a dictionary, compared one by one."""

    vectors: dict[tuple[TrainingScope, str, str], TrainingVector] = field(default_factory=dict)
    """By scope, model and id."""
    away: bool = False
    kind: str = "memory"

    async def put(self, scope: TrainingScope, vectors: Sequence[TrainingVector], *, model: str) -> None:
        self._refuse_when_away()
        for each in vectors:
            self.vectors[scope, model, each.id] = each

    async def remove(self, scope: TrainingScope, held: Sequence[HeldVector]) -> None:
        self._refuse_when_away()
        for each in held:
            self.vectors.pop((scope, each.model, each.id), None)

    async def held(self, scope: TrainingScope) -> list[HeldVector]:
        self._refuse_when_away()
        return [HeldVector(item_id, model) for of, model, item_id in self.vectors if of == scope]

    async def nearest(
        self, scope: TrainingScope, vector: Vector, *, model: str, kinds: Sequence[TrainingKind], limit: int
    ) -> list[Nearness]:
        self._refuse_when_away()
        near = [
            Nearness(each.id, min(1.0, sum(a * b for a, b in zip(vector, each.vector, strict=True))))
            for (of, made_by, _), each in self.vectors.items()
            if of == scope and made_by == model and each.kind in kinds
        ]
        return sorted(near, key=lambda each: (-each.similarity, each.id))[:limit]

    def _refuse_when_away(self) -> None:
        if self.away:
            raise KnowledgeUnavailable("the vectors of training cannot be reached")


@dataclass
class FakeEmbedder:
    """Embeds by hashed words, so that texts that share words are near; counts what it was asked."""

    dimension: int = 64
    name: str = "words"
    longest: int = 100_000
    """Characters that it reads."""
    away: bool = False
    asked: list[str] = field(default_factory=list)

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        self.asked.extend(texts)
        if self.away:
            raise KnowledgeUnavailable("texts cannot be embedded at the moment")
        if any(len(text) > self.longest for text in texts):
            raise TextTooLong("a text is longer than the embedding model reads")
        return Embeddings([self._one(text) for text in texts], f"{self.name}/{self.dimension}")

    def _one(self, text: str) -> Vector:
        values = embedding_of(text, self.dimension)
        length = sqrt(sum(value * value for value in values)) or 1.0
        return [value / length for value in values]


@dataclass
class FakeDocuments:
    """Gives the same passages whatever is asked."""

    found: list[Passage] = field(default_factory=list)
    away: bool = False
    asked: list[str] = field(default_factory=list)
    counts: int = 0

    async def has_any(self) -> bool:
        self.counts += 1
        if self.away:
            raise KnowledgeUnavailable("documents cannot be searched at the moment")
        return bool(self.found)

    async def passages(self, question: str, *, limit: int) -> list[Passage]:
        self.asked.append(question)
        if self.away:
            raise KnowledgeUnavailable("documents cannot be searched at the moment")
        return self.found[:limit]


def training_of(store: FakeTrainingStore, *, vectors: TrainingVectors | None = None, max_items: int = 100) -> Training:
    """The use case over the small shop, for the database "shop"."""
    guard = QueryGuard(max_rows=1_000)
    return Training(
        store=store,
        approved=ApprovedTraining(store, guard),
        vectors=vectors,
        guard=guard,
        knowledge=SchemaKnowledge(
            FakeSchemaReader(), FakeSchemaStore(), database="shop", check_seconds=60, max_age_seconds=900
        ),
        database="shop",
        max_items=max_items,
    )
