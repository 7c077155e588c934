import json
from typing import Any

import pytest
from google.protobuf import struct_pb2

from gateway.values import plain_value, typed_value
from protos.sql.v1 import sql_query_pb2
from services.router.adapters.sql_values import to_json
from services.router.models import Decision, Reply, Route, SqlAnswer, Status
from services.router.service import to_proto_reply

Value = sql_query_pb2.Value
HUGE_EXPONENTS = ["1e999999999999999999999999", "15e1000000", "1.5e-2000000"]


def nested(levels: int) -> str:
    return '{"a": ' * levels + "1" + "}" * levels


CASES: list[tuple[Value, Any]] = [
    (Value(null_value=struct_pb2.NULL_VALUE), None),
    (Value(bool_value=False), False),
    (Value(integer_value=-42), -42),
    (Value(integer_value=999_999_999_999_999), 999_999_999_999_999),
    (Value(integer_value=9_223_372_036_854_775_807), "9223372036854775807"),
    (Value(double_value=0.1), 0.1),
    (Value(double_value=float("nan")), "nan"),
    (Value(decimal_value="12345.60"), 12345.6),
    (Value(decimal_value="100.00"), 100),
    (Value(decimal_value="0.000000000000001"), 1e-15),
    (Value(decimal_value="123456789012345678.90"), "123456789012345678.90"),
    (Value(decimal_value="NaN"), "NaN"),
    (Value(decimal_value="-Infinity"), "-Infinity"),
    (Value(text_value="2026-11-21T08:00:00+00:00"), "2026-11-21T08:00:00+00:00"),
    (Value(bytes_value=b"\x00\xff"), "AP8="),
    (
        Value(json_value='{"a": [1, 2.5, 12345678901234567890], "b": null}'),
        {"a": [1, 2.5, "12345678901234567890"], "b": None},
    ),
    (Value(json_value='["\\ud83d\\ude00"]'), ["😀"]),
    (Value(json_value=r'{"half": "\ud800"}'), r'{"half": "\ud800"}'),
    (Value(json_value=r'{"\uDFFF": 1}'), r'{"\uDFFF": 1}'),
    (Value(json_value="[1e999999999999999999999999, 15e1000000, 1.5e-2000000]"), HUGE_EXPONENTS),
    (Value(json_value=nested(24)), json.loads(nested(24))),
    (Value(json_value=nested(25)), nested(25)),
    (Value(json_value="[" * 25 + "]" * 25), "[" * 25 + "]" * 25),
    (Value(json_value=nested(100_000)), nested(100_000)),
    (Value(list_value=sql_query_pb2.ValueList(values=[Value(integer_value=1), Value(text_value="x")])), [1, "x"]),
]


@pytest.mark.parametrize(("value", "expected"), CASES)
def test_a_value_is_the_same_json_by_either_way(value: Value, expected: Any) -> None:
    assert to_json(value) == expected
    assert typed_value(value) == expected
    json.dumps(expected, allow_nan=False)


@pytest.mark.parametrize(("value", "expected"), CASES)
def test_a_value_survives_the_routers_reply(value: Value, expected: Any) -> None:
    sql = SqlAnswer(answered=True, explanation="", query="queries/q", rows=((to_json(value),),))
    sent = to_proto_reply(Reply(Status.SUCCESS, Decision(Route.SQL, 1.0, "because"), "", sql=sql))
    message = type(sent).FromString(sent.SerializeToString())

    received = plain_value(message.sql.rows[0].values[0])

    assert received == expected
    assert type(received) is type(expected)
