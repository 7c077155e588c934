"""What may be taught, by whom it is decided, and what becomes of it."""

import asyncio

import pytest

from services.sql.errors import (
    DatabaseUnavailable,
    SqlRefused,
    TrainerRoleMissing,
    TrainingContradicts,
    TrainingFull,
    TrainingInvalid,
    TrainingNotFound,
)
from services.sql.training import Teacher, Training
from services.sql.training_content import read_ddl, read_documentation, read_example
from services.sql.training_models import TrainingScope, TrainingState
from services.sql.training_vectors import TrainingVectors
from tests.fakes.sql_training import FakeEmbedder, FakeTrainingIndex, FakeTrainingStore, training_of

ADA = Teacher("acme", "ada", may_decide=False)
TIM = Teacher("acme", "tim", may_decide=True)
EVE = Teacher("umbrella", "eve", may_decide=True)
SHOP = TrainingScope("acme", "shop")
EXAMPLE = read_example("How many customers do we have?", "SELECT count(*) FROM customers")
FACT = read_documentation("Revenue is what was delivered.")


@pytest.fixture
def store() -> FakeTrainingStore:
    return FakeTrainingStore()


@pytest.fixture
def training(store: FakeTrainingStore) -> Training:
    return training_of(store, max_items=3)


async def test_what_somebody_without_the_role_gave_is_decided_when_a_trainer_gives_the_same(
    training: Training,
) -> None:
    pending, _ = await training.add(ADA, FACT)

    again, is_new = await training.add(TIM, FACT)

    assert pending.item.state is TrainingState.PENDING
    assert (again.item.state, again.item.author, again.item.decided_by) == (TrainingState.APPROVED, "ada", "tim")
    assert not is_new


async def test_an_example_waits_even_where_a_trainer_gives_it_twice(training: Training) -> None:
    await training.add(TIM, EXAMPLE)
    again, _ = await training.add(TIM, EXAMPLE)

    assert again.item.state is TrainingState.PENDING


async def test_another_query_for_the_same_question_is_refused_until_the_first_is_deleted(training: Training) -> None:
    first, _ = await training.add(TIM, EXAMPLE)
    other = read_example("how many customers do we have", "SELECT count(DISTINCT name) FROM customers")

    with pytest.raises(TrainingContradicts) as refusal:
        await training.add(ADA, other)
    await training.delete(TIM, first.item.id)
    added, is_new = await training.add(ADA, other)

    assert refusal.value.metadata == {"training": f"training/{first.item.id}"}
    assert (is_new, added.item.content.sql) == (True, other.sql)


async def test_another_definition_of_the_same_words_is_refused_until_the_first_is_deleted(training: Training) -> None:
    first, _ = await training.add(TIM, read_documentation("Gold customer: a customer whose segment is Premium."))
    other = read_documentation("About us.\nGold customers: customers whose segment is Basic.")
    same = read_documentation("gold customer: a customer whose segment is Premium")

    with pytest.raises(TrainingContradicts, match="defines the same words") as refusal:
        await training.add(TIM, other)
    with pytest.raises(TrainingContradicts):
        await training.add(ADA, other)
    again, _ = await training.add(TIM, same)
    await training.delete(TIM, first.item.id)
    await training.delete(TIM, again.item.id)
    added, _ = await training.add(TIM, other)

    assert refusal.value.metadata == {"training": f"training/{first.item.id}"}
    assert added.item.state is TrainingState.APPROVED


async def test_a_definition_that_waits_hinders_nobody_and_is_not_approved_against_another(training: Training) -> None:
    waiting, _ = await training.add(ADA, read_documentation("Gold customer: a customer whose segment is Basic."))
    await training.add(TIM, read_documentation("Gold customer: a customer whose segment is Premium."))

    with pytest.raises(TrainingContradicts):
        await training.approve(TIM, waiting.item.id)


async def test_an_approval_stays_that_of_who_made_it_first(training: Training) -> None:
    added, _ = await training.add(ADA, EXAMPLE)
    await training.approve(TIM, added.item.id)

    again = await training.approve(Teacher("acme", "tom", may_decide=True), added.item.id)

    assert again.item.decided_by == "tim"


