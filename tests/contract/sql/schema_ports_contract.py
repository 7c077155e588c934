"""What every schema reader and schema store must do."""

from dataclasses import replace

import pytest

from services.sql.fingerprints import schema_fingerprint, structure_digest
from services.sql.models import Column, ColumnKind
from services.sql.ports import SchemaReader, SchemaStore
from tests.fakes.sql import shop_schema


class SchemaReaderContract:
    """Subclasses give a `reader` fixture of a database with at least one table."""

    @pytest.fixture
    def reader(self) -> SchemaReader:
        raise AssertionError("a subclass gives the reader")

    async def test_tables_are_sorted_and_fingerprinted(self, reader: SchemaReader) -> None:
        schema = await reader.read()

        names = [table.full_name for table in schema.tables]
        assert names == sorted(names)
        assert names
        assert schema.fingerprint == schema_fingerprint(schema.tables)

    async def test_reading_again_gives_the_same_fingerprint(self, reader: SchemaReader) -> None:
        assert (await reader.read()).fingerprint == (await reader.read()).fingerprint

    async def test_the_cheap_digest_is_that_of_what_is_read(self, reader: SchemaReader) -> None:
        schema = await reader.read()

        assert await reader.structure_digest() == structure_digest(schema.tables)

    async def test_values_keep_their_bounds(self, reader: SchemaReader) -> None:
        for table in (await reader.read()).tables:
            for column in table.columns:
                assert len(column.sample_values) <= 20
                assert len(column.values) <= 1_000
                assert all(len(value) <= 100 for value in (*column.values, *column.sample_values))
                assert list(column.values) == sorted(set(column.values))


class SchemaStoreContract:
    """Subclasses give an empty `store` fixture."""

    @pytest.fixture
    def store(self) -> SchemaStore:
        raise AssertionError("a subclass gives the store")

    async def test_nothing_is_known_before_the_first_save(self, store: SchemaStore) -> None:
        assert await store.load("reader@host:5432/shop") is None

    async def test_what_was_saved_is_loaded_whole(self, store: SchemaStore) -> None:
        schema = replace(shop_schema(), search_path=("sales", "public"), own_functions=frozenset({"upper"}))

        await store.save("reader@host:5432/shop", schema)

        assert await store.load("reader@host:5432/shop") == schema
        assert await store.load("reader@host:5432/other") is None

    async def test_saving_tells_whether_the_fingerprint_is_new(self, store: SchemaStore) -> None:
        schema = shop_schema()
        tables = (replace(schema.tables[0], columns=(Column("x", "int4", ColumnKind.INTEGER),)),)
        other = replace(schema, tables=tables, fingerprint=schema_fingerprint(tables))

        assert await store.save("db", schema)
        assert not await store.save("db", schema)
        assert await store.save("db", other)
        assert await store.load("db") == other
