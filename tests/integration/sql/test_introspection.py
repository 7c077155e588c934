"""What is read of a database: as much as the role may see, within bounds of time."""

import time

import psycopg
import pytest

from deploy.local.embedded_postgres import EmbeddedPostgres
from services.sql.adapters.postgres_introspection import PostgresSchemaReader, ReadLimits
from services.sql.adapters.postgres_session import open_target_pool
from services.sql.models import ColumnKind, ForeignKey, Schema, TableKind
from tests.integration.sql.databases import own_database

LIMITS = ReadLimits(structure_seconds=10, sample_seconds=20, sample_table_seconds=3, sample_rows=2_000)

SCRIPT = """
CREATE SCHEMA "Odd Schema";
CREATE SCHEMA hidden;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN percentage AS numeric(5, 2) CHECK (VALUE >= 0);
CREATE TABLE authors (country text, number int, name varchar(80) NOT NULL, PRIMARY KEY (country, number));
CREATE TABLE "Odd Schema"."Böoks ""1"" x" (
    "Id" bigint PRIMARY KEY, "select" mood, share percentage, price money, tags text[], notes jsonb, cover bytea,
    published date, at timestamptz, lasts interval, ok boolean, home inet, author_country text, author_number int,
    dropped int, secret text, FOREIGN KEY (author_country, author_number) REFERENCES authors (country, number));
ALTER TABLE "Odd Schema"."Böoks ""1"" x" DROP COLUMN dropped;
COMMENT ON TABLE authors IS 'People who write.';
COMMENT ON COLUMN authors.name IS 'Full name';
INSERT INTO authors VALUES ('FR', 1, 'Ada'), ('FR', 2, 'Bo'), ('DE', 1, repeat('x', 80));
INSERT INTO "Odd Schema"."Böoks ""1"" x" ("Id", "select", price, published, ok, secret, author_country, author_number)
    SELECT n, CASE WHEN n % 3 = 0 THEN 'sad' ELSE 'ok' END::mood, n, DATE '2026-01-01' + n, n % 2 = 0, 's' || n, 'FR', 1
    FROM generate_series(1, 30) AS n;
CREATE TABLE many (word text, filler text);
INSERT INTO many SELECT 'word ' || n, repeat('long ', 40) FROM generate_series(1, 1500) AS n;
CREATE TABLE large (kind text);
INSERT INTO large SELECT 'kind ' || n % 3 FROM generate_series(1, 5000) AS n;
CREATE VIEW french AS SELECT name FROM authors WHERE country = 'FR';
CREATE TABLE parted (year int) PARTITION BY RANGE (year);
CREATE TABLE parted_2026 PARTITION OF parted FOR VALUES FROM (2026) TO (2027);
CREATE TABLE hidden.payroll (salary int);
CREATE TABLE unreadable (x int);
CREATE TABLE empty (nothing text);
"""
GRANTS = (
    'GRANT USAGE ON SCHEMA "Odd Schema" TO {role}',
    "GRANT SELECT ON authors, french, many, large, parted, empty TO {role}",
    'GRANT SELECT ("Id", "select", share, price, tags, notes, cover, published, at, lasts, ok, home, author_country,'
    ' author_number) ON "Odd Schema"."Böoks ""1"" x" TO {role}',
    "GRANT SELECT ON hidden.payroll TO {role}",
)


async def read(url: str, limits: ReadLimits = LIMITS) -> Schema:
    async with open_target_pool(url, max_connections=1, checkout_wait_seconds=3) as pool:
        return await PostgresSchemaReader(pool, limits).read()


