"""When the schema is read, and when what is known is good enough."""

import asyncio
from dataclasses import dataclass, replace

import pytest

from services.sql.errors import DatabaseUnavailable, QueryStoreUnavailable
from services.sql.fingerprints import schema_fingerprint, structure_digest
from services.sql.knowledge import SchemaKnowledge
from services.sql.models import Column, ColumnKind, Schema
from tests.fakes.sql import FakeSchemaReader, FakeSchemaStore, shop_schema


@dataclass
class Ticker:
    seconds: float = 1_000

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Known:
    reader: FakeSchemaReader
    store: FakeSchemaStore
    ticker: Ticker
    knowledge: SchemaKnowledge


def known(store: FakeSchemaStore | None = None, reader: FakeSchemaReader | None = None) -> Known:
    reader, store, ticker = reader or FakeSchemaReader(), store or FakeSchemaStore(), Ticker()
    knowledge = SchemaKnowledge(reader, store, database="db", check_seconds=60, max_age_seconds=900, monotonic=ticker)
    return Known(reader, store, ticker, knowledge)


def with_new_table(schema: Schema) -> Schema:
    tables = (*schema.tables, replace(schema.tables[0], name="zebras"))
    return replace(schema, tables=tables, fingerprint=schema_fingerprint(tables))


async def let_checks_end() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_first_callers_wait_for_one_reading() -> None:
    parts = known()

    schemas = await asyncio.gather(*(parts.knowledge.current() for _ in range(5)))

    assert parts.reader.reads == 1
    assert all(schema == parts.reader.schema for schema in schemas)
    assert parts.store.schemas["db"] == parts.reader.schema


async def test_what_an_earlier_process_remembered_is_used_while_the_structure_is_the_same() -> None:
    parts = known(FakeSchemaStore({"db": shop_schema()}))

    assert await parts.knowledge.current() == shop_schema()
    assert parts.reader.reads == 0


async def test_what_an_earlier_process_remembered_is_read_anew_when_the_structure_changed() -> None:
    parts = known(FakeSchemaStore({"db": shop_schema()}), FakeSchemaReader(with_new_table(shop_schema())))

    schema = await parts.knowledge.current()

    assert schema.table("public", "zebras") is not None
    assert parts.reader.reads == 1


async def test_a_change_of_structure_is_noticed_behind_the_callers() -> None:
    parts = known()
    await parts.knowledge.current()
    parts.reader.schema = with_new_table(parts.reader.schema)

    parts.ticker.seconds += 59
    await parts.knowledge.current()
    await let_checks_end()
    before = await parts.knowledge.current()
    parts.ticker.seconds += 2
    await parts.knowledge.current()
    await let_checks_end()

    assert before.table("public", "zebras") is None
    assert (await parts.knowledge.current()).table("public", "zebras") is not None


async def test_values_are_read_again_when_they_are_old() -> None:
    parts = known()
    await parts.knowledge.current()

    parts.ticker.seconds += 61
    await parts.knowledge.current()
    await let_checks_end()
    reads_when_young = parts.reader.reads
    parts.ticker.seconds += 900
    await parts.knowledge.current()
    await let_checks_end()

    assert reads_when_young == 1
    assert parts.reader.reads == 2


async def test_a_check_that_fails_leaves_what_is_known() -> None:
    parts = known()
    schema = await parts.knowledge.current()
    parts.reader.error = DatabaseUnavailable()

    parts.ticker.seconds += 61
    await parts.knowledge.current()
    await let_checks_end()

    assert await parts.knowledge.current() == schema


async def test_nothing_is_known_while_a_part_is_down_and_something_afterwards() -> None:
    parts = known()
    parts.reader.error = DatabaseUnavailable()
    with pytest.raises(DatabaseUnavailable):
        await parts.knowledge.current()
    parts.reader.error = None
    parts.store.is_down = True
    with pytest.raises(QueryStoreUnavailable):
        await parts.knowledge.current()
    parts.store.is_down = False

    assert await parts.knowledge.current() == shop_schema()


async def test_a_sync_tells_whether_anything_changed() -> None:
    parts = known()

    first = await parts.knowledge.sync()
    again = await parts.knowledge.sync()
    parts.reader.schema = with_new_table(parts.reader.schema)
    later = await parts.knowledge.sync()

    assert (first.changed, again.changed, later.changed) == (True, False, True)
    assert later.schema == parts.reader.schema


