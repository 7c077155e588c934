"""Domain types come out of the contract's messages as what they were."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from protos.sql.v1 import sql_query_pb2
from services.sql.models import JsonText, QueryState, ResultColumn, ResultTable, SqlValue
from services.sql.service_messages import query_message, result_message, schema_message, state_filter, value_message
from tests.contract.sql.query_store_contract import draft
from tests.fakes.sql import shop_schema


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (None, "null_value", 0),
        (True, "bool_value", True),
        (False, "bool_value", False),
        (0, "integer_value", 0),
        (-(2**63), "integer_value", -(2**63)),
        (2**63, "decimal_value", "9223372036854775808"),
        (0.1, "double_value", 0.1),
        (Decimal("1.50"), "decimal_value", "1.50"),
        (Decimal("1E+3"), "decimal_value", "1000"),
        (Decimal("0.000000001"), "decimal_value", "0.000000001"),
        ("", "text_value", ""),
        ("NaN", "text_value", "NaN"),
        (b"\x00", "bytes_value", b"\x00"),
        (JsonText("null"), "json_value", "null"),
    ],
)
def test_each_value_has_its_kind(value: SqlValue, kind: str, expected: object) -> None:
    message = value_message(value)

    assert message.WhichOneof("kind") == kind
    assert getattr(message, kind) == expected


def test_arrays_are_lists_and_nested_arrays_nested_lists() -> None:
    message = value_message([[1, None], ["x"]])

    first, second = message.list_value.values
    assert [value.WhichOneof("kind") for value in first.list_value.values] == ["integer_value", "null_value"]
    assert second.list_value.values[0].text_value == "x"
    assert value_message([]).WhichOneof("kind") == "list_value"


def test_a_query_keeps_absent_things_absent() -> None:
    pending = replace(draft(), create_time=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))
    executed = replace(pending, state=QueryState.EXECUTED, execute_time=pending.create_time, row_count=0)

    first, second = query_message(pending), query_message(executed)

    assert first.name == f"queries/{pending.id}"
    assert not first.HasField("decide_time")
    assert not first.HasField("row_count")
    assert first.create_time.ToDatetime(tzinfo=UTC) == pending.create_time
    assert second.HasField("execute_time")
    assert second.HasField("row_count")


def test_every_state_has_a_name_in_the_contract() -> None:
    for state in QueryState:
        assert state_filter(sql_query_pb2.SqlQuery.State.Value(state)) is state
    assert state_filter(0) is None
    assert state_filter(99) is None


def test_rows_keep_their_order() -> None:
    table = ResultTable((ResultColumn("a", "int4"), ResultColumn("b", "text")), ((1, "x"), (2, None)), truncated=True)

    message = result_message(table)

    assert message is not None
    assert [(column.name, column.type) for column in message.columns] == [("a", "int4"), ("b", "text")]
    assert [row.values[0].integer_value for row in message.rows] == [1, 2]
    assert message.truncated
    assert result_message(None) is None


def test_the_schema_is_told_with_its_keys() -> None:
    message = schema_message(shop_schema())

    orders = next(table for table in message.tables if table.name == "public.orders")
    assert list(orders.primary_key) == ["order_id"]
    assert orders.foreign_keys[0].referenced_table == "public.customers"
    assert len(message.fingerprint) == 64