async def test_everything_that_the_role_may_read_is_described_and_nothing_else(
    postgres_server: EmbeddedPostgres,
) -> None:
    with own_database(postgres_server, SCRIPT, *GRANTS) as (url, _):
        schema = await read(url)

    assert [table.full_name for table in schema.tables] == [
        'Odd Schema.Böoks "1" x',
        "public.authors",
        "public.empty",
        "public.french",
        "public.large",
        "public.many",
        "public.parted",
    ]
    books, authors, empty, french, large, many, _ = schema.tables
    assert [(column.name, column.type, column.kind) for column in books.columns] == [
        ("Id", "int8", ColumnKind.INTEGER),
        ("select", "mood", ColumnKind.TEXT),
        ("share", "numeric", ColumnKind.NUMBER),
        ("price", "money", ColumnKind.NUMBER),
        ("tags", "text[]", ColumnKind.ARRAY),
        ("notes", "jsonb", ColumnKind.JSON),
        ("cover", "bytea", ColumnKind.BINARY),
        ("published", "date", ColumnKind.DATE),
        ("at", "timestamptz", ColumnKind.TIMESTAMP),
        ("lasts", "interval", ColumnKind.INTERVAL),
        ("ok", "bool", ColumnKind.BOOLEAN),
        ("home", "inet", ColumnKind.OTHER),
        ("author_country", "text", ColumnKind.TEXT),
        ("author_number", "int4", ColumnKind.INTEGER),
    ]
    assert books.primary_key == ("Id",)
    assert books.foreign_keys == (
        ForeignKey(("author_country", "author_number"), "public", "authors", ("country", "number")),
    )
    assert (authors.comment, authors.primary_key, authors.estimated_row_count) == (
        "People who write.",
        ("country", "number"),
        3,
    )
    name = authors.column("name")
    assert name is not None
    assert (name.comment, name.nullable, name.type) == ("Full name", False, "varchar")
    assert (french.kind, french.estimated_row_count) == (TableKind.VIEW, -1)
    assert empty.estimated_row_count == 0
    assert schema.search_path == ("public",)
    assert large.column("kind") is not None
    assert many.estimated_row_count == 1_500


async def test_values_are_sampled_within_bounds(postgres_server: EmbeddedPostgres) -> None:
    with own_database(postgres_server, SCRIPT, *GRANTS) as (url, _):
        schema = await read(url)

    columns = {(table.name, column.name): column for table in schema.tables for column in table.columns}
    mood = columns['Böoks "1" x', "select"]
    assert (mood.sample_values, mood.values, mood.values_complete) == (("ok", "sad"), ("ok", "sad"), True)
    published = columns['Böoks "1" x', "published"]
    assert (published.min_value, published.max_value) == ("2026-01-02", "2026-01-31")
    assert columns['Böoks "1" x', "Id"].max_value == "30"
    assert columns['Böoks "1" x', "ok"].sample_values == ("false", "true")
    assert columns['Böoks "1" x', "notes"].sample_values == ()
    assert columns["authors", "country"].sample_values == ("FR", "DE")
    word = columns["many", "word"]
    assert (word.values, word.values_complete, word.distinct_estimate) == ((), False, 1_500)
    assert len(word.sample_values) == 20
    assert columns["many", "filler"].values == ()  # longer than is kept
    kind = columns["large", "kind"]
    assert (kind.values, kind.values_complete) == (("kind 0", "kind 1", "kind 2"), False)  # not all rows were looked at
    assert columns["empty", "nothing"].values_complete


async def test_a_locked_table_is_described_without_values(postgres_server: EmbeddedPostgres) -> None:
    script = "CREATE TABLE busy (kind text); INSERT INTO busy VALUES ('a'); CREATE TABLE free (kind text)"
    with own_database(postgres_server, script, "GRANT SELECT ON busy, free TO {role}") as (url, owner_url):
        async with await psycopg.AsyncConnection.connect(owner_url) as owner:
            await owner.execute("LOCK TABLE busy IN ACCESS EXCLUSIVE MODE")
            began = time.monotonic()
            schema = await read(url, ReadLimits(10, 20, 0.3, 1_000))
            waited_seconds = time.monotonic() - began

    assert [table.name for table in schema.tables] == ["busy", "free"]
    assert schema.tables[0].columns[0].values == ()
    assert waited_seconds < 5


async def test_a_change_of_values_or_structure_changes_the_fingerprint(postgres_server: EmbeddedPostgres) -> None:
    script = "CREATE TABLE things (kind text); INSERT INTO things VALUES ('a'), ('a'), ('b')"
    with own_database(postgres_server, script, "GRANT SELECT ON things TO {role}") as (url, owner_url):
        async with await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as owner:
            first = await read(url)
            await owner.execute("INSERT INTO things VALUES ('b'), ('b')")
            more_rows = await read(url)
            await owner.execute("INSERT INTO things VALUES ('c')")
            more_values = await read(url)
            await owner.execute("ALTER TABLE things ADD COLUMN size int")
            more_columns = await read(url)

    assert more_rows.fingerprint == first.fingerprint
    assert len({first.fingerprint, more_values.fingerprint, more_columns.fingerprint}) == 3


