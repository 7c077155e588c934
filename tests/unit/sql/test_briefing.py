"""What is gathered for one question, and what is left out of it."""

import asyncio
from dataclasses import dataclass, field

import pytest

from services.sql.approved_training import ApprovedTraining
from services.sql.briefing import MAX_EXAMPLES, MAX_TOLD_CHARACTERS, TrainingBriefing
from services.sql.business_terms import BusinessTerms
from services.sql.guidance import NO_GUIDANCE, Guidance, Term
from services.sql.models import EPOCH, ForeignKey, Schema
from services.sql.query_guard import QueryGuard
from services.sql.training_ddl import DeclaredKey
from services.sql.training_models import (
    Embeddings,
    Passage,
    TrainingContent,
    TrainingItem,
    TrainingKind,
    TrainingScope,
    TrainingSource,
    TrainingState,
)
from services.sql.training_vectors import TrainingVectors
from tests.fakes.sql import shop_schema
from tests.fakes.sql_training import FakeDocuments, FakeEmbedder, FakeTrainingIndex, FakeTrainingStore

SHOP = TrainingScope("acme", "shop")
QUESTION = "How many customers do we have?"
COUNT = "SELECT count(*) FROM customers"


class SlowEmbedder(FakeEmbedder):
    """Never answers."""

    async def embed(self, texts: object) -> Embeddings:
        await asyncio.Event().wait()
        raise AssertionError("never reached")


@dataclass
class Parts:
    """A briefing on stand-ins that a test can reach into."""

    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)
    by_words: bool = False
    seconds: float = 5
    unknown: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.store, self.index, self.documents = FakeTrainingStore(), FakeTrainingIndex(), FakeDocuments()
        self.now = 100.0
        self.vectors = TrainingVectors(self.store, self.index, self.embedder, monotonic=lambda: self.now)
        self.approved = ApprovedTraining(self.store, QueryGuard(max_rows=1_000), monotonic=lambda: self.now)
        self.briefing = TrainingBriefing(
            approved=self.approved,
            vectors=None if self.by_words else self.vectors,
            terms=BusinessTerms(self.documents, self._unknown_words),
            database="shop",
            seconds=self.seconds,
        )

    async def _unknown_words(self, question: str, schema: Schema) -> tuple[str, ...]:
        return self.unknown

    async def teach(self, kind: TrainingKind, text: str, sql: str = "", *, approved: bool = True) -> TrainingItem:
        content = TrainingContent(kind, text, sql)
        state = TrainingState.APPROVED if approved else TrainingState.PENDING
        decided_by = "tim" if approved else ""
        item = TrainingItem(
            content.id_in(SHOP), content, state, TrainingSource.API, "ada", EPOCH, decided_by=decided_by
        )
        added = await self.store.add(SHOP, item, most=1_000)
        assert added is not None
        if not isinstance(self.embedder, SlowEmbedder) and not self.embedder.away:
            await self.vectors.compare(SHOP)
        self.embedder.asked.clear()
        return added[0]

    async def example(self, question: str, sql: str = COUNT, *, approved: bool = True) -> TrainingItem:
        return await self.teach(TrainingKind.EXAMPLE, question, sql, approved=approved)

    async def brief(self, question: str = QUESTION, tenant: str = "acme") -> Guidance:
        return await self.briefing.brief(tenant, question, shop_schema())


async def test_without_training_nothing_is_embedded_and_the_store_is_asked_once_in_a_while() -> None:
    parts = Parts()

    assert await parts.brief() == NO_GUIDANCE
    assert await parts.brief("Another question?") == NO_GUIDANCE

    assert parts.embedder.asked == []
    assert parts.store.censuses == 1
    parts.now += 15
    await parts.brief()
    assert parts.store.censuses == 2


@pytest.mark.parametrize("by_words", [False, True])
async def test_examples_come_nearest_first_and_those_that_have_nothing_to_do_with_it_are_left_out(
    by_words: bool,
) -> None:
    parts = Parts(by_words=by_words)
    await parts.example("How many premium customers do we have?", "SELECT 1")
    await parts.example(QUESTION)
    await parts.example("Which order was placed last?", "SELECT 2")

    guidance = await parts.brief()

    assert [example.sql for example in guidance.examples] == [COUNT, "SELECT 1"]
    assert guidance.examples[0].question == QUESTION
    assert guidance.examples[0].similarity == pytest.approx(1)
    assert guidance.examples[0].approved_by == "tim"
    assert guidance.examples[0].approve_time is not None
    assert 0.3 <= guidance.examples[1].similarity < 1


@pytest.mark.parametrize("by_words", [False, True])
async def test_what_is_pending_or_another_tenants_is_never_used(by_words: bool) -> None:
    parts = Parts(by_words=by_words)
    await parts.example(QUESTION, approved=False)
    await parts.teach(TrainingKind.DOCUMENTATION, "customers we have", approved=False)

    await parts.example("How many customers do we have by now?", "SELECT 1")

    assert [example.sql for example in (await parts.brief()).examples] == ["SELECT 1"]
    assert (await parts.brief()).documentation == ()
    assert await parts.brief(tenant="umbrella") == NO_GUIDANCE


async def test_a_vector_without_a_row_is_never_used() -> None:
    parts = Parts()
    kept, gone = await parts.example(QUESTION), await parts.example("How many customers are there?", "SELECT 1")
    await parts.store.delete(SHOP, gone.id)  # its vector is still there

    guidance = await parts.brief()

    assert [example.question for example in guidance.examples] == [kept.content.text]


async def test_an_example_that_the_guard_refuses_by_now_makes_room_for_the_next() -> None:
    parts = Parts()
    await parts.example(QUESTION, "SELECT count(*) FROM dropped_since")
    await parts.example("How many customers are there?", COUNT)

    assert [example.sql for example in (await parts.brief()).examples] == [COUNT]


