"""How values come back: as the service's own, and further as the JSON that the API gives."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from deploy.local.embedded_postgres import EmbeddedPostgres
from gateway.values import typed_value
from services.sql.adapters.postgres_session import open_target_pool
from services.sql.adapters.postgres_target import PostgresTarget
from services.sql.models import JsonText
from services.sql.service_messages import value_message
from tests.contract.sql.test_target import LIMITS
from tests.integration.sql.databases import own_database


@pytest.fixture
async def target(shop_url: str) -> AsyncIterator[PostgresTarget]:
    async with open_target_pool(shop_url, max_connections=1, checkout_wait_seconds=5) as pool:
        yield PostgresTarget(pool, LIMITS, max_concurrent_runs=1, wait_seconds=1)


# expression, value of ours, type, and its JSON where that is not the value itself
CASES: list[tuple[Any, ...]] = [
    ("NULL::int", None, "int4"),
    ("true", True, "bool"),
    ("1::int2", 1, "int2"),
    ("999999999999999", 999999999999999, "int8"),
    ("9223372036854775807", 9223372036854775807, "int8", "9223372036854775807"),
    ("-1234567890123456", -1234567890123456, "int8", "-1234567890123456"),
    ("0.1::float8", 0.1, "float8"),
    ("1e300::float8", 1e300, "float8"),
    ("0.1::float4", 0.1, "float4"),
    ("'-Infinity'::float8", "-Infinity", "float8"),
    ("'NaN'::float4", "NaN", "float4"),
    ("1.50", Decimal("1.50"), "numeric", 1.5),
    ("100.00", Decimal("100.00"), "numeric", 100),
    ("123456789012.345", Decimal("123456789012.345"), "numeric", 123456789012.345),
    ("1234567890123.456", Decimal("1234567890123.456"), "numeric", "1234567890123.456"),
    ("1e20::numeric", Decimal(10**20), "numeric", "100000000000000000000"),
    ("'Infinity'::numeric", "Infinity", "numeric"),
    ("'NaN'::numeric", "NaN", "numeric"),
    ("'ü'::text", "ü", "text"),
    ("E'a\\nb\\u0001'", "a\nb\x01", "text"),
    ("'x'::char(3)", "x  ", "bpchar"),
    ("'\\x00ff'::bytea", b"\x00\xff", "bytea", "AP8="),
    ("''::bytea", b"", "bytea", ""),
    (
        '\'{"b": [1, null], "a": 1.50}\'::json',
        JsonText('{"b": [1, null], "a": 1.50}'),
        "json",
        {"b": [1, None], "a": 1.5},
    ),
    (
        "'{\"n\": 12345678901234567890}'::jsonb",
        JsonText('{"n": 12345678901234567890}'),
        "jsonb",
        {"n": "12345678901234567890"},
    ),
    ("'null'::json", JsonText("null"), "json", None),
    ("'2026-01-02'::date", "2026-01-02", "date"),
    ("'0044-03-15 BC'::date", "0044-03-15 BC", "date"),
    ("'12026-01-02'::date", "12026-01-02", "date"),
    ("'-infinity'::date", "-infinity", "date"),
    ("'2026-01-02 03:04:05.6'::timestamp", "2026-01-02T03:04:05.6", "timestamp"),
    ("'2026-01-02'::timestamp", "2026-01-02T00:00:00", "timestamp"),
    ("'0044-03-15 12:00 BC'::timestamp", "0044-03-15 12:00:00 BC", "timestamp"),
    ("'infinity'::timestamp", "infinity", "timestamp"),
    ("'2026-01-02 03:04:05+00'::timestamptz", "2026-01-02T03:04:05+00:00", "timestamptz"),
    ("'infinity'::timestamptz", "infinity", "timestamptz"),
    ("'03:04'::time", "03:04:00", "time"),
    ("'03:04:05.25+05:30'::timetz", "03:04:05.25+05:30", "timetz"),
    ("'1 year 2 days'::interval", "P1Y2D", "interval"),
    ("'2026-01-04'::timestamp - '2026-01-02 06:00'::timestamp", "P1DT18H", "interval"),
    ("'0'::interval", "PT0S", "interval"),
    ("'12.50'::money", "$12.50", "money"),
    ("'6e8bc430-9c3a-11d9-9669-0800200c9a66'::uuid", "6e8bc430-9c3a-11d9-9669-0800200c9a66", "uuid"),
    ("'10.0.0.0/8'::inet", "10.0.0.0/8", "inet"),
    ("'10.0.0.0/8'::cidr", "10.0.0.0/8", "cidr"),
    ("'08:00:2b:01:02:03'::macaddr", "08:00:2b:01:02:03", "macaddr"),
    ("b'101'", "101", "bit"),
    ("'(1,2)'::point", "(1,2)", "point"),
    ("'a b'::tsvector", "'a' 'b'", "tsvector"),
    ("'[1,5)'::int4range", "[1,5)", "int4range"),
    ("'[2026-01-01,2026-02-01)'::daterange", "[2026-01-01,2026-02-01)", "daterange"),
    ("'{[1,3), [5,7)}'::int4multirange", "{[1,3),[5,7)}", "int4multirange"),
    ("(1, 'x')", "(1,x)", "record"),
    ("ARRAY[1, NULL, 3]", [1, None, 3], "int4[]"),
    ("ARRAY[1.50, 2]", [Decimal("1.50"), Decimal(2)], "numeric[]", [1.5, 2]),
    ("ARRAY[['a', 'b'], ['c', 'd']]", [["a", "b"], ["c", "d"]], "text[]"),
    ("ARRAY['2026-01-02'::date]", ["2026-01-02"], "date[]"),
    ("ARRAY['2026-01-02 03:00'::timestamp]", ["2026-01-02T03:00:00"], "timestamp[]"),
    ("'{}'::int[]", [], "int4[]"),
    ("NULL::text[]", None, "text[]"),
]


async def test_values_keep_their_kind_and_precision_into_json(target: PostgresTarget) -> None:
    result = await target.run("SELECT " + ", ".join(expression for expression, *_ in CASES))

    (row,) = result.rows
    for (expression, value, type_name, *as_json), got, column in zip(CASES, row, result.columns, strict=True):
        assert (got, type(got), column.type) == (value, type(value), type_name), expression
        through_the_api = json.loads(json.dumps(typed_value(value_message(got)), allow_nan=False))
        wanted = as_json[0] if as_json else value
        assert (through_the_api, type(through_the_api)) == (wanted, type(wanted)), expression


async def test_values_read_the_same_whatever_styles_the_database_has(postgres_server: EmbeddedPostgres) -> None:
    script = """
    DO $$ BEGIN
      EXECUTE format('ALTER DATABASE %I SET DateStyle = ''German''', current_database());
      EXECUTE format('ALTER DATABASE %I SET IntervalStyle = ''sql_standard''', current_database());
      EXECUTE format('ALTER DATABASE %I SET bytea_output = ''escape''', current_database());
      EXECUTE format('ALTER DATABASE %I SET extra_float_digits = -10', current_database());
      EXECUTE format('ALTER DATABASE %I SET TimeZone = ''Asia/Kolkata''', current_database());
    END $$
    """
    with own_database(postgres_server, script) as (url, _):
        async with open_target_pool(url, max_connections=1, checkout_wait_seconds=2) as pool:
            result = await PostgresTarget(pool, LIMITS, max_concurrent_runs=1, wait_seconds=1).run(
                "SELECT '2026-01-02'::date, '2026-01-02 00:00+00'::timestamptz, '1 day'::interval, '\\x00'::bytea,"
                " 0.1234567890123456::float8"
            )

    # The time zone is the database's own: it says which day a moment belongs to.
    assert result.rows == (("2026-01-02", "2026-01-02T05:30:00+05:30", "P1D", b"\x00", 0.1234567890123456),)


async def test_types_of_the_databases_own_come_back_as_what_they_are_made_of(postgres_server: EmbeddedPostgres) -> None:
    script = """
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE DOMAIN percent AS numeric CHECK (VALUE <= 100);
    CREATE TYPE place AS (street text, number int);
    """
    with own_database(postgres_server, script) as (url, _):
        async with open_target_pool(url, max_connections=1, checkout_wait_seconds=2) as pool:
            target = PostgresTarget(pool, LIMITS, max_concurrent_runs=1, wait_seconds=1)
            for _ in range(2):
                result = await target.run(
                    "SELECT ARRAY['sad', NULL]::mood[] AS moods, 'ok'::mood AS mood, 7.5::percent AS share,"
                    " ROW('Main St', 5)::place AS place, ARRAY[ROW('a', 1)]::place[] AS places"
                )

    assert result.rows == ((["sad", None], "ok", Decimal("7.5"), '("Main St",5)', ["(a,1)"]),)
    assert [column.type for column in result.columns] == ["mood[]", "mood", "numeric", "place", "place[]"]


async def test_order_and_names_of_columns_survive_the_counting_of_bytes(target: PostgresTarget) -> None:
    result = await target.run(
        "SELECT o.order_id AS c0, o.status AS sent, o AS query FROM orders o ORDER BY o.total_amount DESC, 1 LIMIT 3 --"
    )
    plain = await target.run("SELECT order_id FROM orders ORDER BY total_amount DESC, 1 LIMIT 3")

    assert [column.name for column in result.columns] == ["c0", "sent", "query"]
    assert [row[0] for row in result.rows] == [row[0] for row in plain.rows]