async def test_whoever_lacks_the_role_decides_nothing(training: Training) -> None:
    own, _ = await training.add(ADA, EXAMPLE)
    others, _ = await training.add(TIM, FACT)

    with pytest.raises(TrainerRoleMissing):
        await training.approve(ADA, own.item.id)
    with pytest.raises(TrainerRoleMissing):
        await training.delete(ADA, others.item.id)
    await training.approve(TIM, own.item.id)
    with pytest.raises(TrainerRoleMissing):
        await training.delete(ADA, own.item.id)


async def test_a_tenant_learns_nothing_of_anothers_items(training: Training) -> None:
    item = (await training.add(TIM, FACT))[0].item

    for attempt in (training.get(EVE, item.id), training.approve(EVE, item.id), training.delete(EVE, item.id)):
        with pytest.raises(TrainingNotFound):
            await attempt
    taught, _ = await training.page(EVE, kind=None, state=None, after=None, limit=9)
    assert taught == []


async def test_a_tenant_may_have_so_much_and_no_more(training: Training) -> None:
    for number in range(3):
        await training.add(TIM, read_documentation(f"Fact {number}."))

    with pytest.raises(TrainingFull, match="3 items"):
        await training.add(TIM, FACT)

    await training.add(EVE, FACT)


async def test_whoever_cannot_decide_leaves_room_for_those_who_can(store: FakeTrainingStore) -> None:
    training = training_of(store, max_items=10)
    for number in range(8):
        await training.add(ADA, read_documentation(f"Noise {number}."))

    with pytest.raises(TrainingFull, match="8 items"):
        await training.add(ADA, FACT)

    assert (await training.add(TIM, FACT))[1]


async def test_where_little_is_kept_there_is_room_for_who_decides_all_the_same(store: FakeTrainingStore) -> None:
    training = training_of(store, max_items=3)
    for number in range(2):
        await training.add(ADA, read_documentation(f"Noise {number}."))

    with pytest.raises(TrainingFull, match="PENDING"):
        await training.add(ADA, read_documentation("Noise 2."))

    assert (await training.add(TIM, FACT))[1]


@pytest.mark.parametrize(
    "sql", ["DELETE FROM customers", "SELECT * FROM pg_shadow", "SELECT 1; SELECT 2", "SELECT pg_sleep(9)", "no SQL"]
)
async def test_an_example_that_the_guard_refuses_is_not_taken(training: Training, sql: str) -> None:
    with pytest.raises(SqlRefused):
        await training.add(TIM, read_example("How many?", sql))


async def test_an_example_that_the_guard_refuses_by_now_is_told_and_not_approved(
    training: Training, store: FakeTrainingStore
) -> None:
    known = (await training.add(TIM, EXAMPLE))[0].item
    content = read_example("How many did we have?", "SELECT count(*) FROM dropped_since")
    await store.delete(SHOP, known.id)
    stale = type(known)(content.id_in(SHOP), content, known.state, known.source, "tim", known.create_time)
    await store.add(SHOP, stale, most=9)

    taught = await training.get(TIM, stale.id)

    assert "dropped_since" in taught.unusable_reason
    with pytest.raises(SqlRefused):
        await training.approve(TIM, stale.id)


async def test_a_list_is_told_while_the_database_is_away(store: FakeTrainingStore) -> None:
    await training_of(store).add(TIM, EXAMPLE)
    away = training_of(store)
    away._knowledge._reader.error = DatabaseUnavailable()  # type: ignore[attr-defined]

    [taught], _ = await away.page(TIM, kind=None, state=None, after=None, limit=9)

    assert "cannot be read" in taught.unusable_reason


@pytest.mark.parametrize(
    "ddl",
    [
        "DROP TABLE customers",
        "CREATE TABLE t (a int); DROP TABLE customers",
        "SELECT 1",
        "-- nothing",
        "CREATE FUNCTION f() RETURNS int AS $$ SELECT 1 $$ LANGUAGE sql",
        "ALTER TABLE t DROP COLUMN a",
        "GRANT ALL ON customers TO public",
        "CREATE TABLE t (",
        "COPY customers TO PROGRAM 'sh'",
        ";".join(["CREATE TABLE t (a int)"] * 201),
    ],
)
async def test_ddl_that_does_anything_but_describe_is_refused(training: Training, ddl: str) -> None:
    with pytest.raises(TrainingInvalid) as refused:
        await training.add(TIM, read_ddl(ddl))

    assert refused.value.field == "ddl"