async def test_an_empty_database_is_an_empty_schema(postgres_server: EmbeddedPostgres) -> None:
    with own_database(postgres_server, "SELECT 1") as (url, _):
        assert (await read(url)).tables == ()


ODD_RELATIONS = """
CREATE DOMAIN amount AS numeric(9, 2);
CREATE DOMAIN price AS amount CHECK (VALUE >= 0);
CREATE DOMAIN label AS varchar(20);
CREATE TABLE sales (year int, region text, total price, half price GENERATED ALWAYS AS (total / 2) STORED, note label)
    PARTITION BY LIST (year);
CREATE TABLE sales_2025 PARTITION OF sales FOR VALUES IN (2025) PARTITION BY LIST (region);
CREATE TABLE sales_2025_north PARTITION OF sales_2025 FOR VALUES IN ('north');
CREATE TABLE sales_2026 PARTITION OF sales FOR VALUES IN (2026);
INSERT INTO sales (year, region, total, note)
    SELECT 2025 + n % 2, 'north', n, 'n' || n % 4 FROM generate_series(1, 40) n;
CREATE TABLE logs (day date, text text) PARTITION BY RANGE (day);
CREATE TABLE logs_open PARTITION OF logs FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE animals (name text);
CREATE TABLE dogs (breed text) INHERITS (animals);
INSERT INTO animals VALUES ('cat');
INSERT INTO dogs VALUES ('dog', 'pug');
CREATE MATERIALIZED VIEW totals AS SELECT region, sum(total) AS total FROM sales GROUP BY region;
CREATE MATERIALIZED VIEW unfilled AS SELECT region FROM sales WITH NO DATA;
CREATE VIEW endless AS SELECT pg_sleep(60)::text AS slept;
CREATE TABLE users
    (login text, password_hash text, api_key text, pin text, spinning text, reset_token text, e_mail text);
INSERT INTO users VALUES ('ada', 'h1', 'k1', '1234', 'wheel', 't1', 'ada@example.com');
CREATE TABLE essays (title text, body text);
INSERT INTO essays SELECT 'essay ' || n % 2, repeat(md5(n::text), 3000) FROM generate_series(1, 300) n;
ANALYZE sales_2025_north, sales_2026, totals;
"""


async def test_relations_of_every_sort_are_described_once(postgres_server: EmbeddedPostgres) -> None:
    grants = (
        "GRANT SELECT ON sales, sales_2025, sales_2026, logs_open, animals, dogs, totals, unfilled, endless TO {role}",
        "GRANT SELECT ON users, essays TO {role}",
    )
    with own_database(postgres_server, ODD_RELATIONS, *grants) as (url, _):
        began = time.monotonic()
        schema = await read(url, ReadLimits(10, 20, 0.5, 2_000))
        seconds = time.monotonic() - began

    tables = {table.name: table for table in schema.tables}
    # Partitions stand behind their table, but where they are all that can be read of it.
    assert sorted(tables) == [
        "animals", "dogs", "endless", "essays", "logs_open", "sales", "totals", "unfilled", "users",
    ]  # fmt: skip
    assert tables["sales"].estimated_row_count == 40
    assert [(column.name, column.type, column.kind) for column in tables["sales"].columns] == [
        ("year", "int4", ColumnKind.INTEGER),
        ("region", "text", ColumnKind.TEXT),
        ("total", "numeric", ColumnKind.NUMBER),
        ("half", "numeric", ColumnKind.NUMBER),
        ("note", "varchar", ColumnKind.TEXT),
    ]
    assert tables["sales"].columns[4].values == ("n0", "n1", "n2", "n3")
    assert (tables["sales"].columns[2].min_value, tables["sales"].columns[2].max_value) == ("1.00", "40.00")
    assert tables["animals"].columns[0].values == ("cat", "dog")  # as a query reads it, with what inherits from it
    assert (tables["totals"].kind, tables["totals"].estimated_row_count) == (TableKind.VIEW, 1)
    assert tables["totals"].columns[0].values == ("north",)
    assert tables["unfilled"].columns[0].values == tables["endless"].columns[0].values == ()
    assert seconds < 10


