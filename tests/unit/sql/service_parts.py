"""The sql service's use cases put together on stand-ins, for unit tests."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.sql.answering import Answering, AutoApproval, AutoApprovePolicy
from services.sql.approvals import Approvals
from services.sql.approved_training import ApprovedTraining
from services.sql.auditing import Auditing
from services.sql.generating import Generating
from services.sql.knowledge import SchemaKnowledge
from services.sql.learning import Learning
from services.sql.models import Owner, SqlQuery
from services.sql.query_guard import QueryGuard
from services.sql.training import Training
from tests.fakes.sql import (
    FakeBriefing,
    FakeGenerator,
    FakeSchemaReader,
    FakeSchemaStore,
    FakeTarget,
)
from tests.fakes.sql_queries import FakeQueryStore
from tests.fakes.sql_training import FakeTrainingStore

ADA = Owner("acme", "ada")
BO = Owner("acme", "bo")
START = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass
class SetClock:
    """Tells the time it was set to."""

    moment: datetime = START

    def __call__(self) -> datetime:
        return self.moment


@dataclass
class Parts:
    """Use cases on stand-ins that a test can reach into."""

    policy: AutoApprovePolicy = AutoApprovePolicy.ALLOWED
    cost_below: float = 10_000
    clock: SetClock = field(default_factory=SetClock)
    generator: FakeGenerator = field(default_factory=FakeGenerator)
    target: FakeTarget = field(default_factory=FakeTarget)
    reader: FakeSchemaReader = field(default_factory=FakeSchemaReader)
    schemas: FakeSchemaStore = field(default_factory=FakeSchemaStore)
    training_store: FakeTrainingStore = field(default_factory=FakeTrainingStore)
    briefing: FakeBriefing = field(default_factory=FakeBriefing)

    def __post_init__(self) -> None:
        self.store = FakeQueryStore(now=self.clock)
        self.knowledge = SchemaKnowledge(
            self.reader, self.schemas, database="db", check_seconds=60, max_age_seconds=900
        )
        guard = QueryGuard(max_rows=1_000)
        self.generating = Generating(
            generator=self.generator,
            guard=guard,
            knowledge=self.knowledge,
            briefing=self.briefing,
            target=self.target,
            store=self.store,
            keeps_for=HOUR,
        )
        self.training = Training(
            store=self.training_store,
            approved=ApprovedTraining(self.training_store, guard),
            vectors=None,
            guard=guard,
            knowledge=self.knowledge,
            database="db",
            max_items=100,
        )
        self.approvals = Approvals(
            store=self.store,
            target=self.target,
            guard=guard,
            knowledge=self.knowledge,
            learning=Learning(self.training),
        )
        self.auditing = Auditing(store=self.store)
        self.answering = Answering(
            generating=self.generating,
            approvals=self.approvals,
            auto_approval=AutoApproval(self.policy, self.cost_below),
        )

    async def pending(self, owner: Owner = ADA) -> SqlQuery:
        """A query that waits for a decision."""
        query = await self.generating.generate(owner, "How many customers do we have?")
        assert isinstance(query, SqlQuery)
        return query

    async def approved(self, owner: Owner = ADA) -> SqlQuery:
        """A query that may be run."""
        query = await self.pending(owner)
        return await self.approvals.approve(owner, query.id, sql_hash=query.sql_hash)