async def test_nothing_of_what_is_refused_is_logged(training: Training, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    with pytest.raises(TrainingInvalid):
        await training.add(TIM, read_ddl("CREATE EXTENSION hidden_words"))

    assert "hidden_words" not in caplog.text


async def test_a_change_leads_to_vectors_and_a_deletion_takes_them_away(store: FakeTrainingStore) -> None:
    index = FakeTrainingIndex()
    vectors = TrainingVectors(store, index, FakeEmbedder())
    training = training_of(store, vectors=vectors)

    added = (await training.add(TIM, EXAMPLE))[0].item
    await vectors.settled()
    while_pending = dict(index.vectors)
    await training.approve(TIM, added.id)
    await vectors.settled()
    approved = dict(index.vectors)
    await training.delete(TIM, added.id)
    await vectors.settled()

    assert while_pending == {}
    assert [item_id for _, _, item_id in approved] == [added.id]
    assert index.vectors == {}


async def test_an_index_that_is_away_keeps_nothing_from_being_taught(store: FakeTrainingStore) -> None:
    vectors = TrainingVectors(store, FakeTrainingIndex(away=True), FakeEmbedder())
    training = training_of(store, vectors=vectors)

    taught, _ = await training.add(TIM, FACT)
    await vectors.settled()
    await training.delete(TIM, taught.item.id)
    await asyncio.wait_for(vectors.settled(), 5)

    assert store.items == {}


def test_line_ends_and_outer_white_space_make_no_other_item_and_everything_else_does() -> None:
    one = read_example("How many customers?", "SELECT count(*)\r\n FROM customers ;\n")

    assert one.id_in(SHOP) == read_example(" How many customers? ", "SELECT count(*)\n FROM customers").id_in(SHOP)
    others = {
        read_example("How many  customers?", "SELECT count(*)\n FROM customers").id_in(SHOP),
        read_example("How many customers?", "SELECT count(*) FROM customers").id_in(SHOP),
        read_example("How many clients?", "SELECT count(*) FROM customers").id_in(SHOP),
        read_example("How many customers?", "SELECT count(1) FROM customers").id_in(SHOP),
        read_documentation("How many customers?").id_in(SHOP),
        one.id_in(TrainingScope("acme", "clinic")),
        one.id_in(TrainingScope("umbrella", "shop")),
        one.id_in(SHOP),
    }
    assert len(others) == 8


async def test_a_space_within_quotes_makes_another_item_that_nobody_approves_with_the_first(
    training: Training, store: FakeTrainingStore
) -> None:
    theirs = read_documentation("New  York is 'New  York'.")
    await training.add(ADA, theirs)

    mine, is_new = await training.add(TIM, read_documentation("New  York is 'New York'."))

    assert is_new
    states = {item.content.text: item.state for item in store.items.values()}
    assert states == {theirs.text: TrainingState.PENDING, mine.item.content.text: TrainingState.APPROVED}


@pytest.mark.parametrize(
    ("text", "field"), [(" \n", "documentation"), ("x" * 8_001, "documentation"), ("a\x00b", "documentation")]
)
def test_text_that_cannot_be_taken_is_refused_with_its_field(text: str, field: str) -> None:
    with pytest.raises(TrainingInvalid) as refused:
        read_documentation(text)

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("question", "sql", "field"),
    [
        ("", "SELECT 1", "question"),
        ("Who?", " ", "sql"),
        ("x" * 4_001, "SELECT 1", "question"),
        ("Q\x07", "x", "question"),
    ],
)
def test_an_example_lacking_a_part_names_it(question: str, sql: str, field: str) -> None:
    with pytest.raises(TrainingInvalid) as refused:
        read_example(question, sql)

    assert refused.value.field == field


def test_words_are_taught_as_they_are_seen_and_ddl_with_unseen_signs_is_refused() -> None:
    taught = read_documentation("A big\u202e customer\u200b is one\u2028who buys.")

    assert taught.text == "A big customer is one\nwho buys."
    with pytest.raises(TrainingInvalid, match="no room") as refusal:
        read_ddl('CREATE TABLE "or\u200bders" (id int)')
    assert refusal.value.field == "ddl"