async def test_syncs_that_come_together_share_one_reading_and_those_during_it_another() -> None:
    parts = known()
    gate, read = asyncio.Event(), parts.reader.read

    async def slow_read() -> Schema:
        schema = await read()
        await gate.wait()
        return schema

    parts.reader.read = slow_read  # type: ignore[method-assign]
    together = [asyncio.create_task(parts.knowledge.sync()) for _ in range(20)]
    await let_checks_end()
    parts.reader.schema = with_new_table(parts.reader.schema)  # what the reading under way has missed
    later = [asyncio.create_task(parts.knowledge.sync()) for _ in range(20)]
    await let_checks_end()
    gate.set()

    assert {synced.schema.fingerprint for synced in await asyncio.gather(*together)} == {shop_schema().fingerprint}
    assert {synced.schema.fingerprint for synced in await asyncio.gather(*later)} == {parts.reader.schema.fingerprint}
    assert parts.reader.reads == 2


async def test_a_sync_soon_after_a_reading_looks_for_changes_of_structure_alone() -> None:
    parts = known()
    await parts.knowledge.sync()

    parts.ticker.seconds += 4
    soon = await parts.knowledge.sync()
    reads_soon = parts.reader.reads
    parts.ticker.seconds += 2
    await parts.knowledge.sync()

    assert not soon.changed
    assert (reads_soon, parts.reader.reads) == (1, 2)


async def test_a_caller_that_goes_away_leaves_the_reading_to_the_others() -> None:
    parts = known()
    first, second = [asyncio.create_task(parts.knowledge.sync()) for _ in range(2)]
    await asyncio.sleep(0)

    first.cancel()

    assert (await second).schema == parts.reader.schema
    assert first.cancelled()


async def test_a_failed_sync_is_told_to_all_who_wait_and_the_next_reads_anew() -> None:
    parts = known()
    parts.reader.error = DatabaseUnavailable()

    outcomes = await asyncio.gather(*(parts.knowledge.sync() for _ in range(3)), return_exceptions=True)
    parts.reader.error = None

    assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailable] * 3
    assert (await parts.knowledge.sync()).schema == parts.reader.schema


async def test_closing_ends_a_sync_under_way() -> None:
    parts = known()
    never = asyncio.Event()

    async def endless_read() -> Schema:
        await never.wait()
        return parts.reader.schema

    parts.reader.read = endless_read  # type: ignore[method-assign]
    waiting = asyncio.create_task(parts.knowledge.sync())
    await let_checks_end()

    await parts.knowledge.aclose()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_closing_ends_a_check_under_way() -> None:
    parts = known()
    await parts.knowledge.current()
    parts.ticker.seconds += 61
    await parts.knowledge.current()
    [check] = asyncio.all_tasks() - {asyncio.current_task()}

    await parts.knowledge.aclose()
    await parts.knowledge.aclose()

    assert check.cancelled()


def test_digests_see_structure_and_values_and_nothing_else() -> None:
    schema = shop_schema()
    first = schema.tables[0]
    column = Column("Id", "int4", ColumnKind.INTEGER)
    with_values = replace(first, columns=(replace(column, values=("a",)), *first.columns[1:]))
    with_estimate = replace(first, estimated_row_count=7, columns=(replace(column, sample_values=("1",)),))
    with_type = replace(first, columns=(replace(column, type="int8"), *first.columns[1:]))

    assert structure_digest([with_values]) == structure_digest([first])
    assert schema_fingerprint([with_values]) != schema_fingerprint([first])
    assert structure_digest([with_type]) != structure_digest([first])
    assert schema_fingerprint([with_estimate]) == schema_fingerprint([replace(with_estimate, estimated_row_count=-1)])
    assert structure_digest(schema.tables) == structure_digest(schema.tables[::-1])
    assert len(schema_fingerprint([])) == 64


async def test_many_who_miss_a_table_cause_one_comparison_and_one_reading() -> None:
    parts = known()
    schema = await parts.knowledge.current()
    parts.reader.schema = with_new_table(parts.reader.schema)
    digests, reads = parts.reader.digests, parts.reader.reads

    answers = await asyncio.gather(*(parts.knowledge.differs_from(schema) for _ in range(5)))

    assert answers == [True] * 5
    assert (parts.reader.digests - digests, parts.reader.reads - reads) == (1, 1)


async def test_a_schema_that_is_still_so_is_not_read_again() -> None:
    parts = known()
    schema = await parts.knowledge.current()
    reads = parts.reader.reads

    assert await parts.knowledge.differs_from(schema) is False
    assert parts.reader.reads == reads