async def test_long_texts_and_secrets_are_not_kept(postgres_server: EmbeddedPostgres) -> None:
    grant = "GRANT SELECT ON users, essays TO {role}"
    with own_database(postgres_server, ODD_RELATIONS, grant) as (url, _):
        schema = await read(url)

    essays, users = schema.tables
    assert (essays.columns[0].values, essays.columns[0].values_complete) == (("essay 0", "essay 1"), True)
    assert (essays.columns[1].values, essays.columns[1].sample_values) == ((), ())
    assert not essays.columns[1].values_complete
    kept = {column.name: column.sample_values for column in users.columns if column.sample_values}
    assert kept == {"login": ("ada",), "spinning": ("wheel",), "e_mail": ("ada@example.com",)}
    assert len(users.columns) == 7  # they can be asked for all the same


async def test_what_time_does_not_suffice_for_is_described_without_values(
    postgres_server: EmbeddedPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    with own_database(postgres_server, SCRIPT, *GRANTS) as (url, _):
        schema = await read(url, ReadLimits(10, 0, 3, 2_000))

    assert len(schema.tables) == 7
    assert not any(column.values for table in schema.tables for column in table.columns)
    assert "schema.not_all_sampled" in caplog.messages


async def test_a_right_that_is_taken_away_is_noticed_as_a_change_of_structure(
    postgres_server: EmbeddedPostgres,
) -> None:
    script = "CREATE TABLE things (kind text, price int); CREATE TABLE others (x int)"
    grant = "GRANT SELECT ON things, others TO {role}"
    with own_database(postgres_server, script, grant) as (url, owner_url):
        async with (
            open_target_pool(url, max_connections=1, checkout_wait_seconds=3) as pool,
            await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as owner,
        ):
            reader = PostgresSchemaReader(pool, LIMITS)
            role = psycopg.conninfo.conninfo_to_dict(url)["user"]
            digests = [await reader.structure_digest()]
            await owner.execute(f"REVOKE SELECT ON things FROM {role}")
            await owner.execute(f"GRANT SELECT (kind) ON things TO {role}")
            digests.append(await reader.structure_digest())
            await owner.execute(f"REVOKE SELECT ON others FROM {role}")
            digests.append(await reader.structure_digest())
            schema = await reader.read()

    assert len(set(digests)) == 3
    assert [(table.name, [column.name for column in table.columns]) for table in schema.tables] == [
        ("things", ["kind"])
    ]


async def test_functions_that_could_run_in_place_of_postgresqls_own_are_told(postgres_server: EmbeddedPostgres) -> None:
    with own_database(
        postgres_server,
        SCRIPT,
        "CREATE FUNCTION lower(int) RETURNS int LANGUAGE sql AS 'SELECT $1'",
        "ALTER EXTENSION plpgsql ADD FUNCTION lower(int)",  # as citext has some: an extension's is nobody's own
        "CREATE FUNCTION starts_with(text, int) RETURNS bool LANGUAGE sql AS 'SELECT true'",
        "CREATE FUNCTION round(float8, int) RETURNS float8 LANGUAGE sql AS 'SELECT $1'",
        "CREATE FUNCTION of_our_own(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
        "CREATE SCHEMA aside",
        "CREATE FUNCTION aside.upper(int) RETURNS int LANGUAGE sql AS 'SELECT $1'",
        "CREATE FUNCTION glued(text, int) RETURNS text LANGUAGE sql AS 'SELECT $1'",
        "CREATE OPERATOR || (LEFTARG = text, RIGHTARG = int, FUNCTION = glued)",
        "CREATE FUNCTION alike(text, int) RETURNS bool LANGUAGE sql AS 'SELECT true'",
        "CREATE OPERATOR = (LEFTARG = text, RIGHTARG = int, FUNCTION = alike)",
        "CREATE OPERATOR @@@ (LEFTARG = text, RIGHTARG = int, FUNCTION = alike)",
        "CREATE TYPE pair AS (a int, b int)",
        "CREATE FUNCTION added(pair, pair) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE OPERATOR + (LEFTARG = pair, RIGHTARG = pair, FUNCTION = added)",  # for values of that type alone
        *GRANTS,
    ) as (url, _):
        schema = await read(url)

    assert schema.own_functions == {"starts_with", "round", "||", "="}