async def test_of_two_queries_for_one_question_the_one_decided_last_counts() -> None:
    parts = Parts()
    await parts.example(QUESTION, "SELECT count(1) FROM customers")
    await parts.example(QUESTION, COUNT)

    assert [example.sql for example in (await parts.brief()).examples] == [COUNT]


async def test_no_more_is_told_than_a_prompt_can_take() -> None:
    parts = Parts()
    for number in range(8):
        await parts.example(f"How many customers do we have in {number}?", f"SELECT {number}")
        await parts.teach(TrainingKind.DOCUMENTATION, f"customers we have, {number}. " * 300)

    guidance = await parts.brief()

    assert len(guidance.examples) == MAX_EXAMPLES
    assert sum(map(len, guidance.documentation)) <= MAX_TOLD_CHARACTERS


@pytest.mark.parametrize("by_words", [False, True])
async def test_words_and_structure_that_bear_on_the_question_are_told(by_words: bool) -> None:
    parts = Parts(by_words=by_words)
    await parts.teach(TrainingKind.DOCUMENTATION, "Premium customers have segment Premium.")
    await parts.teach(TrainingKind.DOCUMENTATION, "Warehouses close at noon.")
    await parts.teach(TrainingKind.DDL, "CREATE TABLE customers (segment text)")

    guidance = await parts.brief("Which customers are premium customers?")

    assert "Premium customers have segment Premium." in guidance.documentation
    assert "Warehouses close at noon." not in guidance.documentation


async def test_keys_that_stand_in_ddl_alone_are_told() -> None:
    parts = Parts()
    await parts.teach(
        TrainingKind.DDL,
        "ALTER TABLE customers ADD CONSTRAINT c FOREIGN KEY (customer_id) REFERENCES orders (order_id);"
        "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers;"  # the schema has this one
        "ALTER TABLE orders ADD FOREIGN KEY (nowhere) REFERENCES customers (customer_id)",
    )

    guidance = await parts.brief("What is the weather?")

    key = ForeignKey(("customer_id",), "public", "orders", ("order_id",))
    assert guidance.keys == (DeclaredKey("public.customers", key),)


async def test_an_embedder_that_is_away_leaves_words_to_find_by(caplog: pytest.LogCaptureFixture) -> None:
    parts = Parts(embedder=FakeEmbedder(away=True))
    await parts.example(QUESTION)

    guidance = await parts.brief("How many customers do we have now?")

    assert [example.sql for example in guidance.examples] == [COUNT]
    assert "training.found_by_words" in caplog.messages


async def test_what_takes_too_long_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    parts = Parts(embedder=SlowEmbedder(), seconds=0.01)
    await parts.example(QUESTION)

    assert await parts.brief() == NO_GUIDANCE
    assert "briefing.left_out" in caplog.messages


@pytest.mark.parametrize("fault", [KeyError("state"), ValueError("x")])
async def test_a_fault_of_a_store_spoils_no_question(fault: Exception) -> None:
    parts = Parts(unknown=("VIP",))
    parts.store.fault = fault
    parts.documents.found = [Passage("VIP means segment = Premium.", "glossary.md")]

    guidance = await parts.brief("How many VIP customers do we have?")

    assert [term.text for term in guidance.terms] == ["VIP means segment = Premium."]


async def test_a_store_that_is_down_spoils_no_question() -> None:
    parts = Parts()
    await parts.example(QUESTION)
    parts.store.is_down = True

    assert await parts.brief() == NO_GUIDANCE


async def test_what_is_decided_here_is_seen_at_the_next_question() -> None:
    parts = Parts()
    await parts.brief()
    await parts.example(QUESTION)
    assert (await parts.brief()).examples == ()

    parts.approved.forget(SHOP)

    assert len((await parts.brief()).examples) == 1


@pytest.mark.parametrize("by_words", [True, False])
async def test_approved_documentation_that_defines_a_word_of_the_question_is_a_term(by_words: bool) -> None:
    parts = Parts(by_words=by_words)
    text = "Notes of the sales team.\nGold customer: a customer whose segment is Premium.\nSilver: anything else."
    await parts.teach(TrainingKind.DOCUMENTATION, text)
    await parts.teach(TrainingKind.DOCUMENTATION, "Gold customer: anybody at all", approved=False)

    guidance = await parts.briefing.brief("acme", "How many gold customers do we have?", shop_schema())
    other = await parts.briefing.brief("other", "How many gold customers do we have?", shop_schema())

    assert guidance.terms == (
        Term("Gold customer: a customer whose segment is Premium.", "the documentation you approved"),
    )
    assert other.terms == ()


async def test_a_definition_that_was_deleted_elsewhere_is_no_term_any_more() -> None:
    parts = Parts()
    item = await parts.teach(TrainingKind.DOCUMENTATION, "Patron: a customer whose segment is Premium")
    before = await parts.briefing.brief("acme", "How many patrons are there?", shop_schema())

    await parts.store.delete(SHOP, item.id)
    after = await parts.briefing.brief("acme", "How many patrons are there?", shop_schema())

    assert [len(before.terms), len(after.terms)] == [1, 0]


async def test_what_is_approved_goes_before_what_documents_say() -> None:
    parts = Parts(unknown=("patrons",))
    parts.documents.found = [Passage("A patron is a customer whose segment is Basic.", "glossary.md")]
    await parts.teach(TrainingKind.DOCUMENTATION, "Patron: a customer whose segment is Premium")

    guidance = await parts.briefing.brief("acme", "How many patrons are there?", shop_schema())

    assert [term.document for term in guidance.terms] == ["the documentation you approved", "glossary.md"]
